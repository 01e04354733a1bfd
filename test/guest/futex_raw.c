#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>

static long futex(void *address, int op, uint32_t value, void *timeout, void *address2, uint32_t value3) {
  return syscall(SYS_futex, address, op, value, timeout, address2, value3);
}

static uint32_t words[4];
static int woken;

static void *waiter(void *arg) {
  uint32_t bits = (uint32_t)(uintptr_t)arg;
  long r = bits == 0 ? futex(&words[0], FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0)
                     : futex(&words[0], FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, bits);
  if (r == 0) __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

/* Until `count` were woken so far; a waiter that was not there yet is why wake is repeated by the callers. */
static void settle(int count) {
  for (int i = 0; i < 500 && __atomic_load_n(&woken, __ATOMIC_SEQ_CST) < count; i++) sleep_ms(1);
}

int main(void) {
  struct timespec short_time = {0, 20000000}, bad = {0, 1000000000}, negative = {-1, 0};
  TRY(futex(&words[0], FUTEX_WAIT, 1, NULL, NULL, 0));
  TRY(futex(&words[0], FUTEX_WAIT, 0, &short_time, NULL, 0));
  TRY(futex(&words[0], FUTEX_WAIT, 0, &bad, NULL, 0));
  TRY(futex(&words[0], FUTEX_WAIT, 0, &negative, NULL, 0));
  TRY(futex(&words[0], FUTEX_WAIT, 0, (void *)8, NULL, 0));
  TRY(futex((char *)&words[0] + 1, FUTEX_WAIT, 0, NULL, NULL, 0));
  TRY(futex((void *)16, FUTEX_WAIT, 0, NULL, NULL, 0));
  TRY(futex((void *)16, FUTEX_WAKE, 1, NULL, NULL, 0));
  TRY(futex((void *)16, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  TRY(futex(&words[0], FUTEX_WAKE, 1, NULL, NULL, 0));
  TRY(futex(&words[0], FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
  TRY(futex(&words[0], FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
  TRY(futex(&words[0], 77, 0, NULL, NULL, 0));
  TRY(futex(&words[0], FUTEX_CMP_REQUEUE, 1, (void *)1, &words[1], 5));
  TRY(futex(&words[0], FUTEX_CMP_REQUEUE, 1, (void *)1, &words[1], 0));
  struct timespec absolute;
  clock_gettime(CLOCK_MONOTONIC, &absolute);
  TRY(futex(&words[0], FUTEX_WAIT_BITSET, 0, &absolute, NULL, FUTEX_BITSET_MATCH_ANY));
  clock_gettime(CLOCK_REALTIME, &absolute);
  TRY(futex(&words[0], FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &absolute, NULL, FUTEX_BITSET_MATCH_ANY));

  pthread_t threads[5];
  for (int i = 0; i < 5; i++) pthread_create(&threads[i], NULL, waiter, NULL);
  sleep_ms(50);
  TRY(futex(&words[0], FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0));
  settle(2);
  INT(woken);
  TRY(futex(&words[0], FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &words[1], 0));
  settle(3);
  INT(woken);
  TRY(futex(&words[1], FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0));
  settle(4);
  INT(woken);
  TRY(futex(&words[0], FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0));
  for (int i = 0; i < 5; i++) pthread_join(threads[i], NULL);
  INT(woken);

  woken = 0;
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, waiter, (void *)(uintptr_t)(1 << i));
  sleep_ms(50);
  TRY(futex(&words[0], FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 8));
  TRY(futex(&words[0], FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 5));
  settle(2);
  INT(woken);
  TRY(futex(&words[0], FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0));
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  INT(woken);

  /* FUTEX_WAKE_OP: adds to the second word and compares its old value */
  words[2] = 7;
  TRY(futex(&words[0], FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &words[2], FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 7)));
  INT(words[2]);

  /* between processes, through shared memory */
  uint32_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t child = NEED(fork());
  if (child == 0) {
    while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) == 0) futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0);
    _exit(*shared);
  }
  sleep_ms(20);
  __atomic_store_n(shared, 44, __ATOMIC_SEQ_CST);
  futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0);
  reap("shared futex", child);

  /* a private futex of two processes does not meet */
  child = NEED(fork());
  if (child == 0) {
    struct timespec limit = {0, 60000000};
    long r = futex(&words[3], FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0);
    say("private: %s", r == 0 ? "woken" : errname(errno));
    _exit(0);
  }
  sleep_ms(20);
  TRY(futex(&words[3], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  reap("private futex", child);
  return 0;
}
