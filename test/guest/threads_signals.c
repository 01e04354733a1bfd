/* Signals and threads: who gets what. */
#include "guest.h"
#include <pthread.h>

static __thread int mine;
static volatile int total;
static volatile pid_t last;
static pthread_barrier_t barrier;

static void on_signal(int signo) {
  (void)signo;
  mine++;
  __atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
  last = gettid();
}

static void *waits(void *arg) {
  pid_t *tid = arg;
  *tid = gettid();
  pthread_barrier_wait(&barrier);
  while (__atomic_load_n(&mine, __ATOMIC_SEQ_CST) == 0) sleep_ms(1);
  return (void *)(intptr_t)mine;
}

static void *in_read(void *arg) {
  int *fds = arg;
  char c;
  pthread_barrier_wait(&barrier);
  ssize_t n = read(fds[0], &c, 1);
  return (void *)(intptr_t)(n == -1 ? errno : 0);
}

static void *taker(void *arg) {
  sigset_t *set = arg;
  int signo = 0, sum = 0;
  for (int i = 0; i < 3; i++) sigwait(set, &signo), sum += signo;
  return (void *)(intptr_t)sum;
}

int main(void) {
  handle(SIGUSR1, on_signal, 0);
  pthread_t threads[4];
  pid_t tids[4];
  pthread_barrier_init(&barrier, NULL, 5);
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, waits, &tids[i]);
  pthread_barrier_wait(&barrier);
  for (int i = 3; i >= 0; i--) {
    TRY(syscall(SYS_tgkill, getpid(), tids[i], SIGUSR1));
    void *count;
    pthread_join(threads[i], &count);
    IS(last == tids[i]);
    INT((intptr_t)count);
  }
  INT(total);
  INT(mine);
  TRY(syscall(SYS_tgkill, getpid(), tids[0], 0));
  TRY(syscall(SYS_tgkill, getpid() + 1, gettid(), 0));

  int fds[2];
  NEED(pipe(fds));
  pthread_barrier_init(&barrier, NULL, 2);
  pthread_create(&threads[0], NULL, in_read, fds);
  pthread_barrier_wait(&barrier);
  sleep_ms(30);
  INT(pthread_kill(threads[0], SIGUSR1));
  void *result;
  pthread_join(threads[0], &result);
  say("read: %s", errname((int)(intptr_t)result));

  sigset_t set;
  sigemptyset(&set), sigaddset(&set, SIGUSR2), sigaddset(&set, SIGHUP), sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  pthread_create(&threads[0], NULL, taker, &set);
  kill(getpid(), SIGUSR2);
  kill(getpid(), SIGHUP);
  kill(getpid(), SIGTERM);
  pthread_join(threads[0], &result);
  INT((intptr_t)result);
  /* stop and continue act on all threads */
  pid_t child = NEED(fork());
  if (child == 0) {
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&threads[0], NULL, in_read, fds);
    pthread_barrier_wait(&barrier);
    raise(SIGSTOP);
    sleep_ms(50); /* until the thread is in its read */
    pthread_kill(threads[0], SIGUSR1);
    pthread_join(threads[0], &result);
    _exit(result == (void *)EINTR ? 7 : 8);
  }
  int status;
  waitpid(child, &status, WUNTRACED);
  say("child: %s", status_text(status));
  sleep_ms(20);
  kill(child, SIGCONT);
  reap("child", child);
  return 0;
}
