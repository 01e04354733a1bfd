#include "guest.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/ioctl.h>
#include <sys/un.h>

int main(void) {
  int s[2];
  char b[64] = {0};
  signal(SIGPIPE, SIG_IGN);
  TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  TRY(write(s[0], "hello", 5));
  TRY(recv(s[1], b, 3, MSG_PEEK));
  int n;
  TRY(ioctl(s[1], FIONREAD, &n));
  INT(n);
  TRY(recv(s[1], b, 64, 0));
  say("%s", b);
  TRY(recv(s[1], b, 64, MSG_DONTWAIT));
  TRY(send(s[1], "back", 4, MSG_NOSIGNAL));
  TRY(read(s[0], b, 64));
  struct stat st;
  fstat(s[0], &st);
  IS(S_ISSOCK(st.st_mode));
  TRY(lseek(s[0], 0, SEEK_SET));
  int type;
  socklen_t len = sizeof type;
  TRY(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &type, &len));
  INT(type);
  TRY(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &type, &len));
  INT(type);
  TRY(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &type, &len));
  INT(type);
  struct ucred cred;
  len = sizeof cred;
  TRY(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &cred, &len));
  IS(cred.pid == getpid() && cred.uid == geteuid() && cred.gid == getegid());
  struct sockaddr_un name;
  len = sizeof name;
  TRY(getsockname(s[0], (struct sockaddr *)&name, &len));
  say("family %d length %d", name.sun_family, len);

  /* descriptors travel */
  int fds[2];
  NEED(pipe(fds));
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec iov = {"F", 1};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
  cm->cmsg_level = SOL_SOCKET, cm->cmsg_type = SCM_RIGHTS, cm->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(cm), &fds[1], sizeof(int));
  TRY(sendmsg(s[0], &msg, 0));
  close(fds[1]);
  pid_t child = NEED(fork());
  if (child == 0) {
    struct iovec in = {b, 64};
    struct msghdr m = {.msg_iov = &in, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    TRY(recvmsg(s[1], &m, MSG_CMSG_CLOEXEC));
    cm = CMSG_FIRSTHDR(&m);
    int got;
    memcpy(&got, CMSG_DATA(cm), sizeof got);
    say("type %d, cloexec %d", cm->cmsg_type, fcntl(got, F_GETFD));
    write(got, "through", 7);
    _exit(0);
  }
  reap("child", child);
  memset(b, 0, sizeof b);
  TRY(read(fds[0], b, 64));
  say("%s", b);

  struct pollfd p = {s[0], POLLIN | POLLOUT | POLLRDHUP, 0};
  poll(&p, 1, 0);
  say("open: %x", p.revents);
  TRY(shutdown(s[1], SHUT_WR));
  poll(&p, 1, 0);
  say("peer shut: %x", p.revents);
  TRY(read(s[0], b, 1));
  TRY(write(s[1], "x", 1));
  TRY(write(s[0], "y", 1));
  close(s[1]);
  poll(&p, 1, 0);
  say("peer closed: %x", p.revents);
  TRY(write(s[0], "x", 1));
  TRY(read(s[0], b, 1));
  TRY(read(s[0], b, 1));

  /* datagrams keep their edges */
  TRY(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s));
  TRY(fcntl(s[0], F_GETFD));
  TRY(send(s[0], "first", 5, 0));
  TRY(send(s[0], "", 0, 0));
  TRY(send(s[0], "third", 5, 0));
  TRY(recv(s[1], b, 2, MSG_TRUNC));
  TRY(recv(s[1], b, 64, 0));
  TRY(recv(s[1], b, 64, 0));
  TRY(recv(s[1], b, 64, 0));
  TRY(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
  write(s[0], "one", 3), write(s[0], "two", 3);
  TRY(read(s[1], b, 64));
  close(s[0]);
  TRY(read(s[1], b, 64));
  TRY(read(s[1], b, 64));
  TRY(socketpair(AF_UNIX, 77, 0, s));
  TRY(socketpair(999, SOCK_STREAM, 0, s));
  TRY(socket(999, SOCK_STREAM, 0));
  TRY(send(0x70, "x", 1, 0));
  TRY(send(fds[0], "x", 1, 0));
  return 0;
}
