/* Taking signals without handlers: sigwait, sigtimedwait, signalfd. */
#include "guest.h"
#include <poll.h>
#include <sys/signalfd.h>

int main(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1), sigaddset(&set, SIGUSR2), sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGUSR2), raise(SIGUSR1);
  int signo = 0, waited = sigwait(&set, &signo);
  say("sigwait: %d %s", waited, signo == SIGUSR1 ? "SIGUSR1" : "?");
  siginfo_t info;
  IS(sigwaitinfo(&set, &info) == SIGUSR2);
  say("info: %d %d %s", info.si_signo, info.si_code, info.si_pid == getpid() ? "self" : "?");
  struct timespec time = {0, 30000000}, bad = {0, -1};
  int64_t start = now_ms();
  TRY(sigtimedwait(&set, &info, &time));
  IS(now_ms() - start >= 30);
  TRY(sigtimedwait(&set, &info, &bad));
  TRY(syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, 7));
  TRY(syscall(SYS_rt_sigtimedwait, (void *)8, NULL, NULL, 8));

  pid_t child = NEED(fork());
  if (child == 0) {
    sleep_ms(20);
    kill(getppid(), SIGUSR1);
    sleep_ms(20);
    _exit(5);
  }
  time.tv_sec = 2;
  IS(sigtimedwait(&set, &info, &time) == SIGUSR1);
  IS(info.si_pid == child);
  IS(sigtimedwait(&set, &info, &time) == SIGCHLD);
  INT(info.si_status);
  reap("child", child);

  int fd = NEED(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  struct signalfd_siginfo si;
  TRY(read(fd, &si, sizeof si));
  TRY(read(fd, &si, 5));
  struct pollfd p = {.fd = fd, .events = POLLIN};
  TRY(poll(&p, 1, 0));
  raise(SIGUSR1);
  TRY(poll(&p, 1, 0));
  INT(p.revents);
  TRY(read(fd, &si, sizeof si));
  say("signalfd: signo=%u code=%d pid=%s", si.ssi_signo, si.ssi_code, si.ssi_pid == (unsigned)getpid() ? "self" : "?");
  raise(SIGUSR2);
  sigdelset(&set, SIGUSR2);
  TRY(signalfd(fd, &set, 0) == fd);
  TRY(read(fd, &si, sizeof si));
  TRY(signalfd(1, &set, 0));
  TRY(signalfd(-1, &set, 0x10));
  return 0;
}
