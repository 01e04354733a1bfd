#include "guest.h"
#include <sys/time.h>
#include <utime.h>

static void show(const char *name, const char *path) {
  struct stat st;
  if (lstat(path, &st) == -1) say("%s: %s", name, errname(errno));
  else
    say("%s: %ld.%09ld %ld.%09ld", name, st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

int main(void) {
  scratch();
  put("f", "x");
  NEED(symlink("f", "l"));
  struct timespec t[2] = {{1000000000, 123456789}, {1100000000, 987654321}};
  TRY(utimensat(AT_FDCWD, "f", t, 0));
  show("both", "f");
  t[0].tv_nsec = UTIME_OMIT, t[1] = (struct timespec){5, 6};
  TRY(utimensat(AT_FDCWD, "f", t, 0));
  show("omit", "f");
  t[1].tv_nsec = UTIME_OMIT;
  TRY(utimensat(AT_FDCWD, "missing", t, 0));
  t[0].tv_nsec = UTIME_NOW;
  TRY(utimensat(AT_FDCWD, "f", t, 0));
  struct stat st;
  stat("f", &st);
  IS(labs(st.st_atime - time(NULL)) < 5);
  INT(st.st_mtime);
  IS(labs(st.st_ctime - time(NULL)) < 5);
  t[0].tv_nsec = 1000000000;
  TRY(utimensat(AT_FDCWD, "f", t, 0));
  t[0] = (struct timespec){-100, 5}, t[1] = (struct timespec){20, 0};
  TRY(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
  stat("f", &st);
  INT(st.st_mtime);
  lstat("l", &st);
  INT(st.st_mtime);
  int fd = NEED(open("f", O_RDWR));
  t[0] = (struct timespec){1, 1}, t[1] = (struct timespec){2, 2};
  TRY(futimens(fd, t));
  show("futimens", "f");
  struct timeval tv[2] = {{10, 20}, {30, 999999}};
  TRY(utimes("f", tv));
  show("utimes", "f");
  tv[0].tv_usec = 1000000;
  TRY(utimes("f", tv));
  struct utimbuf ub = {77, 88};
  TRY(utime("f", &ub));
  show("utime", "f");
  TRY(utimensat(AT_FDCWD, "f", (struct timespec *)8, 0));
  /* reading and writing move the times */
  TRY(write(fd, "y", 1));
  stat("f", &st);
  IS(st.st_mtime > 1000000000);
  INT(st.st_atime);
  NEED(utime("f", &ub));
  TRY(ftruncate(fd, 1));
  stat("f", &st);
  IS(st.st_mtime > 1000000000 || st.st_size == 1);
  /* a directory's time moves with its entries */
  NEED(mkdir("d", 0755)), NEED(utime("d", &ub));
  show("d", "d");
  put("d/x", "");
  stat("d", &st);
  IS(st.st_mtime > 1000000000);
  return 0;
}
