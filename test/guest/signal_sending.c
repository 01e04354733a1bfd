/* Who may send what, and what arrives: kill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal, signalfd. */
#include "guest.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

static sigset_t all;

static const char *error(long result) { return result == -1 ? errname(errno) : "ok"; }

static long queue_info(pid_t pid, int signo, int code, int value) {
  siginfo_t info = {.si_signo = 77, .si_errno = 5, .si_code = code, .si_pid = 4242, .si_uid = 4343};
  info.si_value.sival_int = value;
  return syscall(SYS_rt_sigqueueinfo, pid, signo, &info);
}

static long thread_queue_info(pid_t pid, pid_t tid, int signo, int code) {
  siginfo_t info = {.si_signo = 77, .si_code = code, .si_pid = 4242, .si_uid = 4343};
  return syscall(SYS_rt_tgsigqueueinfo, pid, tid, signo, &info);
}

static void taken(const char *name) {
  siginfo_t info;
  memset(&info, 0x55, sizeof info);
  struct timespec none = {0, 0};
  int got = sigtimedwait(&all, &info, &none);
  if (got == -1) say("%s: %s", name, errname(errno));
  else
    say("%s: %d signo %d errno %d code %d pid %s uid %d value %d", name, got, info.si_signo, info.si_errno, info.si_code,
        info.si_pid == getpid()    ? "own"
        : info.si_pid == getppid() ? "parent"
        : info.si_pid == 4242      ? "4242"
        : info.si_pid == 0         ? "0"
                                   : "?",
        info.si_uid, info.si_value.sival_int);
}

static void *from_thread(void *unused) {
  (void)unused;
  pid_t pid = getpid(), tid = gettid();
  say("thread, own process as SI_USER: %s", error(queue_info(pid, SIGUSR1, SI_USER, 1)));
  say("thread, own process as SI_TKILL: %s", error(queue_info(pid, SIGUSR1, SI_TKILL, 1)));
  say("thread, itself as SI_USER: %s", error(thread_queue_info(pid, tid, SIGUSR1, SI_USER)));
  say("thread, the leader as SI_USER: %s", error(thread_queue_info(pid, pid, SIGUSR1, SI_USER)));
  say("thread, the leader as SI_QUEUE: %s", error(thread_queue_info(pid, pid, SIGUSR1, SI_QUEUE)));
  say("kill of a thread id: %s", error(kill(tid, 0)));
  say("sigqueue of a thread id: %s", error(queue_info(tid, 0, SI_QUEUE, 0)));
  taken("own");
  return NULL;
}

static int signal_fd(void) { return NEED(signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC)); }

static void read_fd(const char *name, int fd) {
  struct signalfd_siginfo info;
  memset(&info, 0x55, sizeof info);
  ssize_t n = read(fd, &info, sizeof info);
  if (n == -1) say("%s: %s", name, errname(errno));
  else
    say("%s: %zd signo %u errno %d code %d pid %s uid %u int %d ptr %s status %d overrun %u tid %u", name, n,
        info.ssi_signo, info.ssi_errno, info.ssi_code,
        info.ssi_pid == (unsigned)getpid()    ? "own"
        : info.ssi_pid == (unsigned)getppid() ? "parent"
        : info.ssi_pid == 4242                ? "4242"
        : info.ssi_pid == 0                   ? "0"
                                              : "?",
        info.ssi_uid, info.ssi_int, info.ssi_ptr == 0 ? "0" : "set", info.ssi_status, info.ssi_overrun, info.ssi_tid);
}

static int ready(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  return poll(&poll_fd, 1, 0) == 1 ? poll_fd.revents : 0;
}

static volatile int thread_fd, thread_go;
static void *read_in_thread(void *unused) {
  (void)unused;
  say("thread's poll %d", ready(thread_fd));
  read_fd("thread reads what is the process's", thread_fd);
  raise(SIGUSR2);
  say("thread's poll of its own %d", ready(thread_fd));
  thread_go = 1;
  while (thread_go != 2) sleep_ms(1);
  read_fd("thread reads its own", thread_fd);
  return NULL;
}

