/* Condition variables, barriers, read-write locks, semaphores: all of them futexes underneath. */
#include "guest.h"
#include <pthread.h>
#include <semaphore.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore;
static int turn, serials, value;

static void *ping_pong(void *arg) {
  int me = (int)(intptr_t)arg;
  for (int i = 0; i < 200; i++) {
    pthread_mutex_lock(&mutex);
    while (turn % 3 != me) pthread_cond_wait(&cond, &mutex);
    turn++;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void *meet(void *arg) {
  (void)arg;
  for (int i = 0; i < 20; i++)
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) __atomic_add_fetch(&serials, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

static void *writer(void *arg) {
  (void)arg;
  for (int i = 0; i < 100; i++) {
    pthread_rwlock_wrlock(&rwlock);
    value++;
    pthread_rwlock_unlock(&rwlock);
    sem_post(&semaphore);
  }
  return NULL;
}

static void run(int count, void *(*body)(void *)) {
  pthread_t threads[8];
  for (int i = 0; i < count; i++) pthread_create(&threads[i], NULL, body, (void *)(intptr_t)i);
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

int main(void) {
  run(3, ping_pong);
  INT(turn);
  pthread_barrier_init(&barrier, NULL, 4);
  run(4, meet);
  INT(serials);
  sem_init(&semaphore, 0, 0);
  run(4, writer);
  INT(value);
  int tokens = 0;
  while (sem_trywait(&semaphore) == 0) tokens++;
  INT(tokens);
  struct timespec deadline;
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_nsec += 30000000;
  if (deadline.tv_nsec >= 1000000000) deadline.tv_sec++, deadline.tv_nsec -= 1000000000;
  TRY(sem_timedwait(&semaphore, &deadline));
  pthread_mutex_lock(&mutex);
  say("cond_timedwait: %s", errname(pthread_cond_timedwait(&cond, &mutex, &deadline)));
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_nsec = 0, deadline.tv_sec--;
  say("cond_timedwait in the past: %s", errname(pthread_cond_timedwait(&cond, &mutex, &deadline)));
  pthread_mutex_unlock(&mutex);
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_t checked;
  pthread_mutex_init(&checked, &attr);
  pthread_mutex_lock(&checked);
  say("relock: %s", errname(pthread_mutex_lock(&checked)));
  return 0;
}
