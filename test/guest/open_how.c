/* open(2) and openat2(2): flags that exclude each other, O_PATH, O_TMPFILE, and how RESOLVE_* confine a walk. */
#include "guest.h"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wrestrict"
#include <sys/uio.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <dirent.h>
#include <sys/ioctl.h>
#include <utime.h>
#include <sys/socket.h>
#include <sys/times.h>
#include <sys/file.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <linux/openat2.h>
#ifndef O_LARGEFILE
#define O_LARGEFILE 0100000
#endif
static long openat2(int d, const char *p, struct open_how *how, size_t size) { return syscall(SYS_openat2, d, p, how, size); }

int main(void) {
  scratch();
  put("f", "0123456789");
  NEED(mkdir("d", 0755));
  NEED(symlink("f", "s"));
  NEED(symlink("d", "sd"));
  NEED(symlink("nowhere", "dang"));
  /* open */
  OK(open("d", O_WRONLY));
  OK(open("d", O_RDWR));
  OK(open("d", O_CREAT, 0644));
  OK(open("d", O_CREAT | O_DIRECTORY, 0644));
  OK(open("newd", O_CREAT | O_DIRECTORY, 0644));
  OK(open("f", O_DIRECTORY));
  OK(open("s", O_NOFOLLOW));
  OK(open("sd", O_NOFOLLOW | O_DIRECTORY));
  OK(open("dang", O_CREAT | O_EXCL, 0644));
  OK(open("f", O_CREAT | O_EXCL, 0644));
  OK(open("f/", O_RDONLY));
  OK(open("f/x", O_RDONLY));
  OK(open("new/", O_CREAT | O_WRONLY, 0644));
  OK(open("missing", O_RDONLY));
  OK(open("missing/x", O_CREAT | O_WRONLY, 0644));
  OK(open("", O_RDONLY));
  OK(open(".", O_TMPFILE, 0600));
  OK(open("f", O_TMPFILE | O_RDWR, 0600));
  OK(open("missing", O_TMPFILE | O_RDWR, 0600));
  int t = NEED(open(".", O_TMPFILE | O_RDWR, 0600));
  char proc[64];
  snprintf(proc, sizeof proc, "/proc/self/fd/%d", t);
  TRY(linkat(AT_FDCWD, proc, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
  TRY(access("linked", F_OK));
  int te = NEED(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
  snprintf(proc, sizeof proc, "/proc/self/fd/%d", te);
  TRY(linkat(AT_FDCWD, proc, AT_FDCWD, "linked2", AT_SYMLINK_FOLLOW));
  int fd = NEED(open("f", O_RDWR | O_APPEND | O_SYNC | O_NOATIME));
  say("flags %#o", fcntl(fd, F_GETFL));
  fd = NEED(open("f", O_RDONLY | O_DSYNC | O_DIRECT));
  say("flags %#o", fcntl(fd, F_GETFL));
  fd = NEED(open("f", O_PATH | O_RDWR | O_APPEND | O_CREAT));
  say("flags %#o", fcntl(fd, F_GETFL));
  TRY(read(fd, proc, 1));
  TRY(write(fd, proc, 1));
  TRY(fchmod(fd, 0644));
  TRY(fchown(fd, 0, 0));
  TRY(ftruncate(fd, 0));
  TRY(lseek(fd, 0, SEEK_SET));
  TRY(fsync(fd));
  TRY(flock(fd, LOCK_SH));
  TRY(ioctl(fd, 0x5401, proc));
  TRY(fcntl(fd, F_SETFL, 0));
  TRY(fcntl(fd, F_GETLK, proc));
  TRY((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
  TRY(getdents64(NEED(open("d", O_PATH)), proc, 64));
  OK(fchdir(NEED(open("d", O_PATH))));
  TRY(chdir(".."));
  OK(open("f", O_RDONLY | O_WRONLY | O_RDWR));
  fd = open("f", 3);
  TRY(read(fd, proc, 1));
  TRY(write(fd, proc, 1));
  OK(open("f", 0x40000000 | O_RDONLY));
  /* openat2 */
  struct open_how how = {.flags = O_RDONLY};
  struct { struct open_how how; long more; } big = {{.flags = O_RDONLY}, 0};
  OK(openat2(AT_FDCWD, "f", &how, sizeof how));
  TRY(openat2(AT_FDCWD, "f", &how, sizeof how - 1));
  OK(openat2(AT_FDCWD, "f", (void *)&big, sizeof big));
  big.more = 1;
  TRY(openat2(AT_FDCWD, "f", (void *)&big, sizeof big));
  TRY(openat2(AT_FDCWD, "f", &how, 5000));
  TRY(openat2(AT_FDCWD, "f", NULL, sizeof how));
  how.flags = 0x40000000;
  TRY(openat2(AT_FDCWD, "f", &how, sizeof how));
  how.flags = 1ull << 40;
  TRY(openat2(AT_FDCWD, "f", &how, sizeof how));
  how.flags = O_RDONLY; how.mode = 0644;
  TRY(openat2(AT_FDCWD, "f", &how, sizeof how));
  how.flags = O_CREAT | O_RDWR; how.mode = 010000;
  TRY(openat2(AT_FDCWD, "f", &how, sizeof how));
  how.mode = 0644; how.resolve = 0x100;
  TRY(openat2(AT_FDCWD, "f", &how, sizeof how));
  how = (struct open_how){.flags = O_PATH | O_RDWR};
  TRY(openat2(AT_FDCWD, "f", &how, sizeof how));
  how = (struct open_how){.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW};
  OK(openat2(AT_FDCWD, "f", &how, sizeof how));
  how = (struct open_how){.flags = O_TMPFILE | O_RDONLY};
  TRY(openat2(AT_FDCWD, ".", &how, sizeof how));
  how = (struct open_how){.flags = O_CREAT | O_DIRECTORY, .mode = 0644};
  TRY(openat2(AT_FDCWD, "x", &how, sizeof how));
  static const struct { const char *name; unsigned long bits; } resolves[] = {
    {"NO_XDEV", RESOLVE_NO_XDEV}, {"NO_MAGICLINKS", RESOLVE_NO_MAGICLINKS}, {"NO_SYMLINKS", RESOLVE_NO_SYMLINKS},
    {"BENEATH", RESOLVE_BENEATH}, {"IN_ROOT", RESOLVE_IN_ROOT}, {"CACHED", RESOLVE_CACHED},
    {"BENEATH|IN_ROOT", RESOLVE_BENEATH | RESOLVE_IN_ROOT}};
  static const char *paths[] = {"f", "s", "sd", "d/..", "..", "../x", "/", "/proc/self", "/proc/self/exe", "/proc/self/fd/0", "d/../f", "/f", "sd/../f", "up"};
  NEED(symlink("../", "up"));
  for (unsigned i = 0; i < sizeof resolves / sizeof *resolves; i++)
    for (unsigned j = 0; j < sizeof paths / sizeof *paths; j++) {
      if (resolves[i].bits == RESOLVE_CACHED && strncmp(paths[j], "/proc", 5) == 0) continue;
      how = (struct open_how){.flags = O_PATH, .resolve = resolves[i].bits};
      long got = openat2(AT_FDCWD, paths[j], &how, sizeof how);
      // whether the host has it in its cache is the host's affair: a busy one may have dropped it
      for (int tries = 0; resolves[i].bits == RESOLVE_CACHED && got < 0 && errno == EAGAIN && tries < 1000; tries++) {
        access(paths[j], F_OK);
        got = openat2(AT_FDCWD, paths[j], &how, sizeof how);
      }
      say("openat2 %s %s: %s", paths[j], resolves[i].name, got < 0 ? errname(errno) : "ok");
      if (got >= 0) close(got);
    }
  how = (struct open_how){.flags = O_CREAT | O_RDWR, .mode = 0600, .resolve = RESOLVE_CACHED};
  TRY(openat2(AT_FDCWD, "f", &how, sizeof how));
  how = (struct open_how){.flags = O_TRUNC | O_RDWR, .resolve = RESOLVE_CACHED};
  TRY(openat2(AT_FDCWD, "f", &how, sizeof how));
  return 0;
}