int main(void) {
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  pid_t self = getpid();
  setpgid(0, 0);

  say("errors");
  say("kill 65: %s", error(kill(self, 65)));
  say("kill -1: %s", error(kill(self, -1)));
  say("kill nobody: %s", error(kill(999999, SIGUSR1)));
  say("kill nobody 65: %s", error(kill(999999, 65)));
  say("kill INT_MIN: %s", error(syscall(SYS_kill, INT_MIN, 0)));
  say("kill no group: %s", error(kill(-999999, 0)));
  say("kill group 1: %s", error(kill(-self, 0)));
  say("kill own group: %s", error(kill(0, 0)));
  say("tkill 0: %s", error(syscall(SYS_tkill, 0, 0)));
  say("tkill nobody: %s", error(syscall(SYS_tkill, 999999, 0)));
  say("tgkill 0: %s", error(syscall(SYS_tgkill, 0, self, 0)));
  say("tgkill wrong group: %s", error(syscall(SYS_tgkill, getppid(), self, 0)));
  say("tgkill 65: %s", error(syscall(SYS_tgkill, self, self, 65)));
  say("sigqueue nobody: %s", error(queue_info(999999, SIGUSR1, SI_QUEUE, 0)));
  say("sigqueue group: %s", error(queue_info(-self, SIGUSR1, SI_QUEUE, 0)));
  say("sigqueue 0: %s", error(queue_info(0, SIGUSR1, SI_QUEUE, 0)));
  say("sigqueue 65: %s", error(queue_info(self, 65, SI_QUEUE, 0)));
  say("sigqueue signal 0: %s", error(queue_info(self, 0, SI_QUEUE, 0)));
  say("sigqueue bad pointer: %s", error(syscall(SYS_rt_sigqueueinfo, self, SIGUSR1, (void *)8)));
  say("tgsigqueue 0: %s", error(thread_queue_info(0, self, SIGUSR1, SI_QUEUE)));
  say("tgsigqueue negative thread: %s", error(thread_queue_info(self, -1, SIGUSR1, SI_QUEUE)));
  char raw[128] = {0};
  int code = -70;
  memcpy(raw + 8, &code, 4);
  raw[100] = 1;
  say("an unknown layout with more than fits: %s", error(syscall(SYS_rt_sigqueueinfo, self, SIGUSR1, raw)));
  taken("nothing");

  say("codes to oneself");
  const int codes[] = {SI_USER, SI_KERNEL, SI_TKILL, SI_QUEUE, SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO, -70, 1, 5};
  for (int i = 0; i < 11; i++) {
    say("code %d: %s", codes[i], error(queue_info(self, SIGRTMIN, codes[i], 9)));
    taken("arrived");
  }
  say("codes to another");
  pid_t child = NEED(fork());
  if (child == 0) {
    for (;;) pause();
  }
  for (int i = 0; i < 11; i++) say("code %d: %s", codes[i], error(queue_info(child, SIGRTMIN, codes[i], 9)));
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  sigset_t none;
  sigemptyset(&none);
  taken("its end"), taken("nothing else");

  say("from a thread");
  pthread_t thread;
  pthread_create(&thread, NULL, from_thread, NULL);
  pthread_join(thread, NULL);
  taken("the leader's"), taken("nothing else");

  say("order: lowest first, own before the process's, synchronous ones first");
  kill(self, SIGRTMIN + 1);
  kill(self, SIGHUP);
  queue_info(self, SIGRTMIN, SI_QUEUE, 1);
  queue_info(self, SIGRTMIN, SI_QUEUE, 2);
  syscall(SYS_tgkill, self, self, SIGTERM);
  syscall(SYS_tgkill, self, self, SIGRTMIN);
  kill(self, SIGSEGV);
  kill(self, SIGINT);
  for (int i = 0; i < 9; i++) taken("next");

  say("stop and continue signals cancel each other");
  kill(self, SIGTSTP);
  kill(self, SIGTTIN);
  kill(self, SIGCONT);
  taken("after SIGCONT"), taken("nothing else");
  kill(self, SIGCONT);
  kill(self, SIGTTOU);
  taken("after SIGTTOU"), taken("nothing else");

  say("signalfd");
  int fd = signal_fd();
  say("ready %d", ready(fd));
  read_fd("empty", fd);
  say("short buffer: %s", error(read(fd, raw, 127)));
  kill(self, SIGUSR1);
  say("ready %d", ready(fd));
  read_fd("kill", fd);
  syscall(SYS_tgkill, self, self, SIGUSR1);
  read_fd("tgkill", fd);
  queue_info(self, SIGRTMIN, SI_QUEUE, -5);
  read_fd("sigqueue", fd);
  queue_info(self, SIGRTMIN, -70, 6);
  read_fd("unknown code", fd);
  queue_info(self, SIGRTMIN, SI_TIMER, 6);
  read_fd("pretended timer", fd);
  child = NEED(fork());
  if (child == 0) _exit(7);
  waitpid(child, NULL, 0);
  read_fd("child", fd);
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
  event.sigev_value.sival_int = 31;
  timer_create(CLOCK_MONOTONIC, &event, &timer);
  struct itimerspec soon = {.it_value = {0, 1000000}};
  timer_settime(timer, 0, &soon, NULL);
  sleep_ms(30);
  read_fd("timer", fd);
  kill(self, SIGUSR1), kill(self, SIGUSR2);
  struct signalfd_siginfo several[3];
  say("several: %zd", read(fd, several, sizeof several) / (ssize_t)sizeof *several);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, SIGUSR2);
  say("another mask: %d", signalfd(fd, &one, 0) == fd);
  kill(self, SIGUSR1);
  say("not ready %d", ready(fd));
  read_fd("not in the mask", fd);
  signalfd(fd, &all, 0);
  read_fd("in the mask again", fd);
  say("bad fd: %s", error(signalfd(999, &all, 0)));
  say("no signalfd: %s", error(signalfd(1, &all, 0)));
  say("bad flags: %s", error(signalfd(-1, &all, 1)));
  say("bad size: %s", error(syscall(SYS_signalfd4, -1, &all, 4, 0)));

  say("signalfd in a child");
  kill(self, SIGUSR1);
  child = NEED(fork());
  if (child == 0) {
    say("the parent's is not the child's: ready %d", ready(fd));
    read_fd("nothing", fd);
    kill(getpid(), SIGUSR2);
    say("ready %d", ready(fd));
    read_fd("its own", fd);
    _exit(0);
  }
  reap("child", child);
  read_fd("the parent's", fd);
  read_fd("and of its child", fd);
  int poller = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event interest = {.events = EPOLLIN}, got;
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &interest);
  say("epoll %d", epoll_wait(poller, &got, 1, 0));
  kill(self, SIGUSR1);
  say("epoll %d", epoll_wait(poller, &got, 1, 0));
  read_fd("epoll", fd);
  say("epoll %d", epoll_wait(poller, &got, 1, 0));

  say("signalfd in a thread");
  thread_fd = fd;
  kill(self, SIGUSR1);
  pthread_create(&thread, NULL, read_in_thread, NULL);
  while (thread_go != 1) sleep_ms(1);
  say("a thread's own is nobody else's: ready %d", ready(fd));
  read_fd("nothing", fd);
  thread_go = 2;
  pthread_join(thread, NULL);

  say("pidfd_send_signal");
  int own = NEED(syscall(SYS_pidfd_open, self, 0));
  say("as kill: %s", error(syscall(SYS_pidfd_send_signal, own, SIGUSR1, NULL, 0)));
  taken("arrived");
  siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE, .si_pid = 4242};
  say("with info: %s", error(syscall(SYS_pidfd_send_signal, own, SIGUSR1, &info, 0)));
  taken("arrived");
  say("with another signal's info: %s", error(syscall(SYS_pidfd_send_signal, own, SIGUSR2, &info, 0)));
  say("65: %s", error(syscall(SYS_pidfd_send_signal, own, 65, NULL, 0)));
  say("no pidfd: %s", error(syscall(SYS_pidfd_send_signal, 1, SIGUSR1, NULL, 0)));
  say("bad flags: %s", error(syscall(SYS_pidfd_send_signal, own, SIGUSR1, NULL, 8)));
  say("two flags: %s", error(syscall(SYS_pidfd_send_signal, own, SIGUSR1, NULL, 3)));
  for (int flag = 1; flag <= 4; flag *= 2) {
    say("flag %d: %s", flag, error(syscall(SYS_pidfd_send_signal, own, SIGUSR1, NULL, flag)));
    taken("arrived");
  }
  int of_thread = syscall(SYS_pidfd_open, self, O_EXCL);
  say("pidfd of a thread: %s", of_thread == -1 ? errname(errno) : "ok");
  if (of_thread != -1) {
    say("to it: %s", error(syscall(SYS_pidfd_send_signal, of_thread, SIGUSR1, NULL, 0)));
    taken("arrived");
  }

  say("without privileges");
  child = NEED(fork());
  if (child == 0) {
    setresuid(12345, 12345, 12345);
    say("kill: %s", error(kill(getppid(), SIGUSR1)));
    say("kill 0: %s", error(kill(getppid(), 0)));
    say("kill 65: %s", error(kill(getppid(), 65)));
    say("SIGCONT in the session: %s", error(kill(getppid(), SIGCONT)));
    say("group: %s", error(kill(-getppid(), SIGUSR2)));
    say("oneself as the kernel: %s", error(queue_info(getpid(), SIGUSR1, SI_KERNEL, 0)));
    _exit(0);
  }
  reap("child", child);
  for (int i = 0; i < 3; i++) taken("arrived");
  return 0;
}
