/* Priority-inheriting locks: the word, its owner, deadlocks, timeouts, owners that end. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static uint32_t *words; /* shared memory */
#define LOCK words[0]
#define OTHER words[1]

static long futex(uint32_t *address, int op, uint32_t value, void *timeout, void *address2, uint32_t value3) {
  return syscall(SYS_futex, address, op, value, timeout, address2, value3);
}
static uint32_t tid(void) { return syscall(SYS_gettid); }

static void show(const char *when, uint32_t word, uint32_t me) {
  uint32_t owner = word & FUTEX_TID_MASK;
  say("%s: %s%s%s", when, word & FUTEX_WAITERS ? "WAITERS " : "", word & FUTEX_OWNER_DIED ? "OWNER_DIED " : "",
      owner == 0 ? "free" : owner == me ? "mine" : "another's");
}

static void await(int index, uint32_t value) {
  for (int i = 0; i < 4000 && __atomic_load_n(&words[index], __ATOMIC_SEQ_CST) != value; i++) sleep_ms(1);
}

/* Until somebody waits for the lock in the kernel. */
static void await_waiter(uint32_t *word) {
  for (int i = 0; i < 4000 && !(__atomic_load_n(word, __ATOMIC_SEQ_CST) & FUTEX_WAITERS); i++) sleep_ms(1);
  sleep_ms(30);
}

