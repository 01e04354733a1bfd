/* A lock whose owner died: the robust list is walked when a thread ends. */
#include "guest.h"
#include <pthread.h>
#include <sys/mman.h>

static pthread_mutex_t *mutex;

static void *dies_with_it(void *arg) {
  pthread_mutex_lock(mutex);
  return arg;
}

int main(void) {
  mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(mutex, &attr);
  pthread_t thread;
  pthread_create(&thread, NULL, dies_with_it, NULL);
  pthread_join(thread, NULL);
  say("after a thread: %s", errname(pthread_mutex_lock(mutex)));
  INT(pthread_mutex_consistent(mutex));
  INT(pthread_mutex_unlock(mutex));
  pid_t child = NEED(fork());
  if (child == 0) {
    pthread_mutex_lock(mutex);
    kill(getpid(), SIGKILL);
  }
  reap("child", child);
  say("after a process: %s", errname(pthread_mutex_lock(mutex)));
  INT(pthread_mutex_unlock(mutex));
  say("not made consistent: %s", errname(pthread_mutex_lock(mutex)));
  /* a waiter is woken by the death of the owner */
  pthread_mutex_init(mutex, &attr);
  child = NEED(fork());
  if (child == 0) {
    pthread_mutex_lock(mutex);
    sleep_ms(50);
    _exit(0);
  }
  sleep_ms(20);
  say("waiting: %s", errname(pthread_mutex_lock(mutex)));
  reap("child", child);
  return 0;
}
