/* Which error comes first when several are due: writes, messages, splice(2) and sendfile(2). Found by generated programs. */
#include "guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static void *volatile bad_address = (void *)8;

static int pipes[2], stream[2], alone, datagram, packet, event, null, file, directory;

static void vectors(void) {
  char bytes[64] = {0};
  struct iovec bad_then_negative[] = {{bad_address, 8}, {bytes, -1}}, odd[] = {{bytes, 0}, {bytes, 8}}, small[] = {{bytes, 4}, {bytes, 8}};
  struct iovec twice[] = {{bytes, 8}, {bytes, 8}, {bytes, 8}}, once[] = {{bytes, 16}, {bytes, 16}}, bad[] = {{bytes, 8}, {bad_address, 8}};
  TRY(writev(file, bad_then_negative, 2));
  TRY(readv(file, bad_then_negative, 2));
  bytes[0] = 1;
  uint64_t count;
  TRY(writev(event, odd, 2));
  TRY(writev(event, small, 2));
  TRY(writev(event, twice, 3));
  TRY(read(event, &count, 8));
  INT(count);
  TRY(writev(event, once, 2));
  TRY(read(event, &count, 8));
  INT(count);
  TRY(writev(event, bad, 2));
  TRY(read(event, &count, 8));
  INT(count);
  TRY(writev(null, bad, 2));
  TRY(write(null, bad_address, 100));
  TRY(pwrite(null, bad_address, 100, 5));
  TRY(pwritev2(null, bad, 2, 3, RWF_HIPRI | RWF_DSYNC | RWF_SYNC));
  TRY(pwritev2(null, bad, 2, 3, RWF_APPEND));
  int full = NEED(open("/dev/full", O_RDWR)), zero = NEED(open("/dev/zero", O_RDWR));
  TRY(write(full, bad_address, 100));
  TRY(write(zero, bad_address, 100));
  close(full);
  close(zero);
}

static void messages(void) {
  struct sockaddr_un missing = {AF_UNIX, "no-such-socket"};
  struct iovec vector = {bad_address, 10};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  TRY(write(alone, bad_address, 10));
  TRY(writev(alone, &vector, 1));
  TRY(send(alone, bad_address, 10, 0));
  TRY(sendmsg(alone, &message, MSG_NOSIGNAL));
  TRY(write(packet, bad_address, 10));
  TRY(send(packet, bad_address, 10, 0));
  TRY(write(datagram, bad_address, 10));
  TRY(send(datagram, bad_address, 10, 0));
  TRY(sendto(datagram, bad_address, 10, 0, (struct sockaddr *)&missing, sizeof missing));
  TRY(sendto(datagram, "", 1, 0, (struct sockaddr *)&missing, sizeof missing));
  static char much[300000];
  TRY(sendto(datagram, much, sizeof much, 0, (struct sockaddr *)&missing, sizeof missing));
  TRY(sendto(stream[0], bad_address, 10, 0, (struct sockaddr *)&missing, sizeof missing));
  TRY(send(stream[0], bad_address, 10, 0));
  NEED(shutdown(stream[0], SHUT_WR));
  TRY(send(stream[0], bad_address, 10, MSG_NOSIGNAL));
  TRY(sendmsg(stream[0], &message, MSG_NOSIGNAL));
  NEED(shutdown(stream[0], SHUT_RD));
  TRY(send(stream[1], bad_address, 10, MSG_NOSIGNAL));
  NEED(shutdown(datagram, SHUT_WR));
  TRY(sendto(datagram, bad_address, 10, MSG_NOSIGNAL, (struct sockaddr *)&missing, sizeof missing));
}

/* connect(2) looks for the other end first. */
static void connections(void) {
  struct sockaddr_un missing = {AF_UNIX, "no-such-socket"}, abstract = {AF_UNIX, "\0x"};
  int pair[2];
  NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  TRY(connect(pair[0], (struct sockaddr *)&missing, sizeof missing));
  TRY(connect(pair[0], (struct sockaddr *)&abstract, 4));
  TRY(connect(pair[0], (struct sockaddr *)&abstract, 2));
  int listener = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
  TRY(bind(listener, (struct sockaddr *)&abstract, 4));
  TRY(connect(pair[0], (struct sockaddr *)&abstract, 4));
  NEED(listen(listener, 1));
  TRY(connect(pair[0], (struct sockaddr *)&abstract, 4));
  TRY(connect(pipes[0], (struct sockaddr *)&abstract, 1));
  TRY(connect(pipes[0], (struct sockaddr *)&abstract, 129));
  TRY(connect(pipes[0], (struct sockaddr *)bad_address, 10));
  TRY(bind(pipes[0], (struct sockaddr *)bad_address, 129));
  TRY(connect(99, (struct sockaddr *)bad_address, 129));
  TRY(connect(listener, (struct sockaddr *)&abstract, 4));
}