static void *hold(void *arg) { /* holds LOCK until words[9] is set, and some time more */
  say_result("thread locks", futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  __atomic_store_n(&words[8], 1, __ATOMIC_SEQ_CST);
  await(9, 1);
  sleep_ms((long)arg);
  show("before unlock", LOCK, tid());
  return (void *)futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
}

static void *deadlock(void *arg) { /* owns OTHER, waits for LOCK */
  (void)arg;
  futex(&OTHER, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
  __atomic_store_n(&words[8], 2, __ATOMIC_SEQ_CST);
  long r = futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
  show("deadlock's other side", LOCK, tid());
  say_result("it got the lock", r);
  futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
  futex(&OTHER, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
  return NULL;
}

static void *dies(void *arg) { /* ends with LOCK held */
  (void)arg;
  futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
  __atomic_store_n(&words[8], 3, __ATOMIC_SEQ_CST);
  sleep_ms(60);
  return NULL;
}

static int caught;
static void on_signal(int signo) { caught = signo; }

static void *in_turn(void *arg) {
  futex(&LOCK, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
  say("turn of %ld", (long)arg);
  sleep_ms(5);
  futex(&LOCK, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
  return NULL;
}

static uint32_t counter_lock, counter;
static void *count(void *arg) {
  (void)arg;
  uint32_t me = tid();
  for (int i = 0; i < 300; i++) {
    uint32_t free = 0;
    if (!__atomic_compare_exchange_n(&counter_lock, &free, me, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
        futex(&counter_lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) != 0)
      say_result("counting", -1);
    uint32_t seen = *(volatile uint32_t *)&counter;
    if (i % 16 == 0) sched_yield();
    *(volatile uint32_t *)&counter = seen + 1;
    uint32_t mine = me;
    if (!__atomic_compare_exchange_n(&counter_lock, &mine, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
        futex(&counter_lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) != 0)
      say_result("uncounting", -1);
  }
  return NULL;
}

int main(void) {
  words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  uint32_t me = tid();
  pthread_t thread, threads[4];
  struct timespec at;

  /* alone */
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  show("locked", LOCK, me);
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  TRY(futex(&LOCK, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  show("unlocked", LOCK, me);
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  TRY(futex(&LOCK, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
  show("tried", LOCK, me);
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  TRY(futex(&LOCK, FUTEX_LOCK_PI2, 0, NULL, NULL, 0));
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  LOCK = FUTEX_OWNER_DIED;
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  show("after a death", LOCK, me);
  LOCK = FUTEX_WAITERS;
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  show("waiters only", LOCK, me);
  LOCK = FUTEX_WAITERS | me;
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  show("unlocked", LOCK, me);
  LOCK = 0x3ffffff0; /* nobody's id */
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  show("a stranger's", LOCK, me);
  TRY(futex(&LOCK, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  pid_t gone = NEED(fork());
  if (gone == 0) _exit(0);
  sleep_ms(80);
  LOCK = gone; /* a zombie's */
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  show("a zombie's", LOCK, me);
  reap("zombie", gone);
  LOCK = 0;

  /* contended */
  words[9] = 0;
  pthread_create(&thread, NULL, hold, (void *)60L);
  await(8, 1);
  show("held", LOCK, me);
  TRY(futex(&LOCK, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
  show("after trying", LOCK, me);
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  TRY(futex(&LOCK, FUTEX_WAKE, 1, NULL, NULL, 0));
  at = (struct timespec){1, 0};
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, &at, NULL, 0));
  clock_gettime(CLOCK_MONOTONIC, &at);
  TRY(futex(&LOCK, FUTEX_LOCK_PI2, 0, &at, NULL, 0));
  clock_gettime(CLOCK_REALTIME, &at);
  TRY(futex(&LOCK, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, 0, &at, NULL, 0));
  at.tv_sec += 100;
  __atomic_store_n(&words[9], 1, __ATOMIC_SEQ_CST);
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, &at, NULL, 0));
  show("handed over", LOCK, me);
  pthread_join(thread, NULL);
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  show("free", LOCK, me);

  /* a plain wait and a lock do not mix */
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  pid_t child = NEED(fork());
  if (child == 0) {
    uint32_t value = LOCK;
    struct timespec limit = {0, 800000000};
    say_result("plain waiter", futex(&LOCK, FUTEX_WAIT, value, &limit, NULL, 0));
    _exit(0);
  }
  sleep_ms(200);
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  child = (reap("plain waiter", child), 0);
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));

  /* deadlock over two locks */
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  pthread_create(&thread, NULL, deadlock, NULL);
  await(8, 2);
  await_waiter(&LOCK);
  TRY(futex(&OTHER, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  show("not ours", OTHER, me);
  TRY(futex(&LOCK, FUTEX_WAKE, 1, NULL, NULL, 0)); /* a waiter for a lock cannot be woken */
  TRY(futex(&LOCK, FUTEX_REQUEUE, 1, (void *)1, &words[2], 0));
  long unlocked = futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
  pthread_join(thread, NULL);
  INT(unlocked);
  show("in the end", LOCK, me);

  /* a signal does not end the wait */
  handle(SIGUSR1, on_signal, 0);
  __atomic_store_n(&words[8], 0, __ATOMIC_SEQ_CST);
  words[9] = 0;
  pthread_create(&thread, NULL, hold, (void *)80L);
  await(8, 1);
  child = NEED(fork());
  if (child == 0) {
    sleep_ms(20);
    kill(getppid(), SIGUSR1);
    sleep_ms(20);
    __atomic_store_n(&words[9], 1, __ATOMIC_SEQ_CST);
    _exit(0);
  }
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  IS(caught == SIGUSR1);
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  pthread_join(thread, NULL);
  reap("signaller", child);

  /* owners that end, without a robust list: threads and processes */
  pthread_create(&thread, NULL, dies, NULL);
  await(8, 3);
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  show("inherited from a thread", LOCK, me);
  pthread_join(thread, NULL);
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  show("free", LOCK, me);
  __atomic_store_n(&words[8], 0, __ATOMIC_SEQ_CST);
  child = NEED(fork());
  if (child == 0) {
    dies(NULL);
    _exit(0);
  }
  await(8, 3);
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  show("inherited from a process", LOCK, me);
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  reap("dead owner", child);

  /* the word and the kernel must agree */
  __atomic_store_n(&words[8], 0, __ATOMIC_SEQ_CST);
  words[9] = 0;
  pthread_create(&thread, NULL, hold, (void *)60L);
  await(8, 1);
  child = NEED(fork());
  if (child == 0) {
    say_result("waiter", futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    show("waiter", LOCK, tid());
    say_result("waiter unlocks", futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    _exit(0);
  }
  await_waiter(&LOCK);
  uint32_t right = LOCK;
  __atomic_store_n(&LOCK, FUTEX_WAITERS | 1, __ATOMIC_SEQ_CST);
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  __atomic_store_n(&LOCK, FUTEX_WAITERS | me, __ATOMIC_SEQ_CST);
  TRY(futex(&LOCK, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  __atomic_store_n(&LOCK, 0, __ATOMIC_SEQ_CST);
  TRY(futex(&LOCK, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  __atomic_store_n(&LOCK, right, __ATOMIC_SEQ_CST);
  __atomic_store_n(&words[9], 1, __ATOMIC_SEQ_CST);
  pthread_join(thread, NULL);
  reap("waiter", child);
  show("in the end", LOCK, me);

  /* first come, first served */
  TRY(futex(&LOCK, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  for (long i = 0; i < 4; i++) {
    pthread_create(&threads[i], NULL, in_turn, (void *)i);
    sleep_ms(40);
  }
  unlocked = futex(&LOCK, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  INT(unlocked);

  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, count, NULL);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  INT(counter);
  show("counted", counter_lock, me);
  return 0;
}
