/* Which of several synchronous signals comes first, signal(7): the one that was raised first, even if it is blocked. */
#include "guest.h"
#include <sys/syscall.h>
#include <ucontext.h>

static void handler(int signo, siginfo_t *info, void *context) {
  (void)context;
  say("handler %d code %d", signo, info->si_code);
}

static void catch_one(int signo) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
  sigfillset(&action.sa_mask); /* one after the other */
  sigaction(signo, &action, NULL);
}

/* To the own thread, as the kernel raises one, or as a process sends one. */
static void send(int signo, int code) {
  siginfo_t info = {.si_signo = signo, .si_code = code};
  TRY(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), signo, &info));
}

static void with_blocked(const char *what, int signo, int code, int blocked) {
  sigset_t set, pending;
  sigemptyset(&set);
  if (blocked) sigaddset(&set, signo);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_SETMASK, &set, NULL);
  say("== %s", what);
  send(signo, code);
  send(SIGUSR1, SI_QUEUE);
  __asm__ volatile("int3");
  sigpending(&pending);
  say("still pending: %d", sigismember(&pending, signo));
  sigemptyset(&set);
  sigprocmask(SIG_SETMASK, &set, NULL);
}

int main(void) {
  static const int all[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGUSR1};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) catch_one(all[i]);
  with_blocked("blocked, as raised", SIGSEGV, SEGV_MAPERR, 1);
  with_blocked("blocked, as sent", SIGSEGV, SI_QUEUE, 1);
  with_blocked("blocked, not synchronous", SIGUSR1, 1, 1);
  with_blocked("SIGSYS, which is synchronous", SIGSYS, 1, 1);
  with_blocked("not blocked", SIGBUS, BUS_ADRERR, 0);

  /* sigtimedwait takes the lowest, whoever came first */
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGSEGV);
  sigaddset(&set, SIGFPE);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_SETMASK, &set, NULL);
  send(SIGUSR1, SI_QUEUE);
  send(SIGSEGV, SEGV_MAPERR);
  send(SIGFPE, FPE_INTDIV);
  for (int i = 0; i < 3; i++) INT(sigwaitinfo(&set, NULL));
  send(SIGSEGV, SEGV_MAPERR);
  send(SIGFPE, FPE_INTDIV);
  say("both at once");
  sigemptyset(&set);
  sigprocmask(SIG_SETMASK, &set, NULL);
  return 0;
}
