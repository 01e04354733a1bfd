#include "guest.h"
#include <poll.h>
#include <pthread.h>

static volatile int hits;
static volatile pid_t where;

static void on_signal(int signo) {
  (void)signo;
  hits++;
  where = gettid();
}

static pthread_barrier_t barrier;

static void *unblocked(void *arg) {
  sigset_t set;
  sigemptyset(&set), sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  *(pid_t *)arg = gettid();
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < 1000 && hits == 0; i++) sleep_ms(1);
  return NULL;
}

int main(void) {
  sigset_t set, old, pending, empty;
  sigemptyset(&empty);
  handle(SIGUSR1, on_signal, 0);
  sigemptyset(&set), sigaddset(&set, SIGUSR1);
  TRY(sigprocmask(SIG_BLOCK, &set, &old));
  raise(SIGUSR1), raise(SIGUSR1);
  INT(hits);
  sigpending(&pending);
  IS(sigismember(&pending, SIGUSR1));
  TRY(sigprocmask(SIG_UNBLOCK, &set, NULL));
  INT(hits);

  /* unmaskable signals are silently left out */
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  sigprocmask(SIG_SETMASK, NULL, &old);
  IS(sigismember(&old, SIGKILL));
  IS(sigismember(&old, SIGSTOP));
  IS(sigismember(&old, SIGTERM));
  sigprocmask(SIG_SETMASK, &empty, NULL);
  TRY(syscall(SYS_rt_sigprocmask, 9, &set, NULL, 8));
  TRY(syscall(SYS_rt_sigprocmask, 9, NULL, NULL, 8));
  TRY(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 16));
  TRY(syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8));

  /* setting to ignore drops what is pending */
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGUSR1);
  signal(SIGUSR1, SIG_IGN);
  sigpending(&pending);
  IS(sigismember(&pending, SIGUSR1));
  handle(SIGUSR1, on_signal, 0);
  hits = 0;
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  INT(hits);

  /* sigsuspend: the handler runs under the temporary mask and the old one is back afterwards */
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGUSR1);
  TRY(sigsuspend(&empty));
  INT(hits);
  sigprocmask(SIG_BLOCK, NULL, &old);
  IS(sigismember(&old, SIGUSR1));
  /* ppoll does the same */
  hits = 0;
  raise(SIGUSR1);
  TRY(ppoll(NULL, 0, NULL, &empty));
  INT(hits);
  sigprocmask(SIG_BLOCK, NULL, &old);
  IS(sigismember(&old, SIGUSR1));

  /* pending signals are not inherited, the mask is */
  hits = 0;
  raise(SIGUSR1);
  pid_t child = NEED(fork());
  if (child == 0) {
    sigpending(&pending);
    say("child: pending %d blocked %d", sigismember(&pending, SIGUSR1),
        (sigprocmask(SIG_BLOCK, NULL, &old), sigismember(&old, SIGUSR1)));
    _exit(0);
  }
  reap("child", child);
  struct timespec zero = {0, 0};
  IS(sigtimedwait(&set, NULL, &zero) == SIGUSR1);
  TRY(sigtimedwait(&set, NULL, &zero));

  /* a signal for the process goes to a thread that does not block it */
  pid_t other = 0;
  pthread_t thread;
  pthread_barrier_init(&barrier, NULL, 2);
  pthread_create(&thread, NULL, unblocked, &other);
  pthread_barrier_wait(&barrier);
  kill(getpid(), SIGUSR1);
  pthread_join(thread, NULL);
  INT(hits);
  IS(where == other);
  return 0;
}
