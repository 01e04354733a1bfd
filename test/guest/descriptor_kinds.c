/*
 * Every kind of descriptor against what is the same for all of them: locks, attributes, transfers of nothing, flags of
 * pwritev2(2), sync_file_range(2), the common ioctl(2)s, and how far lseek(2) goes.
 */
#include "guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>

#ifndef FIOQSIZE
#define FIOQSIZE 0x5460
#endif
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif
#define BAD ((void *)1)

static void locks(int fd) {
  struct flock range = {.l_type = F_RDLCK};
  TRY(flock(fd, LOCK_SH | LOCK_NB));
  TRY(flock(fd, LOCK_UN));
  if (fcntl(fd, F_GETFL) & O_WRONLY) range.l_type = F_WRLCK;
  TRY(fcntl(fd, F_SETLK, &range));
  range.l_type = F_UNLCK;
  TRY(fcntl(fd, F_SETLK, &range));
  range.l_type = F_WRLCK;
  TRY(fcntl(fd, F_GETLK, &range));
  INT(range.l_type);
}

static void attributes(int fd) {
  struct stat st;
  TRY(fchmod(fd, 0640));
  TRY(fchown(fd, -1, -1));
  TRY(fchown(fd, 12, 13));
  TRY(futimens(fd, NULL));
  if (fstat(fd, &st) == 0) say("mode %o, owner %d:%d", st.st_mode & 07777, (int)st.st_uid, (int)st.st_gid);
}

static void nothing(int fd) {
  struct iovec none[2] = {{BAD, 0}, {NULL, 0}};
  TRY(readv(fd, none, 2));
  TRY(writev(fd, none, 2));
  TRY(readv(fd, NULL, 0));
  TRY(writev(fd, NULL, 0));
}

static void requests(int fd) {
  int off = 0, on = 1, size = 0;
  TRY(ioctl(fd, FIOASYNC, &off));
  if (ioctl(fd, FIOASYNC, &on) == -1) say("FIOASYNC: %s", errname(errno));
  else say("FIOASYNC: %d", ioctl(fd, FIOASYNC, &off));
  TRY(ioctl(fd, FIGETBSZ, &size));
  IS(size >= 512);
  TRY(ioctl(fd, FIGETBSZ, BAD));
}

static void look(const char *kind, int fd, bool has_attributes) {
  say("-- %s", kind);
  locks(fd);
  if (has_attributes) attributes(fd);
  nothing(fd);
  requests(fd);
  TRY(sync_file_range(fd, 0, 1, 0));
  TRY(sync_file_range(fd, INT64_MAX, 10, 7));
  TRY(sync_file_range(fd, 0, 1, 8));
  close(fd);
}

static void kinds(void) {
  int pair[2];
  sigset_t none;
  sigemptyset(&none);
  NEED(pipe2(pair, O_NONBLOCK));
  look("pipe, read end", pair[0], true);
  look("pipe, write end", pair[1], true);
  NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
  look("stream", pair[0], true);
  NEED(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair));
  look("datagrams", pair[0], true);
  look("eventfd", NEED(eventfd(0, EFD_NONBLOCK)), true);
  look("timerfd", NEED(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)), true);
  look("signalfd", NEED(signalfd(-1, &none, SFD_NONBLOCK)), true);
  look("epoll", NEED(epoll_create1(0)), true);
  look("inotify", NEED(inotify_init1(IN_NONBLOCK)), false);
  look("directory", NEED(open(".", O_RDONLY | O_DIRECTORY)), false);
  look("null", NEED(open("/dev/null", O_RDWR)), false);
  look("full", NEED(open("/dev/full", O_RDWR)), false);
}

/* The mode of a socket before bind(2) is that of the file. */
static void socket_mode(void) {
  struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
  struct stat st;
  umask(0);
  int fd = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
  NEED(fchmod(fd, 0600));
  NEED(bind(fd, (struct sockaddr *)&name, sizeof name));
  NEED(stat("socket", &st));
  say("bound with mode %o", st.st_mode & 07777);
  close(fd);
}

static volatile sig_atomic_t pipes_broken;

static void on_sigpipe(int signo) {
  (void)signo;
  pipes_broken++;
}

static void flags(void) {
  char text[8] = "abcdefg";
  struct iovec all = {text, 4};
  int pair[2];
  NEED(pipe(pair));
  close(pair[0]);
  handle(SIGPIPE, on_sigpipe, 0);
  TRY(pwritev2(pair[1], &all, 1, -1, RWF_NOSIGNAL));
  INT(pipes_broken);
  TRY(pwritev2(pair[1], &all, 1, -1, 0));
  INT(pipes_broken);
  TRY(pwritev2(pair[1], &all, 1, 0, RWF_NOSIGNAL));
  TRY(pwritev2(pair[1], &all, 1, 0, 0x40000000));
  int fd = NEED(open("file", O_WRONLY | O_CREAT, 0600));
  TRY(preadv2(fd, &all, 1, 0, 0x40000000));
  TRY(preadv2(fd, &all, 1, -2, 0x40000000));
  TRY(preadv2(99, &all, 1, -2, 0x40000000));
  TRY(preadv2(99, &all, 1, 0, 0x40000000));
  TRY(pwritev2(fd, &all, 1, 0, RWF_NOWAIT));
  TRY(pwritev2(fd, &all, 1, 0, RWF_NOSIGNAL | RWF_DSYNC));
  TRY(pwritev2(fd, NULL, 0, 0, 0x40000000));
  TRY(pread(fd, text, 1, INT64_MAX));
  TRY(pread(pair[1], text, 1, INT64_MAX));
}

/* A datagram whose end can't be read is not sent. */
static void datagram(void) {
  char text[8] = "abcdefg";
  struct iovec bad[2] = {{text, 4}, {BAD, 4}};
  int pair[2];
  NEED(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair));
  TRY(writev(pair[0], bad, 2));
  TRY(read(pair[1], text, sizeof text));
  TRY(read(pair[1], text, 0));
}

static void offsets(void) {
  int fd = NEED(open("/proc/self/status", O_RDONLY));
  IS(lseek(fd, INT64_MAX, SEEK_SET) == INT64_MAX || errno == EINVAL);
  IS(lseek(fd, 0, SEEK_SET) == 0);
  IS(lseek(fd, -1, SEEK_SET) == -1);
  int64_t allocated = -1;
  put("sized", "x");
  fd = NEED(open("sized", O_RDONLY));
  TRY(ioctl(fd, FIOQSIZE, &allocated));
  IS(allocated >= 0);
  TRY(ioctl(NEED(epoll_create1(0)), 0x1234, 0));
  TRY(ioctl(NEED(open("/dev/urandom", O_RDONLY)), 0x1234, 0));
  TRY(lseek(NEED(syscall(SYS_pidfd_open, getpid(), 0)), 0, SEEK_SET));
  TRY(readlinkat(fd, "", (char[8]){0}, 8));
}

int main(void) {
  scratch();
  kinds();
  socket_mode();
  flags();
  datagram();
  offsets();
}