static void positions(void) {
  off_t position = 0;
  const off_t *readable = (off_t *)"\1\0\0\0\0\0\0"; /* but not writable */
  TRY(splice(file, bad_address, null, NULL, 10, 0));
  TRY(splice(file, &position, null, NULL, 10, 0));
  TRY(splice(pipes[1], &position, null, NULL, 10, 0));
  TRY(splice(null, NULL, pipes[0], bad_address, 10, 0));
  TRY(splice(pipes[1], NULL, null, NULL, 10, 0));
  TRY(splice(event, &position, pipes[1], NULL, 10, 0));
  TRY(splice(stream[1], &position, pipes[1], NULL, 10, 0));
  TRY(splice(99, &position, pipes[1], &position, 10, 0));
  TRY(sendfile(null, file, (off_t *)readable, 10));
  TRY(sendfile(99, file, (off_t *)readable, 10));
  TRY(sendfile(99, 98, (off_t *)readable, 10));
  TRY(sendfile(99, 98, &position, 10));
  TRY(sendfile(file, stream[1], &position, 10));
  TRY(sendfile(file, event, &position, 10));
  int other[2];
  NEED(pipe2(other, O_NONBLOCK));
  TRY(sendfile(other[1], pipes[0], NULL, 10));
  TRY(sendfile(file, pipes[0], NULL, 10));
  TRY(sendfile(other[1], directory, NULL, 10));
  TRY(sendfile(pipes[0], other[0], NULL, 10));
  TRY(pwrite(file, "x", 1, INT64_MAX));
  TRY(pwrite(file, "xy", 2, INT64_MAX - 1));
  TRY(pwrite(file, "", 0, INT64_MAX));
  TRY(pread(file, &position, 8, INT64_MAX));
  TRY(pread(file, &position, 8, INT64_MAX - 7));
  TRY(pread(file, &position, 8, INT64_MAX - 8));
  TRY(pwrite(null, "xy", 2, INT64_MAX - 1));
  TRY(pwrite(pipes[1], "x", 1, INT64_MAX));
  int pidfd = NEED(syscall(SYS_pidfd_open, getpid(), 0));
  struct iovec vector = {&position, 8};
  TRY(pread(pidfd, &position, 8, 3));
  TRY(pwritev2(pidfd, &vector, 0, 3, RWF_APPEND));
  TRY(pwritev2(pidfd, &vector, 1, 3, 0));
  TRY(sendfile(null, pidfd, &position, 8));
  TRY(sendfile(99, pidfd, &position, 8));
  TRY(splice(pidfd, &position, pipes[1], NULL, 8, 0));
  TRY(lseek(pidfd, 0, SEEK_CUR));
  TRY(pread(event, &position, 8, 3));
  TRY(lseek(event, 0, SEEK_CUR));
}

/* What has no read(2) or write(2) at all looks at no address. */
static void unreadable(void) {
  int poll = NEED(epoll_create1(0)), watch = NEED(inotify_init1(IN_NONBLOCK));
  char byte;
  struct iovec bad = {bad_address, 10}, far = {(void *)-1, 10};
  TRY(read(poll, bad_address, 10));
  TRY(write(poll, bad_address, 10));
  TRY(writev(poll, &bad, 1));
  TRY(readv(poll, &far, 1));
  TRY(writev(poll, &far, 1));
  TRY(writev(poll, bad_address, 1));
  TRY(read(watch, bad_address, 100));
  TRY(pwrite(watch, &byte, 1, 5));
  TRY(pread(watch, &byte, 1, 5));
  TRY(lseek(watch, 0, SEEK_CUR));
  off_t position = 0, end = 5000;
  TRY(sendfile(99, watch, &position, 10));
  TRY(copy_file_range(file, &end, file, NULL, 9000, 0));
  TRY(copy_file_range(file, &position, file, NULL, 9000, 0));
  TRY(copy_file_range(null, NULL, pipes[1], bad_address, 10, 0));
  TRY(write(event, bad_address, 7));
  TRY(writev(event, &bad, 1));
  TRY(syscall(SYS_writev, file, NULL, INT64_MIN));
  TRY(syscall(SYS_readv, file, NULL, 0x100000000));
  NEED(ftruncate(file, 6000));
  TRY(copy_file_range(file, &end, file, &position, 9000, 0));
  TRY(fcntl(pipes[0], F_SETPIPE_SZ, -1));
  TRY(fcntl(pipes[0], F_SETPIPE_SZ, -2));
  TRY(syscall(SYS_fcntl, pipes[0], F_SETPIPE_SZ, INT64_MAX));
  TRY(syscall(SYS_fcntl, pipes[0], F_SETPIPE_SZ, 0x100001000));
}

/* A stream takes as many whole units as there are before an address that is bad. */
static void half_a_buffer(void) {
  enum { LENGTH = 180224 };
  char *memory = NEED(mmap(NULL, LENGTH + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  NEED(munmap(memory + LENGTH, 4096));
  for (int way = 0; way < 4; way++) {
    int pair[2];
    NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    for (int length = 20; length < LENGTH; length += 36544) {
      char *at = memory + LENGTH - length, drained[LENGTH];
      struct iovec vector = {at, length + 100};
      struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
      say_result("sent", way == 0 ? write(pair[0], at, length + 100) : way == 1 ? send(pair[0], at, length + 100, 0) :
                 way == 2 ? sendmsg(pair[0], &message, 0) : writev(pair[0], &vector, 1));
      while (read(pair[1], drained, sizeof drained) > 0) continue;
    }
  }
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  NEED(pipe2(pipes, O_NONBLOCK));
  NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, stream));
  alone = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
  datagram = NEED(socket(AF_UNIX, SOCK_DGRAM, 0));
  packet = NEED(socket(AF_UNIX, SOCK_SEQPACKET, 0));
  event = NEED(eventfd(0, EFD_NONBLOCK));
  null = NEED(open("/dev/null", O_RDWR));
  file = NEED(open("/dev/shm", O_TMPFILE | O_RDWR, 0600));
  directory = NEED(open("/dev", O_RDONLY));
  vectors();
  unreadable();
  half_a_buffer();
  messages();
  connections();
  positions();
}
