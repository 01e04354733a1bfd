#include "guest.h"
#include <sys/sysmacros.h>

static void show(const char *name, const struct stat *st) {
  say("%s: mode=%o nlink=%ld size=%ld uid=%s gid=%s", name, st->st_mode,
      S_ISDIR(st->st_mode) ? -1 : (long)st->st_nlink, S_ISDIR(st->st_mode) ? -1 : (long)st->st_size,
      st->st_uid == geteuid() ? "own" : "?", st->st_gid == getegid() ? "own" : "?");
}

int main(void) {
  struct stat a, b;
  scratch();
  umask(022);
  put("f", "12345");
  NEED(mkdir("d", 0750));
  NEED(symlink("f", "l"));
  NEED(link("f", "hard"));
  stat("f", &a), show("f", &a);
  stat("l", &b), show("l", &b);
  IS(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
  lstat("l", &b), show("l itself", &b);
  stat("hard", &b);
  IS(a.st_ino == b.st_ino);
  stat("d", &b), show("d", &b);
  IS(a.st_ino != b.st_ino);
  IS(a.st_mtime == a.st_ctime);
  IS(labs(a.st_mtime - time(NULL)) < 5);
  TRY(stat("missing", &b));
  TRY(stat("f/", &b));
  TRY(lstat("l/", &b));
  TRY(stat("d/", &b));
  TRY(stat("", &b));
  TRY(stat("d/..", &b));
  TRY(stat("f", (struct stat *)8));
  TRY(stat((char *)8, &b));
  int fd = NEED(open("f", O_RDONLY));
  TRY(fstat(fd, &b));
  IS(a.st_ino == b.st_ino);
  TRY(fstat(99, &b));
  TRY(fstatat(fd, "", &b, AT_EMPTY_PATH));
  TRY(fstatat(fd, "", &b, 0));
  TRY(fstatat(AT_FDCWD, "l", &b, AT_SYMLINK_NOFOLLOW));
  IS(S_ISLNK(b.st_mode));
  TRY(fstatat(AT_FDCWD, "l", &b, 0x4000));
  struct statx x;
  memset(&x, 0, sizeof x);
  TRY(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x));
  say("statx: mode=%o nlink=%u size=%llu", x.stx_mode, x.stx_nlink, x.stx_size);
  IS((x.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
  IS(x.stx_ino == a.st_ino);
  IS(makedev(x.stx_dev_major, x.stx_dev_minor) == a.st_dev);
  TRY(statx(AT_FDCWD, "f", 0x10000000, 0, &x));
  TRY(statx(AT_FDCWD, "f", 0, 0x80000000, &x));
  TRY(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &x));
  stat("/dev/null", &b);
  say("/dev/null: %s %u:%u", S_ISCHR(b.st_mode) ? "char" : "?", major(b.st_rdev), minor(b.st_rdev));
  stat("/", &b);
  IS(S_ISDIR(b.st_mode));
  stat("/proc", &b);
  say("/proc: %o", b.st_mode);
  stat("/tmp", &b);
  say("/tmp: %o", b.st_mode);
  return 0;
}
