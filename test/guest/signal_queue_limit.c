/* RLIMIT_SIGPENDING: what counts against it, and what becomes of signals beyond it. */
#include "guest.h"
#include <sys/resource.h>

static long queued(void) {
  const char *at = strstr(get("/proc/self/status"), "SigQ:");
  return at == NULL ? -1 : strtol(at + 5, NULL, 10);
}

static void limit(long n) {
  struct rlimit limit;
  getrlimit(RLIMIT_SIGPENDING, &limit);
  limit.rlim_cur = n;
  NEED(setrlimit(RLIMIT_SIGPENDING, &limit));
}

static int queue_to(pid_t pid, int signo, int code, int value) {
  siginfo_t info = {.si_code = code, .si_pid = getpid(), .si_uid = getuid()};
  info.si_value.sival_int = value;
  return syscall(SYS_rt_sigqueueinfo, pid, signo, &info);
}

static void take(const char *name, const sigset_t *set) {
  siginfo_t info = {0};
  struct timespec none = {0, 0};
  int got = sigtimedwait(set, &info, &none);
  if (got == -1) say("%s: %s", name, errname(errno));
  else
    say("%s: %d code %d pid %s value %d", name, got, info.si_code, info.si_pid == getpid() ? "own" : info.si_pid ? "?" : "0",
        info.si_code == SI_QUEUE ? info.si_value.sival_int : -1);
}

static void drain(const char *name, const sigset_t *set) {
  struct timespec none = {0, 0};
  int count = 0;
  while (sigtimedwait(set, NULL, &none) > 0) count++;
  say("%s: %d were pending", name, count);
}

static timer_t timers[8];

static const char *make_timer(int i, int notify, int signo) {
  struct sigevent event = {.sigev_notify = notify, .sigev_signo = signo};
  return timer_create(CLOCK_MONOTONIC, &event, &timers[i]) == -1 ? errname(errno) : "ok";
}

int main(void) {
  /* nobody else queues signals for this user */
  uid_t own = 100000 + getpid();
  NEED(setresuid(own, own, own));
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  int rt = SIGRTMIN, other = SIGRTMIN + 1;
  pid_t self = getpid();

  say("at first %ld", queued());
  queue_to(self, rt, SI_QUEUE, 1);
  kill(self, SIGUSR1);
  kill(self, SIGUSR1);
  say("one of each %ld", queued());
  queue_to(self, rt, SI_QUEUE, 2);
  raise(rt);
  say("and two more %ld", queued());
  drain("drained", &all);
  say("none %ld", queued());

  limit(2);
  for (int i = 1; i <= 3; i++) say("sigqueue %d: %s", i, queue_to(self, rt, SI_QUEUE, i) == 0 ? "ok" : errname(errno));
  say("full %ld", queued());
  say("tgkill of a real-time signal: %s", syscall(SYS_tgkill, self, self, other) == 0 ? "ok" : errname(errno));
  say("kill of a real-time signal: %s", kill(self, other) == 0 ? "ok" : errname(errno));
  say("kill again: %s", kill(self, other) == 0 ? "ok" : errname(errno));
  say("still %ld", queued());
  say("kill of a standard one: %s", kill(self, SIGUSR1) == 0 ? "ok" : errname(errno));
  say("beyond the limit %ld", queued());
  say("sigqueue of a standard one: %s", queue_to(self, SIGUSR2, SI_QUEUE, 9) == 0 ? "ok" : errname(errno));
  say("without a record %ld", queued());
  say("sigqueue as by kill: %s", queue_to(self, rt + 2, SI_USER, 0) == 0 ? "ok" : errname(errno));
  for (int i = 0; i < 8; i++) take("taken", &all);
  say("empty %ld", queued());

  say("ignored signals do not care");
  limit(0);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, rt);
  signal(rt, SIG_IGN);
  say("blocked and ignored: %s", queue_to(self, rt, SI_QUEUE, 1) == 0 ? "ok" : errname(errno));
  sigprocmask(SIG_UNBLOCK, &one, NULL);
  say("ignored: %s", queue_to(self, rt, SI_QUEUE, 1) == 0 ? "ok" : errname(errno));
  sigprocmask(SIG_BLOCK, &one, NULL);
  signal(rt, SIG_DFL);
  say("kill with no room at all: %s", kill(self, SIGUSR1) == 0 ? "ok" : errname(errno));
  take("with its record", &all);
  say("lost and then found");
  kill(self, rt);
  limit(5);
  queue_to(self, rt, SI_QUEUE, 5);
  take("first", &all);
  take("second", &all);

  say("timers");
  limit(3);
  for (int i = 0; i < 4; i++) say("timer %d: %s", i, make_timer(i, i == 1 ? SIGEV_NONE : SIGEV_SIGNAL, rt));
  say("with timers %ld", queued());
  say("sigqueue beside timers: %s", queue_to(self, rt, SI_QUEUE, 1) == 0 ? "ok" : errname(errno));
  struct itimerspec soon = {.it_value = {0, 1000000}};
  NEED(timer_settime(timers[0], 0, &soon, NULL));
  siginfo_t info;
  NEED(sigwaitinfo(&all, &info));
  say("a timer has its own room: code %d", info.si_code);
  NEED(timer_delete(timers[1]));
  say("one deleted %ld", queued());
  say("sigqueue: %s", queue_to(self, rt, SI_QUEUE, 1) == 0 ? "ok" : errname(errno));
  say("a timer: %s", make_timer(3, SIGEV_SIGNAL, rt));
  say("a bad timer: %s", make_timer(3, SIGEV_SIGNAL, 99));
  drain("drained", &all);
  say("a bad timer with room: %s", make_timer(3, SIGEV_SIGNAL, 99));
  say("after that %ld", queued());

  say("another process of the user");
  limit(4);
  pid_t child = NEED(fork());
  if (child == 0) {
    say("child inherits no timers, but counts: %ld", queued());
    pause();
    _exit(1);
  }
  sleep_ms(30);
  say("to the child: %s", queue_to(child, rt, SI_QUEUE, 1) == 0 ? "ok" : errname(errno));
  say("to the child: %s", queue_to(child, rt, SI_QUEUE, 2) == 0 ? "ok" : errname(errno));
  say("to the child: %s", queue_to(child, rt, SI_QUEUE, 3) == 0 ? "ok" : errname(errno));
  say("to both %ld", queued());
  kill(child, SIGKILL);
  reap("child", child);
  sleep_ms(20);
  say("given back %ld", queued());
  return 0;
}
