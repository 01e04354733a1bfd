/*
 * Corners of UNIX sockets: which error comes first, lengths beyond reason, SO_LINGER, the owner by ioctl(2); and advice
 * about memory that is not anonymous.
 */
#include "guest.h"
#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#define FIOSETOWN_ 0x8901
#define SIOCSPGRP_ 0x8902
#define FIOGETOWN_ 0x8903
#define SIOCGPGRP_ 0x8904

static void kinds(void) {
  for (int type = 0; type < 14; type++) {
    int pair[2];
    say("type %d: %s", type, socket(AF_UNIX, type, 0) == -1 ? errname(errno) : "ok");
    say("pair of type %d: %s", type, socketpair(AF_UNIX, type, 0, pair) == -1 ? errname(errno) : "ok");
  }
  TRY(socket(-1, 12, 0));
  TRY(socket(99, 12, 0));
  TRY(socket(45, 12, 0));
}

static char text[8];

static void lengths(void) {
  int pair[2];
  NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
  TRY(recv(pair[0], text, -1, 0));
  TRY(send(pair[1], "word", 4, 0));
  TRY(recv(pair[0], text, SIZE_MAX / 2, 0));
  TRY(recv(pair[0], (void *)-2L, 1, 0));
}

static void addresses(void) {
  struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "first"};
  struct sockaddr_un elsewhere = {.sun_family = AF_UNIX, .sun_path = "nonesuch/second"};
  int fd = NEED(socket(AF_UNIX, SOCK_DGRAM, 0));
  TRY(bind(fd, (struct sockaddr *)&name, sizeof name));
  TRY(bind(fd, (struct sockaddr *)&elsewhere, sizeof elsewhere));
  TRY(bind(fd, (struct sockaddr *)&name, sizeof name));
  TRY(sendto(fd, "x", 1, 0, (struct sockaddr *)&elsewhere, sizeof elsewhere));
  int pair[2];
  NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  TRY(shutdown(pair[0], SHUT_WR));
  TRY(sendto(pair[0], "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&elsewhere, sizeof elsewhere));
  TRY(sendto(pair[0], "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&name, sizeof name));
}

static void linger(void) {
  int fd = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
  struct linger value = {1, 7};
  socklen_t length = sizeof value;
  TRY(setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, 4));
  TRY(setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof value));
  TRY(setsockopt(fd, SOL_SOCKET, SO_LINGER, (void *)1, sizeof value));
  value = (struct linger){0, 0};
  TRY(getsockopt(fd, SOL_SOCKET, SO_LINGER, &value, &length));
  say("linger %d %d, %d bytes", value.l_onoff, value.l_linger, (int)length);
  value.l_onoff = 0;
  TRY(setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof value));
  TRY(getsockopt(fd, SOL_SOCKET, SO_LINGER, &value, &length));
  say("linger %d %d", value.l_onoff, value.l_linger);
}

static void owner(void) {
  int fd = NEED(socket(AF_UNIX, SOCK_STREAM, 0)), id = getpid(), file = NEED(open(".", O_RDONLY));
  TRY(ioctl(fd, FIOSETOWN_, &id));
  IS(fcntl(fd, F_GETOWN) == getpid());
  id = -getpgrp();
  TRY(ioctl(fd, SIOCSPGRP_, &id));
  id = 0;
  TRY(ioctl(fd, SIOCGPGRP_, &id));
  IS(id == -getpgrp());
  id = 0x7ffffff;
  TRY(ioctl(fd, FIOSETOWN_, &id));
  TRY(ioctl(fd, FIOGETOWN_, (void *)1));
  TRY(ioctl(fd, FIOSETOWN_, (void *)1));
  TRY(ioctl(file, FIOSETOWN_, &id));
  TRY(ioctl(file, FIOGETOWN_, &id));
}

static sigjmp_buf *escape;

static void on_fault(int signo) {
  (void)signo;
  siglongjmp(*escape, 1);
}

/* Whether a page can be read. */
static bool readable(volatile char *at) {
  sigjmp_buf here;
  escape = &here;
  if (sigsetjmp(here, 1) != 0) return false;
  (void)*at;
  return true;
}

static void guards(void) {
  handle(SIGSEGV, on_fault, 0);
  put("file", "text");
  NEED(truncate("file", 8192));
  int fd = NEED(open("file", O_RDWR));
  char *file = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char *shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  TRY(madvise(file, 4096, MADV_GUARD_INSTALL));
  IS(readable(file));
  IS(readable(file + 4096));
  TRY(madvise(file, 4096, MADV_GUARD_REMOVE));
  IS(readable(file));
  say("%.4s", file);
  TRY(madvise(shared, 4096, MADV_GUARD_INSTALL));
  IS(readable(shared));
  TRY(madvise(shared, 4096, MADV_GUARD_REMOVE));
  IS(readable(shared));
}

int main(void) {
  scratch();
  kinds();
  lengths();
  addresses();
  linger();
  owner();
  guards();
}
