/* FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>

static uint32_t condition, lock, other;
static int waiting;

static long futex(uint32_t *address, int op, uint32_t value, void *timeout, void *address2, uint32_t value3) {
  return syscall(SYS_futex, address, op, value, timeout, address2, value3);
}
static uint32_t tid(void) { return syscall(SYS_gettid); }

static void show(const char *when, uint32_t word) {
  uint32_t owner = word & FUTEX_TID_MASK;
  say("%s: %s%s%s", when, word & FUTEX_WAITERS ? "WAITERS " : "", word & FUTEX_OWNER_DIED ? "OWNER_DIED " : "",
      owner == 0 ? "free" : owner == tid() ? "mine" : "another's");
}

static void *waiter(void *arg) {
  long id = (long)arg;
  __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
  long r = futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &lock, 0);
  int saved = errno;
  char name[32];
  snprintf(name, sizeof name, "waiter %ld", id);
  errno = saved;
  say_result(name, r);
  show(name, lock);
  futex(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
  return NULL;
}

static void *timed(void *arg) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_nsec += 400000000;
  if (at.tv_nsec >= 1000000000) at.tv_sec++, at.tv_nsec -= 1000000000;
  say_result(arg, futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, &at, &lock, 0));
  return NULL;
}

static void on_signal(int signo) { (void)signo; }

static void start(pthread_t *threads, int count) {
  for (long i = 0; i < count; i++) {
    pthread_create(&threads[i], NULL, waiter, (void *)i);
    sleep_ms(40);
  }
}

int main(void) {
  pthread_t threads[4];
  TRY(futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &condition, 0));
  TRY(futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 1, NULL, &lock, 0));
  TRY(futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, (char *)&lock + 1, 0));
  TRY(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, NULL, (void *)16, 0));

  /* the lock is ours: all are moved to it, and get it one after the other */
  TRY(futex(&lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  start(threads, 4);
  TRY(futex(&condition, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  TRY(futex(&condition, FUTEX_REQUEUE_PRIVATE, 1, (void *)1, &other, 0));
  TRY(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &other, 0));
  TRY(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)0, &lock, 0));
  show("one moved", lock);
  TRY(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &lock, 0));
  TRY(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)10, &lock, 0));
  TRY(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)10, &lock, 0));
  long quiet = futex(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  INT(quiet);
  show("in the end", lock);

  /* the lock is free: the first gets it at once */
  start(threads, 3);
  quiet = futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)0, &lock, 0);
  pthread_join(threads[0], NULL);
  INT(quiet);
  show("free again", lock);
  quiet = futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)0x7fffffff, &lock, 0);
  for (int i = 1; i < 3; i++) pthread_join(threads[i], NULL);
  INT(quiet);
  show("in the end", lock);

  /* timeouts: before and after being moved */
  pthread_create(&threads[0], NULL, timed, "not moved");
  pthread_join(threads[0], NULL);
  TRY(futex(&lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  pthread_create(&threads[0], NULL, timed, "moved");
  sleep_ms(60);
  TRY(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &lock, 0));
  pthread_join(threads[0], NULL);
  show("still ours", lock);
  TRY(futex(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  show("free", lock);

  /* signals: the wait goes on before, and ends after being moved */
  handle(SIGUSR1, on_signal, 0);
  start(threads, 1);
  pthread_kill(threads[0], SIGUSR1);
  sleep_ms(60);
  TRY(futex(&lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  TRY(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &lock, 0));
  sleep_ms(60);
  pthread_kill(threads[0], SIGUSR1);
  pthread_join(threads[0], NULL);
  TRY(futex(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  show("free", lock);

  /* a plain waiter is not to be moved to a lock */
  pthread_t plain;
  struct timespec limit = {0, 300000000};
  pid_t child = NEED(fork());
  if (child == 0) {
    pthread_create(&plain, NULL, timed, "beside");
    sleep_ms(60);
    TRY(futex(&condition, FUTEX_WAIT_PRIVATE, 1, &limit, NULL, 0));
    TRY(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &other, 0));
    pthread_join(plain, NULL);
    _exit(0);
  }
  reap("child", child);
  return 0;
}
