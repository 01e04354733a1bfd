/* Interrupted in the middle: what was done counts. */
#include "guest.h"
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

static char big[200000];
static void on_alarm(int signo) { (void)signo; }

static void fire(int flags) {
  handle(SIGALRM, on_alarm, flags);
  struct itimerval timer = {.it_value = {0, 50000}};
  setitimer(ITIMER_REAL, &timer, NULL);
}

int main(void) {
  int fds[2];
  NEED(pipe(fds));
  fire(0);
  TRY(write(fds[1], big, sizeof big));
  fire(0);
  TRY(write(fds[1], big, 1));
  fire(SA_RESTART);
  pid_t child = NEED(fork());
  if (child == 0) {
    sleep_ms(150);
    long total = 0, n;
    close(fds[1]);
    while ((n = read(fds[0], big, 7000)) > 0) total += n;
    say("drained: %ld", total);
    _exit(0);
  }
  TRY(write(fds[1], big, 1));
  close(fds[1]);
  reap("reader", child);
  /* a read returns what there is */
  NEED(pipe(fds));
  write(fds[1], "abc", 3);
  TRY(read(fds[0], big, sizeof big));
  struct iovec v[3] = {{big, 2}, {big + 10, 2}, {big + 20, 100}};
  write(fds[1], "abcde", 5);
  TRY(readv(fds[0], v, 3));
  /* the same on sockets, with MSG_WAITALL and a limit on time */
  NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
  write(fds[1], "abc", 3);
  fire(0);
  TRY(recv(fds[0], big, 10, MSG_WAITALL));
  struct timeval limit = {0, 40000};
  NEED(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
  TRY(recv(fds[0], big, 10, 0));
  write(fds[1], "abc", 3);
  TRY(recv(fds[0], big, 10, MSG_WAITALL));
  close(fds[1]);
  TRY(recv(fds[0], big, 10, MSG_WAITALL));
  return 0;
}
