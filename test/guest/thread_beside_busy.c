/* A thread that computes and calls nothing keeps nobody from waking: by the clock, or by what comes through a pipe. */
#include "guest.h"
#include <pthread.h>
#include <stdatomic.h>

static atomic_int over;
static volatile unsigned long sum;

static void *compute(void *argument) {
  while (!atomic_load(&over)) sum++;
  return argument;
}

int main(void) {
  pthread_t busy;
  int ends[2];
  char byte;

  NEED(pipe(ends));
  NEED(pthread_create(&busy, NULL, compute, NULL));
  for (int i = 0; i < 5; i++) sleep_ms(20);
  say("slept");
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 5; i++) {
      sleep_ms(20);
      if (write(ends[1], "x", 1) != 1) _exit(1);
    }
    _exit(0);
  }
  for (int i = 0; i < 5; i++) TRY(read(ends[0], &byte, 1));
  reap("child", child);
  atomic_store(&over, 1);
  NEED(pthread_join(busy, NULL));
  say("joined");
  return 0;
}
