/* Out-of-band data of UNIX stream sockets, MSG_OOB: one byte, where it lies in the stream, and who is told. */
#include "guest.h"
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int sv[2];
static char text[64];
static volatile int urgent;
static void on_urgent(int signo) { (void)signo, urgent++; }

static void poll_bits(const char *when) {
  struct pollfd p = {sv[1], POLLIN | POLLPRI, 0};
  poll(&p, 1, 0);
  int mark = -1, bytes = -1;
  ioctl(sv[1], SIOCATMARK, &mark), ioctl(sv[1], FIONREAD, &bytes);
  say("%s: poll %#x mark %d", when, p.revents, mark);
}

static void receive(int flags) {
  memset(text, 0, sizeof text);
  ssize_t n = recv(sv[1], text, sizeof text, flags | MSG_DONTWAIT);
  if (n == -1) say("recv %#x: %s", flags, errname(errno));
  else say("recv %#x: %zd \"%s\"", flags, n, text);
}

static void fresh(void) {
  close(sv[0]), close(sv[1]);
  NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
}

int main(void) {
  NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
  receive(MSG_OOB);
  TRY(send(sv[0], "", 0, MSG_OOB));
  TRY(send(sv[0], "abc", 3, MSG_OOB));
  poll_bits("abc sent");
  receive(MSG_OOB | MSG_PEEK), receive(MSG_OOB), receive(MSG_OOB);
  poll_bits("c read");
  receive(0);
  poll_bits("ab read");
  receive(0);
  fresh();
  send(sv[0], "hello", 5, 0), send(sv[0], "!", 1, MSG_OOB), send(sv[0], "world", 5, 0);
  receive(MSG_PEEK), receive(0);
  poll_bits("at the mark");
  receive(MSG_PEEK), receive(0);
  poll_bits("past it");
  receive(MSG_OOB), receive(0);
  fresh();
  send(sv[0], "a", 1, MSG_OOB), send(sv[0], "b", 1, MSG_OOB);
  receive(MSG_OOB), receive(0), receive(0);
  fresh();
  send(sv[0], "a", 1, MSG_OOB), send(sv[0], "b", 1, 0);
  receive(MSG_OOB), receive(0), receive(0);
  fresh();
  send(sv[0], "only", 4, MSG_OOB);
  TRY(read(sv[1], text, 1));
  TRY(read(sv[1], text, 60));
  receive(0);
  fresh();
  /* in line */
  int one = 1;
  socklen_t size = sizeof one;
  TRY(setsockopt(sv[1], SOL_SOCKET, SO_OOBINLINE, &one, sizeof one));
  one = 0;
  TRY(getsockopt(sv[1], SOL_SOCKET, SO_OOBINLINE, &one, &size));
  INT(one);
  send(sv[0], "ab", 2, 0), send(sv[0], "!", 1, MSG_OOB), send(sv[0], "cd", 2, 0);
  receive(MSG_OOB), receive(0);
  poll_bits("at the mark");
  receive(0), receive(0);
  fresh();
  /* who is told */
  handle(SIGURG, on_urgent, SA_RESTART);
  send(sv[0], "x", 1, MSG_OOB);
  INT(urgent);
  NEED(fcntl(sv[1], F_SETOWN, getpid()));
  send(sv[0], "y", 1, MSG_OOB);
  INT(urgent);
  /* the flag that recvmsg says it with; a closed peer */
  struct iovec iov = {text, 8};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
  TRY(recvmsg(sv[1], &message, MSG_OOB));
  say("flags %#x", message.msg_flags);
  send(sv[0], "z", 1, MSG_OOB);
  close(sv[0]);
  receive(MSG_OOB), receive(0), receive(MSG_OOB);
  close(sv[1]);
  NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
  TRY(send(sv[0], "x", 1, MSG_OOB));
  receive(MSG_OOB);
  TRY(ioctl(sv[0], SIOCATMARK, &one));
  TRY(ioctl(sv[0], SIOCOUTQ, &one));
  INT(one);
  return 0;
}
