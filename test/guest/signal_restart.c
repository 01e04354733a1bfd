/* EINTR or restart, signal(7). */
#include "guest.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>

static volatile int hits;
static int fds[2];

static void on_alarm(int signo) {
  (void)signo;
  hits++;
}

static void fire_in(int ms) {
  struct itimerval timer = {.it_value = {0, ms * 1000}};
  setitimer(ITIMER_REAL, &timer, NULL);
}

/* A writer that makes a restarted read succeed some time after the signal. */
static pid_t write_later(int ms) {
  pid_t child = NEED(fork());
  if (child == 0) {
    sleep_ms(ms);
    (void)!write(fds[1], "x", 1);
    _exit(0);
  }
  return child;
}

static void both(int flags) {
  char c;
  say("-- %s", flags & SA_RESTART ? "SA_RESTART" : "no SA_RESTART");
  handle(SIGALRM, on_alarm, flags);
  hits = 0;
  pid_t child = write_later(120);
  fire_in(30);
  TRY(read(fds[0], &c, 1));
  INT(hits);
  reap("writer", child);
  if (!(flags & SA_RESTART)) (void)!read(fds[0], &c, 1);

  hits = 0;
  child = NEED(fork());
  if (child == 0) {
    sleep_ms(120);
    _exit(0);
  }
  fire_in(30);
  int status;
  say("wait4: %s", waitpid(child, &status, 0) == child ? "child" : errname(errno));
  if (!(flags & SA_RESTART)) waitpid(child, &status, 0);
  INT(hits);

  struct timespec time = {0, 100000000}, left = {9, 9};
  fire_in(30);
  TRY(nanosleep(&time, &left));
  IS(left.tv_sec == 0 && left.tv_nsec > 10000000 && left.tv_nsec < 90000000);
  fire_in(30);
  TRY(clock_nanosleep(CLOCK_MONOTONIC, 0, &time, &left) == EINTR);

  struct pollfd p = {.fd = fds[0], .events = POLLIN};
  fire_in(30);
  TRY(poll(&p, 1, 100));
  fire_in(30);
  TRY(ppoll(&p, 1, &time, NULL));
  fd_set set;
  FD_ZERO(&set);
  FD_SET(fds[0], &set);
  struct timeval tv = {0, 100000};
  fire_in(30);
  TRY(select(fds[0] + 1, &set, NULL, NULL, &tv));
  int ep = NEED(epoll_create1(0));
  struct epoll_event event = {.events = EPOLLIN};
  epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event);
  fire_in(30);
  TRY(epoll_wait(ep, &event, 1, 100));
  close(ep);
  uint32_t word = 0;
  fire_in(30);
  TRY(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &time, NULL, 0));
  int sockets[2];
  NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
  struct timeval limit = {0, 100000};
  setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  fire_in(30);
  TRY(recv(sockets[0], &c, 1, 0));
  close(sockets[0]), close(sockets[1]);
  fire_in(30);
  TRY(pause());
}

int main(void) {
  NEED(pipe(fds));
  both(0);
  both(SA_RESTART);
  /* a stop and a continue alone do not end a sleep */
  pid_t child = NEED(fork());
  if (child == 0) {
    struct timespec time = {0, 150000000};
    int64_t start = now_ms();
    int r = nanosleep(&time, NULL);
    say("sleep over a stop: %d, %s", r, now_ms() - start >= 150 ? "long enough" : "too short");
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    _exit(poll(&p, 1, 50) + 20);
  }
  sleep_ms(30);
  kill(child, SIGSTOP);
  waitpid(child, NULL, WUNTRACED);
  sleep_ms(30);
  kill(child, SIGCONT);
  reap("stopped sleeper", child);
  /* an ignored signal does not interrupt */
  signal(SIGALRM, SIG_IGN);
  fire_in(20);
  struct timespec time = {0, 60000000};
  TRY(nanosleep(&time, NULL));
  /* nor does a blocked one */
  handle(SIGALRM, on_alarm, 0);
  sigset_t set;
  sigemptyset(&set), sigaddset(&set, SIGALRM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  hits = 0;
  fire_in(20);
  TRY(nanosleep(&time, NULL));
  INT(hits);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  INT(hits);
  return 0;
}
