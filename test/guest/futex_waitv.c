/* futex_waitv(2). */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef FUTEX_32
#define FUTEX_32 2
#endif

struct waitv {
  uint64_t val, uaddr;
  uint32_t flags, reserved;
};

static uint32_t words[140];
static struct waitv list[140];

static long waitv(void *waiters, unsigned count, unsigned flags, void *timeout, int clock) {
  return syscall(SYS_futex_waitv, waiters, count, flags, timeout, clock);
}

static void reset(int count) {
  memset(words, 0, sizeof words);
  for (int i = 0; i < count; i++)
    list[i] = (struct waitv){.uaddr = (uintptr_t)&words[i], .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG};
}

static void *waker(void *arg) {
  sleep_ms(30);
  return (void *)syscall(SYS_futex, arg, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void on_signal(int signo) { (void)signo; }

int main(void) {
  struct timespec past = {1, 0}, bad = {0, 1000000000};
  pthread_t thread;
  void *woken;
  reset(140);
  TRY(waitv(list, 3, 0, &past, CLOCK_MONOTONIC));
  TRY(waitv(list, 3, 0, &past, CLOCK_REALTIME));
  TRY(waitv(list, 3, 0, &past, CLOCK_BOOTTIME));
  TRY(waitv(list, 3, 0, &bad, CLOCK_MONOTONIC));
  TRY(waitv(list, 3, 0, (void *)8, CLOCK_MONOTONIC));
  TRY(waitv(list, 3, 1, &past, CLOCK_MONOTONIC));
  TRY(waitv(list, 0, 0, &past, CLOCK_MONOTONIC));
  TRY(waitv(NULL, 1, 0, &past, CLOCK_MONOTONIC));
  TRY(waitv((void *)8, 1, 0, &past, CLOCK_MONOTONIC));
  TRY(waitv(list, 128, 0, &past, CLOCK_MONOTONIC));
  TRY(waitv(list, 129, 0, &past, CLOCK_MONOTONIC));
  words[2] = 1;
  TRY(waitv(list, 3, 0, &past, CLOCK_MONOTONIC));
  TRY(waitv(list, 2, 0, &past, CLOCK_MONOTONIC));
  reset(3);
  list[1].flags = 1;
  TRY(waitv(list, 3, 0, &past, CLOCK_MONOTONIC));
  list[1].flags = FUTEX_32 | 64;
  TRY(waitv(list, 3, 0, &past, CLOCK_MONOTONIC));
  list[1].flags = FUTEX_32;
  TRY(waitv(list, 3, 0, &past, CLOCK_MONOTONIC));
  list[1].reserved = 1;
  TRY(waitv(list, 3, 0, &past, CLOCK_MONOTONIC));
  list[1].reserved = 0;
  list[1].val = 1ull << 32;
  TRY(waitv(list, 3, 0, &past, CLOCK_MONOTONIC));
  list[1].val = 0;
  list[1].uaddr++;
  TRY(waitv(list, 3, 0, &past, CLOCK_MONOTONIC));
  list[1].uaddr = 16;
  TRY(waitv(list, 3, 0, &past, CLOCK_MONOTONIC));
  list[1].flags |= FUTEX_PRIVATE_FLAG;
  TRY(waitv(list, 3, 0, &past, CLOCK_MONOTONIC));

  reset(5);
  pthread_create(&thread, NULL, waker, &words[3]);
  TRY(waitv(list, 5, 0, NULL, 0));
  pthread_join(thread, &woken);
  INT(woken);
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_sec += 20;
  pthread_create(&thread, NULL, waker, &words[0]);
  TRY(waitv(list, 5, 0, &at, CLOCK_MONOTONIC));
  pthread_join(thread, &woken);
  INT(woken);
  clock_gettime(CLOCK_REALTIME, &at);
  at.tv_nsec += 30000000;
  if (at.tv_nsec >= 1000000000) at.tv_sec++, at.tv_nsec -= 1000000000;
  TRY(waitv(list, 5, 0, &at, CLOCK_REALTIME));

  /* nothing stays behind */
  for (int i = 0; i < 5; i++) TRY(syscall(SYS_futex, &words[i], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));

  handle(SIGALRM, on_signal, 0);
  struct itimerspec timer = {.it_value = {0, 30000000}};
  timer_t id;
  timer_create(CLOCK_MONOTONIC, NULL, &id);
  timer_settime(id, 0, &timer, NULL);
  TRY(waitv(list, 5, 0, NULL, 0));
  pthread_create(&thread, NULL, waker, &words[4]);
  handle(SIGALRM, on_signal, SA_RESTART);
  timer.it_value.tv_nsec = 10000000;
  timer_settime(id, 0, &timer, NULL);
  TRY(waitv(list, 5, 0, NULL, 0));
  pthread_join(thread, &woken);
  INT(woken);
  return 0;
}
