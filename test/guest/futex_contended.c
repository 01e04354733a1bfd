/*
 * Locks, conditions and semaphores that several threads want at once: nobody sleeps for ever on a word that changed before it
 * slept, nobody is woken in another one's place.
 */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>

#define THREADS 4
#define ITEMS 250

static unsigned state = 1;
static void dawdle(void) {
  state = state * 1103515245 + 12345;
  if (state >> 28 == 0) sched_yield();
  for (volatile unsigned i = state >> 25; i > 0; i--) continue;
}

static pthread_t start(void *(*run)(void *), void *argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, argument) != 0) abort();
  return thread;
}

static void all(void *(*one)(void *), void *(*other)(void *)) {
  pthread_t threads[2 * THREADS];
  for (int i = 0; i < THREADS; i++) threads[2 * i] = start(one, NULL), threads[2 * i + 1] = start(other, NULL);
  for (int i = 0; i < 2 * THREADS; i++) pthread_join(threads[i], NULL);
}

/* ---- a lock */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long counter;
static void *count(void *unused) {
  for (int i = 0; i < ITEMS; i++) {
    pthread_mutex_lock(&lock);
    counter++;
    dawdle();
    pthread_mutex_unlock(&lock);
  }
  return unused;
}

/* ---- semaphores */

static sem_t items, room;
static void *produce(void *unused) {
  for (int i = 0; i < ITEMS; i++) {
    sem_wait(&room);
    dawdle();
    sem_post(&items);
  }
  return unused;
}

static void *consume(void *unused) {
  for (int i = 0; i < ITEMS; i++) {
    sem_wait(&items);
    dawdle();
    sem_post(&room);
  }
  return unused;
}

/* ---- conditions */

static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int queued;
static void *add_one(void *unused) {
  for (int i = 0; i < ITEMS; i++) {
    pthread_mutex_lock(&lock);
    while (queued == 2) pthread_cond_wait(&changed, &lock);
    queued++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    dawdle();
  }
  return unused;
}

static void *take_one(void *unused) {
  for (int i = 0; i < ITEMS; i++) {
    pthread_mutex_lock(&lock);
    while (queued == 0) pthread_cond_wait(&changed, &lock);
    queued--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    dawdle();
  }
  return unused;
}

/* ---- futex(2) itself: a word that others change without ever waking anybody */

static _Atomic int word, done;
static long wait_for(_Atomic int *at, int value, const struct timespec *timeout) {
  return syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, value, timeout, NULL, 0) == 0 ? 0 : errno;
}

static void *restless(void *unused) {
  while (!done) {
    word++;
    dawdle();
  }
  return unused;
}

/* What a wait says: the word is not what it was, or nobody came in time. */
static void without_wakes(void) {
  const struct timespec timeout = {0, 20000000};
  pthread_t thread = start(restless, NULL);
  int other = 0, changed_before = 0;
  for (int i = 0; i < 400; i++) {
    long result = wait_for(&word, word, &timeout);
    if (result == EAGAIN) changed_before = 1;
    else if (result != ETIMEDOUT) other++;
  }
  done = 1;
  pthread_join(thread, NULL);
  say("a restless word: has changed %d, other results %d", changed_before, other);
}

/* A hot site with every kind of answer. */
static void hot(void) {
  const struct timespec soon = {0, 1000};
  char *gone = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(gone, 4096);
  int results[4] = {0, 0, 0, 0};
  word = 5;
  for (int i = 0; i < 100; i++) {
    results[0] += wait_for(&word, 4, NULL) == EAGAIN;
    results[1] += wait_for(&word, 5, &soon) == ETIMEDOUT;
    results[2] += wait_for((_Atomic int *)gone, 0, NULL) == EFAULT;
    results[3] += wait_for((_Atomic int *)((char *)&word + 1), 5, NULL) == EINVAL;
  }
  say("hot: other value %d, nobody %d, unmapped %d, unaligned %d", results[0], results[1], results[2], results[3]);
}

/* Each of several sleepers is woken once, none twice. */
static _Atomic int asleep, woken, gate;
static void *sleeper(void *unused) {
  for (int i = 0; i < 100; i++) {
    asleep++;
    int now = gate;
    while (wait_for(&gate, now, NULL) == EINTR) continue;
    woken++;
  }
  return unused;
}

static void one_by_one(void) {
  pthread_t threads[THREADS];
  long told = 0;
  for (int i = 0; i < THREADS; i++) threads[i] = start(sleeper, NULL);
  while (woken < 100 * THREADS) {
    long n = syscall(SYS_futex, &gate, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    if (n < 0 || n > 1) say("woke %ld", n);
    told += n;
    if (n == 0) sched_yield();
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  say("one by one: woken %d of %d, told of %ld", woken, asleep, told);
}

int main(void) {
  all(count, count);
  say("lock: %ld", counter);
  sem_init(&items, 0, 0);
  sem_init(&room, 0, 2);
  all(produce, consume);
  int left, free_room;
  sem_getvalue(&items, &left);
  sem_getvalue(&room, &free_room);
  say("semaphores: %d %d", left, free_room);
  all(add_one, take_one);
  say("conditions: %d", queued);
  without_wakes();
  hot();
  one_by_one();
  return 0;
}
