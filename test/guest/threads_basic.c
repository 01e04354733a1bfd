#include "guest.h"
#include <pthread.h>

static __thread int local = 5;
static int total;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *work(void *arg) {
  int before = local;
  local += (int)(intptr_t)arg;
  for (int i = 0; i < 1000; i++) {
    pthread_mutex_lock(&mutex);
    total++;
    pthread_mutex_unlock(&mutex);
  }
  return (void *)(intptr_t)(local * 100 + before);
}

static void *ids(void *arg) {
  pid_t *out = arg;
  out[0] = gettid();
  out[1] = getpid();
  out[2] = getppid();
  return NULL;
}

static void *leave(void *arg) {
  pthread_exit(arg);
}

int main(void) {
  pthread_t threads[16];
  for (int i = 0; i < 16; i++)
    if (pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i) != 0) return 98;
  for (int i = 0; i < 16; i++) {
    void *result;
    pthread_join(threads[i], &result);
    say("thread %d: %ld", i, (long)(intptr_t)result);
  }
  INT(total);
  INT(local);
  pid_t seen[3];
  pthread_create(&threads[0], NULL, ids, seen);
  pthread_join(threads[0], NULL);
  IS(seen[0] != gettid());
  IS(seen[1] == getpid());
  IS(seen[2] == getppid());
  IS(gettid() == getpid());
  void *value;
  pthread_create(&threads[0], NULL, leave, (void *)77);
  pthread_join(threads[0], &value);
  INT((intptr_t)value);
  return 0;
}
