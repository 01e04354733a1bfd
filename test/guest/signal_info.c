/* siginfo_t for each way of sending. */
#include "guest.h"
#include <ucontext.h>

static volatile int count;
static pid_t child;

static void on_info(int signo, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  const char *who = info->si_pid == getpid() ? "self" : info->si_pid == child ? "child" : "other";
  if (signo == SIGCHLD) say("SIGCHLD: code=%d pid=%s status=%d", info->si_code, who, info->si_status);
  else
    say("signal %d: si_signo=%d code=%d errno=%d pid=%s uid=%s value=%d stack=%d mask=%s", signo, info->si_signo,
        info->si_code, info->si_errno, who, info->si_uid == getuid() ? "own" : "?",
        info->si_code == SI_QUEUE ? info->si_value.sival_int : 0, uc->uc_stack.ss_flags,
        sigismember(&uc->uc_sigmask, SIGHUP) ? "HUP" : "empty");
  count++;
}

int main(void) {
  struct sigaction action = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | SA_RESTART};
  int signals[] = {SIGUSR1, SIGUSR2, SIGCHLD, SIGRTMIN, SIGRTMIN + 1};
  for (int i = 0; i < 5; i++) NEED(sigaction(signals[i], &action, NULL));
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGUSR1);
  kill(getpid(), SIGUSR2);
  union sigval value = {.sival_int = 4711};
  TRY(sigqueue(getpid(), SIGUSR1, value));
  value.sival_int = -5;
  TRY(sigqueue(getpid(), SIGRTMIN, value));

  /* real-time signals queue, in order; standard ones collapse; lower numbers first */
  sigfillset(&set);
  sigprocmask(SIG_BLOCK, &set, &old);
  for (int i = 0; i < 3; i++) {
    value.sival_int = i;
    sigqueue(getpid(), SIGRTMIN + 1, value);
    sigqueue(getpid(), SIGRTMIN, value);
    sigqueue(getpid(), SIGUSR1, value);
  }
  sigset_t pending;
  sigpending(&pending);
  IS(sigismember(&pending, SIGUSR1));
  IS(sigismember(&pending, SIGRTMIN));
  IS(sigismember(&pending, SIGUSR2));
  /* one at a time: the order in which handlers run is the reverse of the order in which frames are made */
  for (int i = 0; i < 7; i++) {
    siginfo_t info;
    int signo = sigwaitinfo(&set, &info);
    say("dequeued %d value %d", signo, info.si_value.sival_int);
  }
  sigprocmask(SIG_SETMASK, &old, NULL);

  pid_t parent = getpid();
  child = NEED(fork());
  if (child == 0) {
    sleep_ms(40); /* until the parent knows our pid */
    kill(parent, SIGUSR1);
    sleep_ms(40);
    _exit(3);
  }
  reap("child", child);
  child = NEED(fork());
  if (child == 0) for (;;) pause();
  kill(child, SIGSTOP);
  waitpid(child, NULL, WUNTRACED);
  kill(child, SIGCONT);
  waitpid(child, NULL, WCONTINUED);
  sleep_ms(40); /* the child tells when it runs again, which may be after waitpid(2) has seen it */
  kill(child, SIGKILL);
  reap("child", child);
  /* SIGCHLD collapses with itself, so how many came is not part of the test beyond "some" */
  IS(count >= 6);
  siginfo_t forged = {.si_signo = SIGUSR1, .si_code = SI_KERNEL};
  TRY(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &forged));
  forged.si_code = SI_QUEUE;
  forged.si_pid = getpid(), forged.si_uid = getuid();
  TRY(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &forged));
  return 0;
}
