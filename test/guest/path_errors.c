/* Calls on names of files, as root and as somebody: what they refuse, in which order. */
#include "guest.h"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wrestrict"
#include <dirent.h>
#include <grp.h>
#include <linux/stat.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <utime.h>
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
static char longname[300], longpath[5000];
static void all(const char *who) {
  struct stat st; struct statx sx; struct statfs fs; char b[5000]; struct timespec ts[2]; struct utimbuf ub = {1, 2};
  say("-- %s", who);
  static const char *const paths[] = {"f", "d", "s", "dang", "loop", "missing", "missing/x", "f/x", "f/", "d/", "s/", "", "private/x", "private", "p", "noread", "d/../f", ".", "..", "/", "own", "ownd", "owns", "sticky/other", "ro/x"};
  for (unsigned i = 0; i < sizeof paths / sizeof *paths + 3; i++) {
    const char *p = i < sizeof paths / sizeof *paths ? paths[i] : i == sizeof paths / sizeof *paths ? longname : i == sizeof paths / sizeof *paths + 1 ? longpath : (char *)1;
    if (geteuid() == 0 && (strcmp(p == (char *)1 ? "" : p, "/") == 0 || strcmp(p == (char *)1 ? "" : p, "..") == 0)) continue; /* not to be harmed */
    char name[40]; snprintf(name, sizeof name, "%.30s", p == (char *)1 ? "(bad)" : p);
#define P(call) do { errno = 0; long r_ = (long)(call); say("%s %s: %s", name, #call, r_ == -1 ? errname(errno) : "ok"); } while (0)
    P(stat(p, &st));
    P(lstat(p, &st));
    P(access(p, R_OK));
    P(access(p, W_OK));
    P(access(p, X_OK));
    P(access(p, 8));
    P(faccessat(AT_FDCWD, p, W_OK, AT_EACCESS));
    P(faccessat(AT_FDCWD, p, R_OK, AT_SYMLINK_NOFOLLOW));
    P(syscall(SYS_faccessat2, AT_FDCWD, p, F_OK, AT_EMPTY_PATH));
    P(syscall(SYS_faccessat2, AT_FDCWD, p, F_OK, 0x8000));
    P(statx(AT_FDCWD, p, 0, STATX_ALL, (void *)&sx));
    P(statx(AT_FDCWD, p, AT_EMPTY_PATH, 0x80000000, (void *)&sx));
    P(statx(AT_FDCWD, p, 0x6000, 0, (void *)&sx));
    P(statx(AT_FDCWD, p, 0x8000, 0, (void *)&sx));
    P(fstatat(AT_FDCWD, p, &st, 0x8000));
    P(readlink(p, b, 100));
    P(readlink(p, b, 0));
    P(statfs(p, &fs));
    P(stat(p, (void *)1));
    P(chmod(p, 0644));
    P(fchmodat(AT_FDCWD, p, 0644, AT_SYMLINK_NOFOLLOW));
    P(syscall(SYS_fchmodat2, AT_FDCWD, p, 0644, 0x8000));
    P(chown(p, -1, -1));
    P(lchown(p, -1, -1));
    P(chown(p, 1000, -1));
    P(chown(p, 2000, -1));
    P(chown(p, -1, 2000));
    P(fchownat(AT_FDCWD, p, -1, -1, 0x8000));
    P(utime(p, NULL));
    P(utime(p, &ub));
    P(utimensat(AT_FDCWD, p, NULL, 0x8000));
    ts[0] = (struct timespec){0, UTIME_NOW};
    ts[1] = (struct timespec){0, UTIME_OMIT};
    P(utimensat(AT_FDCWD, p, ts, 0));
    ts[0].tv_nsec = UTIME_OMIT;
    P(utimensat(AT_FDCWD, p, ts, AT_SYMLINK_NOFOLLOW));
    ts[0].tv_nsec = 1000000000;
    P(utimensat(AT_FDCWD, p, ts, 0));
    P(utimensat(AT_FDCWD, p, (void *)1, 0));
    P(mkdir(p, 0755));
    P(mknod(p, S_IFREG | 0644, 0));
    P(mknod(p, S_IFCHR | 0644, makedev(1, 3)));
    P(mknod(p, S_IFDIR | 0644, 0));
    P(mknod(p, 0x7000, 0));
    P(symlink("x", p));
    P(link("f", p));
    P(link(p, "newlink"));
    unlink("newlink");
    P(symlink(p, "newsym"));
    unlink("newsym");
    P(linkat(AT_FDCWD, p, AT_FDCWD, "newlink", 0x8000));
    P(unlinkat(AT_FDCWD, p, 0x8000));
    P(renameat2(AT_FDCWD, p, AT_FDCWD, p, 8));
    P(renameat2(AT_FDCWD, p, AT_FDCWD, p, 3));
    P(renameat2(AT_FDCWD, "f", AT_FDCWD, p, RENAME_NOREPLACE));  P(renameat2(AT_FDCWD, p, AT_FDCWD, "missing2", RENAME_EXCHANGE));
    P(rename(p, "missing/y"));
    P(rename(p, "d"));
    P(rename("d", p));
    P(open(p, O_RDONLY | O_NONBLOCK));
    P(open(p, O_WRONLY | O_NONBLOCK));
    P(open(p, O_RDWR | O_CREAT | O_EXCL, 0644));
    P(open(p, O_RDONLY | O_NOATIME | O_NONBLOCK));
    P(open(p, O_PATH));
    P(truncate(p, 1));
    P(chdir(p));
    chdir(scratch_path);
    if (geteuid() != 0) { P(chroot(p));
    P(mount("none", p, "nosuchfs", 0, NULL));
    P(umount2(p, 0x100));
    P(syscall(SYS_pivot_root, p, p)); } P(rmdir(p) * 0);
    P(unlink(p) * 0);
    for (int fd = 3; fd < 40; fd++) close(fd);
    if (mkdir("d", 0755) == 0 || errno == EEXIST) {}
    int fd = open("f", O_CREAT | O_RDWR, 0644); close(fd); (void)!symlink("f", "s"); (void)!symlink("nowhere", "dang"); (void)!symlink("loop", "loop"); mkfifo("p", 0644); 
    if (geteuid() == 0) { mkdir("private", 0700), close(open("private/x", O_CREAT, 0600)), close(open("noread", O_CREAT, 0200)); close(open("own", O_CREAT | O_RDWR, 0644)); mkdir("ownd", 0755); (void)!symlink("f", "owns"); (void)!chown("own", 1000, 1000), (void)!chown("ownd", 1000, 1000), (void)!lchown("owns", 1000, 1000); mkdir("sticky", 01777); chmod("sticky", 01777); close(open("sticky/other", O_CREAT, 0666)); chmod("sticky/other", 0666); mkdir("ro", 0555), close(open("ro/x", O_CREAT, 0666)); }
  }
}
int main(void) {
  memset(longname, 'n', 256); memset(longpath, 'p', 4999); for (int i = 100; i < 4999; i += 100) longpath[i] = '/';
  scratch(); chmod(".", 0777); umask(0);
  put("f", "content"); mkdir("d", 0755); symlink("f", "s"); symlink("nowhere", "dang"); symlink("loop", "loop"); mkfifo("p", 0644); mkdir("private", 0700), put("private/x", ""), put("noread", ""), chmod("noread", 0200); put("own", ""); mkdir("ownd", 0755); symlink("f", "owns"); chown("own", 1000, 1000), chown("ownd", 1000, 1000), lchown("owns", 1000, 1000); mkdir("sticky", 01777); chmod("sticky", 01777); put("sticky/other", ""); chmod("sticky/other", 0666); mkdir("ro", 0555), put("ro/x", "");
  pid_t child = NEED(fork());
  if (child == 0) { setgroups(0, NULL); NEED(setgid(1000)); NEED(setuid(1000)); all("somebody"); _exit(0); }
  reap("somebody", child);
  all("root");
  return 0;
}
