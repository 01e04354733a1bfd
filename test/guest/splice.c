/* Moving bytes between files: sendfile, splice, tee, vmsplice, copy_file_range. */
#include "guest.h"
#include <sys/sendfile.h>
#include <sys/uio.h>

int main(void) {
  scratch();
  static char b[200];
  int p[2], q[2];
  NEED(pipe(p)), NEED(pipe(q));
  put("f", "0123456789");
  int f = NEED(open("f", O_RDWR)), o = NEED(open("o", O_RDWR | O_CREAT, 0644)), d = NEED(open(".", O_RDONLY));
  loff_t from = 2, to = 1;
  TRY(sendfile(o, f, &from, 4));
  INT((int)from);
  TRY(lseek(f, 0, SEEK_CUR));
  TRY(sendfile(o, f, 0, 100));
  TRY(sendfile(o, f, 0, 100));
  lseek(f, 0, SEEK_SET);
  TRY(sendfile(p[1], f, 0, 5));
  TRY(sendfile(f, p[0], 0, 5));
  TRY(sendfile(o, d, 0, 5));
  TRY(splice(p[0], 0, o, 0, 100, SPLICE_F_NONBLOCK));
  TRY(splice(p[0], 0, o, 0, 100, SPLICE_F_NONBLOCK));
  from = 0;
  TRY(splice(f, &from, p[1], 0, 7, 0));
  INT((int)from);
  TRY(tee(p[0], q[1], 100, 0));
  TRY(read(q[0], b, 100));
  TRY(splice(p[0], 0, q[1], 0, 3, 0));
  TRY(read(q[0], b, 100));
  TRY(read(p[0], b, 100));
  say("%s", b);
  TRY(splice(p[0], 0, p[1], 0, 3, 0));
  TRY(splice(f, 0, o, 0, 3, 0));
  TRY(splice(p[0], &from, o, 0, 3, 0));
  TRY(tee(f, p[1], 3, 0));
  TRY(tee(p[0], q[1], 3, SPLICE_F_NONBLOCK));
  from = 0, to = 3;
  TRY(copy_file_range(f, &from, o, &to, 4, 0));
  INT((int)to);
  from = 0, to = 3;
  TRY(copy_file_range(f, &from, f, &to, 4, 0));
  TRY(copy_file_range(f, 0, p[1], 0, 4, 0));
  TRY(copy_file_range(d, 0, o, 0, 4, 0));
  memset(b, 0, sizeof b);
  pread(o, b, 100, 0);
  say("%s", b);
  struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cd", 2}};
  TRY(vmsplice(p[1], v, 3, 0));
  TRY(read(p[0], b, 10));
  TRY(vmsplice(f, v, 3, 0));
  /* a splice that waits */
  pid_t child = NEED(fork());
  if (child == 0) {
    usleep(30000);
    write(p[1], "late", 4);
    _exit(0);
  }
  TRY(splice(p[0], 0, q[1], 0, 100, 0));
  reap("writer", child);
  return 0;
}
