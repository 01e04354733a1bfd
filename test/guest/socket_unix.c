/* Named local sockets. */
#include "guest.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un address(const char *path) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  strncpy(a.sun_path, path, sizeof a.sun_path - 1);
  return a;
}

int main(void) {
  scratch();
  struct sockaddr_un a = address("sock");
  int l = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
  TRY(listen(l, 5));
  TRY(bind(l, (struct sockaddr *)&a, sizeof a));
  TRY(bind(l, (struct sockaddr *)&a, sizeof a));
  int l2 = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
  TRY(bind(l2, (struct sockaddr *)&a, sizeof a));
  TRY(connect(l2, (struct sockaddr *)&a, sizeof a));
  TRY(listen(l, 5));
  struct stat st;
  stat("sock", &st);
  IS(S_ISSOCK(st.st_mode));
  TRY(open("sock", O_RDWR));
  pid_t child = NEED(fork());
  if (child == 0) {
    int s = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
    NEED(connect(s, (struct sockaddr *)&a, sizeof a));
    write(s, "request", 7);
    char b[20] = {0};
    int got = 0;
    while (read(s, b, 20) > 0) got += strcmp(b, "request") == 0;
    _exit(got);
  }
  struct sockaddr_un from;
  socklen_t len = sizeof from;
  int s = accept4(l, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
  IS(s >= 0);
  say("peer: family %d length %d", from.sun_family, len);
  char b[20] = {0};
  TRY(read(s, b, 20));
  write(s, b, strlen(b));
  TRY(shutdown(s, SHUT_RDWR));
  reap("client", child);
  close(s);
  NEED(fcntl(l, F_SETFL, O_NONBLOCK));
  TRY(accept(l, NULL, NULL));
  struct pollfd p = {l, POLLIN, 0};
  TRY(poll(&p, 1, 0));
  int c = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
  TRY(connect(c, (struct sockaddr *)&a, sizeof a));
  TRY(connect(c, (struct sockaddr *)&a, sizeof a));
  TRY(poll(&p, 1, 0));
  close(l);
  TRY(read(c, b, 1));
  int d = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
  TRY(connect(d, (struct sockaddr *)&a, sizeof a));
  a = address("missing");
  TRY(connect(d, (struct sockaddr *)&a, sizeof a));
  put("regular", "");
  a = address("regular");
  TRY(connect(d, (struct sockaddr *)&a, sizeof a));
  TRY(connect(d, (struct sockaddr *)&a, 1));
  TRY(accept(d, NULL, NULL));
  TRY(getpeername(d, (struct sockaddr *)&from, &len));
  TRY(send(d, "x", 1, MSG_NOSIGNAL));
  /* datagrams by name */
  int g = NEED(socket(AF_UNIX, SOCK_DGRAM, 0)), h = NEED(socket(AF_UNIX, SOCK_DGRAM, 0));
  a = address("g");
  TRY(bind(g, (struct sockaddr *)&a, sizeof a));
  TRY(sendto(h, "datagram", 8, 0, (struct sockaddr *)&a, sizeof a));
  len = sizeof from;
  TRY(recvfrom(g, b, 20, 0, (struct sockaddr *)&from, &len));
  INT(len);
  TRY(unlink("g"));
  TRY(sendto(h, "datagram", 8, 0, (struct sockaddr *)&a, sizeof a));
  /* names that are not in the file system */
  struct sockaddr_un abstract = {.sun_family = AF_UNIX};
  snprintf(abstract.sun_path + 1, 40, "guest-%d", getpid());
  int x = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
  TRY(bind(x, (struct sockaddr *)&abstract, 2 + 1 + strlen(abstract.sun_path + 1)));
  TRY(listen(x, 1));
  int y = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
  TRY(connect(y, (struct sockaddr *)&abstract, 2 + 1 + strlen(abstract.sun_path + 1)));
  TRY(connect(x, (struct sockaddr *)&abstract, 2 + 2));
  return 0;
}
