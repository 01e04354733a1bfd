/* PTHREAD_PRIO_INHERIT mutexes, robust ones too, shared between processes, and condition variables with them. */
#include "guest.h"
#include <pthread.h>
#include <sys/mman.h>

struct shared {
  pthread_mutex_t mutex;
  pthread_cond_t condition;
  int stage, counter;
};
static struct shared *s;

static void prepare(int robust, int type) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  INT(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT));
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_settype(&attributes, type);
  INT(pthread_mutex_init(&s->mutex, &attributes));
  pthread_condattr_t condition;
  pthread_condattr_init(&condition);
  pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
  pthread_cond_init(&s->condition, &condition);
  s->stage = s->counter = 0;
}

static void *worker(void *arg) {
  (void)arg;
  for (int i = 0; i < 200; i++) {
    if (pthread_mutex_lock(&s->mutex) != 0) say("lock failed");
    int seen = *(volatile int *)&s->counter;
    if (i % 10 == 0) sched_yield();
    *(volatile int *)&s->counter = seen + 1;
    if (pthread_mutex_unlock(&s->mutex) != 0) say("unlock failed");
  }
  return NULL;
}

int main(void) {
  s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  prepare(0, PTHREAD_MUTEX_ERRORCHECK);
  INT(pthread_mutex_lock(&s->mutex));
  say("again: %s", errname(pthread_mutex_lock(&s->mutex)));
  say("try: %s", errname(pthread_mutex_trylock(&s->mutex)));
  INT(pthread_mutex_unlock(&s->mutex));
  say("unlock: %s", errname(pthread_mutex_unlock(&s->mutex)));
  pthread_t threads[3];
  pid_t child = NEED(fork());
  if (child == 0) {
    worker(NULL);
    _exit(0);
  }
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, worker, NULL);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  reap("worker", child);
  INT(s->counter);

  struct timespec at;
  child = NEED(fork());
  if (child == 0) {
    pthread_mutex_lock(&s->mutex);
    s->stage = 1;
    sleep_ms(100);
    pthread_mutex_unlock(&s->mutex);
    _exit(0);
  }
  while (*(volatile int *)&s->stage != 1) sleep_ms(1);
  clock_gettime(CLOCK_REALTIME, &at);
  say("timed: %s", errname(pthread_mutex_timedlock(&s->mutex, &at)));
  clock_gettime(CLOCK_MONOTONIC, &at);
  say("clock: %s", errname(pthread_mutex_clocklock(&s->mutex, CLOCK_MONOTONIC, &at)));
  at.tv_sec += 50;
  say("clock, later: %s", errname(pthread_mutex_clocklock(&s->mutex, CLOCK_MONOTONIC, &at)));
  pthread_mutex_unlock(&s->mutex);
  reap("holder", child);

  /* robust: a process ends, a process is killed, a thread ends */
  prepare(1, PTHREAD_MUTEX_NORMAL);
  for (int how = 0; how < 3; how++) {
    s->stage = 0;
    child = NEED(fork());
    if (child == 0) {
      say("child locks: %s", errname(pthread_mutex_lock(&s->mutex)));
      if (how > 0) pthread_mutex_consistent(&s->mutex);
      s->stage = 1;
      if (how == 0) _exit(0);
      sleep_ms(40);
      if (how == 1) raise(SIGKILL);
      execl("/bin/true", "true", NULL);
      _exit(1);
    }
    while (*(volatile int *)&s->stage != 1) sleep_ms(1);
    int r = pthread_mutex_lock(&s->mutex);
    say("after death %d: %s", how, errname(r));
    if (r == EOWNERDEAD) INT(pthread_mutex_consistent(&s->mutex));
    INT(pthread_mutex_unlock(&s->mutex));
    reap("child", child);
    INT(pthread_mutex_lock(&s->mutex));
    INT(pthread_mutex_unlock(&s->mutex));
  }
  child = NEED(fork());
  if (child == 0) {
    pthread_mutex_lock(&s->mutex);
    _exit(0);
  }
  reap("child", child);
  say("lock: %s", errname(pthread_mutex_lock(&s->mutex)));
  pthread_mutex_unlock(&s->mutex); /* without making it consistent */
  say("not recoverable: %s", errname(pthread_mutex_lock(&s->mutex)));

  prepare(0, PTHREAD_MUTEX_NORMAL);
  child = NEED(fork());
  if (child == 0) {
    pthread_mutex_lock(&s->mutex);
    while (s->stage == 0) pthread_cond_wait(&s->condition, &s->mutex);
    s->stage = 2;
    pthread_cond_broadcast(&s->condition);
    pthread_mutex_unlock(&s->mutex);
    _exit(0);
  }
  sleep_ms(30);
  pthread_mutex_lock(&s->mutex);
  s->stage = 1;
  pthread_cond_signal(&s->condition);
  while (s->stage != 2) pthread_cond_wait(&s->condition, &s->mutex);
  pthread_mutex_unlock(&s->mutex);
  reap("conditions", child);
  return 0;
}
