#include "guest.h"
#include <sys/sendfile.h>
#include <sys/uio.h>

int main(void) {
  scratch();
  char b[64] = {0}, c[64] = {0};
  int fd = NEED(open("f", O_CREAT | O_RDWR, 0600));
  TRY(write(fd, "0123456789", 10));
  TRY(pwrite(fd, "ab", 2, 3));
  TRY(lseek(fd, 0, SEEK_CUR));
  TRY(pread(fd, b, 4, 2));
  say("%s", b);
  TRY(pread(fd, b, 10, 100));
  TRY(pread(fd, b, 10, -1));
  TRY(pwrite(fd, b, 10, -1));
  struct iovec v[4] = {{b, 2}, {c, 0}, {c, 3}, {b + 10, 60 - 10}};
  memset(b, 0, sizeof b);
  TRY(lseek(fd, 0, SEEK_SET));
  TRY(readv(fd, v, 4));
  say("%s %s %s", b, c, b + 10);
  TRY(readv(fd, v, -1));
  TRY(readv(fd, v, 1025));
  TRY(readv(fd, v, 0));
  TRY(readv(fd, (struct iovec *)8, 1));
  struct iovec bad[2] = {{b, 2}, {(void *)8, 5}};
  TRY(preadv(fd, bad, 2, 0));
  bad[0].iov_len = (size_t)-1;
  TRY(preadv(fd, bad, 1, 0));
  struct iovec w[2] = {{"XY", 2}, {"Z", 1}};
  TRY(pwritev(fd, w, 2, 8));
  say("%s", get("f"));
  TRY(pwritev2(fd, w, 2, 0, 0));
  TRY(preadv2(fd, v, 1, -1, 0));
  TRY(preadv2(fd, v, 1, 0, 0x4000));

  int append = NEED(open("f", O_WRONLY | O_APPEND));
  TRY(lseek(append, 0, SEEK_SET));
  TRY(write(append, "+", 1));
  TRY(lseek(append, 0, SEEK_CUR));
  TRY(pwrite(append, "-", 1, 0)); /* appends all the same, see BUGS */
  say("%s", get("f"));

  TRY(read(fd, (char *)8, 1));
  TRY(pread(fd, (char *)8, 1, 0));
  TRY(write(fd, (char *)8, 1));
  TRY(write(fd, (char *)8, 0));
  TRY(read(99, b, 1));
  TRY(write(-1, b, 1));
  int dir = NEED(open(".", O_RDONLY));
  TRY(read(dir, b, 1));
  TRY(read(dir, b, 0));
  TRY(pread(dir, b, 1, 0));

  int out = NEED(open("out", O_CREAT | O_RDWR, 0600));
  off_t from = 2;
  TRY(sendfile(out, fd, &from, 5));
  INT(from);
  say("%s", get("out"));
  TRY(lseek(fd, 0, SEEK_SET));
  TRY(sendfile(out, fd, NULL, 3));
  TRY(lseek(fd, 0, SEEK_CUR));
  TRY(sendfile(fd, 99, NULL, 3));
  loff_t in = 0, to = 20;
  TRY(copy_file_range(fd, &in, out, &to, 6, 0));
  say("%ld %ld", (long)in, (long)to);
  TRY(copy_file_range(fd, &in, out, &to, 6, 1));
  TRY(fsync(out));
  TRY(fdatasync(out));
  TRY(fsync(99));

  int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR), full = open("/dev/full", O_RDWR);
  TRY(write(null, "x", 1000 > 1 ? 1 : 0));
  TRY(read(null, b, 1));
  memset(b, 1, sizeof b);
  TRY(read(zero, b, 10));
  INT(b[0] + b[9]);
  TRY(write(full, "x", 1));
  TRY(read(full, b, 5));
  TRY(lseek(null, 10, SEEK_SET));
  int random = open("/dev/urandom", O_RDONLY);
  TRY(read(random, b, 32));
  TRY(read(random, c, 32));
  IS(memcmp(b, c, 32) != 0);
  return 0;
}
