/* Ends of threads and of processes with threads. */
#include "guest.h"
#include <pthread.h>

static int gate[2];

static void *block(void *arg) {
  char c;
  (void)!read(gate[0], &c, 1);
  return arg;
}

static void *exit_process(void *arg) {
  exit((int)(intptr_t)arg);
}

static void *exec_now(void *arg) {
  (void)arg;
  execl("/bin/sh", "sh", "-c", "exit 34", NULL);
  return NULL;
}

static void *late(void *arg) {
  pthread_t main_thread = *(pthread_t *)arg;
  pthread_join(main_thread, NULL);
  say("main thread is gone");
  _exit(12);
}

static void *fork_in_thread(void *arg) {
  (void)arg;
  pid_t child = fork();
  if (child == 0) {
    say("single: %d", gettid() == getpid());
    _exit(9);
  }
  reap("forked by a thread", child);
  return NULL;
}

static void *exit_with_five(void *unused) {
  sleep_ms(100);
  syscall(SYS_exit, 5);
  return unused;
}

int main(void) {
  NEED(pipe(gate));
  pthread_t thread, threads[4];

  pid_t child = NEED(fork());
  if (child == 0) {
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, block, NULL);
    pthread_create(&thread, NULL, exit_process, (void *)33);
    for (;;) pause();
  }
  reap("exit in a thread", child);

  child = NEED(fork());
  if (child == 0) {
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, block, NULL);
    pthread_create(&thread, NULL, exec_now, NULL);
    for (;;) pause();
  }
  reap("exec in a thread", child);

  child = NEED(fork());
  if (child == 0) {
    static pthread_t self;
    self = pthread_self();
    pthread_create(&thread, NULL, late, &self);
    pthread_exit(NULL);
  }
  reap("main thread exits first", child);

  child = NEED(fork());
  if (child == 0) {
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, block, NULL);
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  reap("killed", child);

  child = NEED(fork());
  if (child == 0) {
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, block, NULL);
    *(volatile int *)16 = 1;
  }
  reap("crash", child);

  child = NEED(fork());
  if (child == 0) {
    pthread_create(&thread, NULL, exit_with_five, NULL);
    syscall(SYS_exit, 3);
  }
  reap("the leader exits before the last thread", child);

  pthread_create(&thread, NULL, fork_in_thread, NULL);
  pthread_join(thread, NULL);

  pthread_create(&thread, NULL, block, NULL);
  pthread_cancel(thread);
  void *result;
  pthread_join(thread, &result);
  IS(result == PTHREAD_CANCELED);
  return 0;
}
