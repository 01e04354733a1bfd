/* Signal-driven I/O: O_ASYNC, F_SETOWN, F_SETOWN_EX, F_SETSIG, fcntl(2). */
#include "guest.h"
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static siginfo_t last;
static int count;
static pid_t receiver;

static void on_signal(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)context;
  last = *info;
  count++;
  receiver = (pid_t)syscall(SYS_gettid);
}

static void show(const char *what) {
  if (count == 0) say("%s: nothing", what);
  else if (last.si_code == SI_KERNEL) say("%s: signal %d of the kernel's", what, last.si_signo - (last.si_signo >= SIGRTMIN ? SIGRTMIN : 0));
  else
    say("%s: signal %d, code %d, band %lx, descriptor %d", what, last.si_signo - (last.si_signo >= SIGRTMIN ? SIGRTMIN : 0),
        last.si_code, last.si_band, last.si_fd);
  count = 0;
}

#define DO(x) ((void)!(x), show(#x))

static void asynchronous(int fd, bool on) {
  int flags = NEED(fcntl(fd, F_GETFL));
  NEED(fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC));
}

static char buffer[200000];

static void pipes(int signo) {
  int p[2];
  NEED(pipe2(p, O_NONBLOCK));
  int reader = NEED(fcntl(p[0], F_DUPFD, 100)), writer = NEED(fcntl(p[1], F_DUPFD, 110));
  close(p[0]);
  close(p[1]);
  say("pipe, F_SETSIG %d", signo ? 1 : 0);
  asynchronous(reader, true);
  DO(write(writer, "x", 1)); // nobody owns it yet
  read(reader, buffer, sizeof buffer);
  NEED(fcntl(reader, F_SETOWN, getpid()));
  NEED(fcntl(reader, F_SETSIG, signo));
  DO(write(writer, "x", 1));
  DO(read(reader, buffer, sizeof buffer));
  NEED(fcntl(writer, F_SETOWN, getpid()));
  NEED(fcntl(writer, F_SETSIG, signo));
  asynchronous(reader, false);
  DO(write(writer, "x", 1));
  read(reader, buffer, sizeof buffer);
  asynchronous(writer, true);
  while (write(writer, buffer, sizeof buffer) > 0) continue;
  count = 0;
  DO(read(reader, buffer, 65536));
  asynchronous(writer, false);
  asynchronous(reader, true);
  while (read(reader, buffer, sizeof buffer) > 0) continue;
  count = 0;
  NEED(fcntl(reader, F_SETOWN, 0));
  DO(write(writer, "x", 1));
  close(reader);
  count = 0;
  DO(write(writer, "x", 1));
  close(writer);
}

static void sockets(int type) {
  int s[2];
  NEED(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s));
  int a = NEED(fcntl(s[0], F_DUPFD, 120)), b = s[1];
  close(s[0]);
  say("socket of type %d", type);
  NEED(fcntl(a, F_SETOWN, getpid()));
  NEED(fcntl(a, F_SETSIG, SIGRTMIN + 2));
  int on = 1;
  NEED(ioctl(a, FIOASYNC, &on));
  IS(fcntl(a, F_GETFL) & O_ASYNC);
  DO(write(b, "x", 1));
  DO(write(b, "y", 1));
  read(a, buffer, sizeof buffer);
  read(a, buffer, sizeof buffer);
  count = 0;
  on = 0;
  NEED(ioctl(a, FIOASYNC, &on));
  DO(write(b, "x", 1));
  close(a);
  close(b);
}

static int shared[2];
static pthread_barrier_t barrier;
static pid_t other;

static void *thread(void *unused) {
  (void)unused;
  other = (pid_t)syscall(SYS_gettid);
  struct f_owner_ex owner = {F_OWNER_TID, other};
  NEED(fcntl(shared[0], F_SETOWN_EX, &owner));
  NEED(fcntl(shared[0], F_SETSIG, SIGRTMIN));
  asynchronous(shared[0], true);
  pthread_barrier_wait(&barrier);
  while (count == 0) sleep_ms(5);
  pthread_barrier_wait(&barrier);
  return NULL;
}

int main(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  NEED(sigaction(SIGIO, &action, NULL));
  NEED(sigaction(SIGRTMIN, &action, NULL));
  NEED(sigaction(SIGRTMIN + 2, &action, NULL));
  NEED(sigaction(SIGURG, &action, NULL));
  signal(SIGPIPE, SIG_IGN);
  pipes(0);
  pipes(SIGRTMIN);
  pipes(SIGIO);
  pipes(SIGURG);
  sockets(SOCK_STREAM);
  sockets(SOCK_DGRAM);
  sockets(SOCK_SEQPACKET);

  // one thread
  NEED(pipe(shared));
  pthread_t id;
  pthread_barrier_init(&barrier, NULL, 2);
  pthread_create(&id, NULL, thread, NULL);
  pthread_barrier_wait(&barrier);
  write(shared[1], "x", 1);
  pthread_barrier_wait(&barrier);
  IS(receiver == other);
  count = 0;
  pthread_join(id, NULL);
  read(shared[0], buffer, 1);
  DO(write(shared[1], "x", 1)); // its owner has ended
  read(shared[0], buffer, 1);

  // a process group, of which a child is a member
  struct f_owner_ex owner = {F_OWNER_PGRP, getpgrp()};
  setpgid(0, 0);
  owner.pid = getpgrp();
  NEED(fcntl(shared[0], F_SETOWN_EX, &owner));
  INT(fcntl(shared[0], F_GETOWN) == -getpgrp());
  int ready[2], said[2];
  NEED(pipe(ready));
  NEED(pipe(said));
  pid_t child = NEED(fork());
  if (child == 0) {
    write(ready[1], "x", 1);
    while (count == 0) sleep_ms(5);
    while (read(said[0], buffer, 1) < 0) continue;
    say("child: signal %d, code %d", last.si_signo == SIGRTMIN, last.si_code);
    _exit(0);
  }
  read(ready[0], buffer, 1);
  DO(write(shared[1], "x", 1));
  write(said[1], "x", 1);
  reap("child", child);
  count = 0;

  // who set the owner may not be allowed to send it a signal
  read(shared[0], buffer, 1);
  NEED(fcntl(shared[0], F_SETOWN, getpid()));
  child = NEED(fork());
  if (child == 0) {
    if (setresuid(1234, 1234, 1234) == 0) NEED(fcntl(shared[0], F_SETOWN, getppid()));
    write(shared[1], "x", 1);
    _exit(0);
  }
  reap("child", child);
  if (geteuid() == 0) show("set by somebody without the right");
  else say("set by somebody without the right: nothing");
  return 0;
}
