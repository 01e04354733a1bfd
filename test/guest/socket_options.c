/* Options of UNIX sockets: the peer as a descriptor, and the time at which something was received. */
#include "guest.h"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static void received(const char *name, int fd) {
  char text[64], control[256];
  struct iovec iov = {text, sizeof text};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
  say("%s: %zd bytes, control %zu, flags %#x", name, n, message.msg_controllen, message.msg_flags);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
    struct timespec *at = (void *)CMSG_DATA(c);
    say("  level %d type %d length %zu recent %d", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len,
        c->cmsg_type == SCM_CREDENTIALS ? -1 : now.tv_sec - at->tv_sec <= 1);
  }
}

static void option(int fd, int name, int value) {
  socklen_t size = sizeof value;
  say("set %d %d: %s", name, value, setsockopt(fd, SOL_SOCKET, name, &value, sizeof value) == 0 ? "ok" : errname(errno));
  value = -7;
  if (getsockopt(fd, SOL_SOCKET, name, &value, &size) == -1) say("get %d: %s", name, errname(errno));
  else say("get %d: %d, %d bytes", name, value, size);
}

static void peer(const char *name, int fd) {
  int pidfd = -1;
  socklen_t size = sizeof pidfd;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == -1) {
    say("%s: %s", name, errname(errno));
    return;
  }
  char path[64], *line;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
  line = strstr(get(path), "\nPid:");
  say("%s: %d bytes, itself %d, close-on-exec %d", name, size, line != NULL && atoi(line + 5) == getpid(), fcntl(pidfd, F_GETFD));
  close(pidfd);
}

int main(void) {
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  for (int i = 0; i < 3; i++) {
    int sv[2], one = 1;
    say("-- type %d", types[i]);
    NEED(socketpair(AF_UNIX, types[i], 0, sv));
    peer("pair", sv[0]);
    peer("nobody", NEED(socket(AF_UNIX, types[i], 0)));
    for (int name = 29; name <= 35; name += 6) {
      option(sv[1], name, 1);
      send(sv[0], "x", 1, 0);
      received("with", sv[1]);
      option(sv[1], SO_PASSCRED, 1);
      send(sv[0], "x", 1, 0);
      received("with credentials", sv[1]);
      option(sv[1], SO_PASSCRED, 0);
      option(sv[1], name, 0);
      send(sv[0], "x", 1, 0);
      received("without", sv[1]);
    }
    option(sv[1], SO_TIMESTAMP, 1), option(sv[1], SO_TIMESTAMPNS, 1);
    socklen_t size = sizeof one;
    TRY(getsockopt(sv[1], SOL_SOCKET, SO_TIMESTAMP, &one, &size));
    INT(one);
  }
  return 0;
}
