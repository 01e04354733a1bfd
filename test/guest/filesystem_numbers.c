/* sysfs(2) and ustat(2); RENAME_WHITEOUT of renameat2(2). */
#include "guest.h"
#include <grp.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

struct old_status {
  int32_t free;
  unsigned long inodes;
  char name[6], pack[6];
};

static void types(void) {
  char name[64];
  long count = syscall(SYS_sysfs, 3);
  IS(count > 4);
  int wrong = 0;
  for (long index = 0; index < count; index++) {
    if (syscall(SYS_sysfs, 2, index, name) != 0 || syscall(SYS_sysfs, 1, name) != index) wrong++;
  }
  INT(wrong);
  IS(syscall(SYS_sysfs, 1, "proc") >= 0);
  IS(syscall(SYS_sysfs, 1, "tmpfs") >= 0);
  TRY(syscall(SYS_sysfs, 1, "nosuchtype"));
  TRY(syscall(SYS_sysfs, 1, ""));
  TRY(syscall(SYS_sysfs, 1, 1));
  TRY(syscall(SYS_sysfs, 2, 1000, name));
  TRY(syscall(SYS_sysfs, 2, 0, 1));
  TRY(syscall(SYS_sysfs, 0));
  TRY(syscall(SYS_sysfs, 4));
}

static void status(const char *path) {
  struct old_status got;
  struct stat st;
  struct statfs fs;
  NEED(stat(path, &st)), NEED(statfs(path, &fs));
  memset(&got, 7, sizeof got);
  say("ustat %s: %s", path, syscall(SYS_ustat, (unsigned)st.st_dev, &got) == 0 ? "ok" : errname(errno));
  say("%d %d %d %d", (got.free > 0) == (fs.f_bfree > 0), (got.inodes > 0) == (fs.f_ffree > 0), got.name[0], got.pack[0]);
}

static void whiteout(void) {
  struct stat st;
  put("f", "content"), put("g", "other");
  NEED(mkdir("d", 0755));
  TRY(renameat2(AT_FDCWD, "f", AT_FDCWD, "h", RENAME_WHITEOUT | RENAME_EXCHANGE));
  TRY(renameat2(AT_FDCWD, "missing", AT_FDCWD, "h", RENAME_WHITEOUT));
  TRY(renameat2(AT_FDCWD, "f", AT_FDCWD, "g", RENAME_WHITEOUT | RENAME_NOREPLACE));
  TRY(renameat2(AT_FDCWD, "f", AT_FDCWD, "h", RENAME_WHITEOUT));
  say("h: %s", get("h"));
  TRY(lstat("f", &st));
  say("mode %o device %d:%d links %ld", st.st_mode, major(st.st_rdev), minor(st.st_rdev), (long)st.st_nlink);
  TRY(open("f", O_RDONLY));
  TRY(renameat2(AT_FDCWD, "h", AT_FDCWD, "g", RENAME_WHITEOUT));
  TRY(renameat2(AT_FDCWD, "d", AT_FDCWD, "e", RENAME_WHITEOUT));
  TRY(lstat("d", &st));
  say("mode %o", st.st_mode);
  TRY(unlink("d"));
  NEED(chmod(".", 0777));
  pid_t child = NEED(fork());
  if (child == 0) {
    setgroups(0, NULL);
    NEED(setgid(1000)), NEED(setuid(1000));
    TRY(renameat2(AT_FDCWD, "g", AT_FDCWD, "i", RENAME_WHITEOUT));
    _exit(0);
  }
  reap("somebody", child);
}

int main(void) {
  scratch();
  types();
  status("."), status("/dev/shm"), status("/proc");
  TRY(syscall(SYS_ustat, (unsigned)makedev(77, 77), scratch_path));
  TRY(syscall(SYS_ustat, 0, scratch_path));
  whiteout();
  return 0;
}
