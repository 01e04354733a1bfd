#include "guest.h"
#include <sys/fsuid.h>

static long mode(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 ? (long)(st.st_mode & 07777) : -1;
}

static void unprivileged(void) {
  put("mine", "x");
  NEED(mkdir("dir", 0755));
  put("dir/x", "x");
  say("own, as created");
  TRY(access("mine", R_OK | W_OK));
  TRY(access("mine", X_OK));
  NEED(chmod("mine", 0));
  TRY(open("mine", O_RDONLY));
  TRY(open("mine", O_WRONLY));
  TRY(access("mine", F_OK));
  TRY(access("mine", R_OK));
  TRY(access("mine", 8));
  NEED(chmod("mine", 0200));
  TRY(open("mine", O_RDONLY));
  TRY(open("mine", O_RDWR));
  TRY(open("mine", O_WRONLY) >= 0);
  NEED(chmod("mine", 0077)); /* the owner has nothing, whatever others have */
  TRY(open("mine", O_RDONLY));
  NEED(chmod("dir", 0444));
  TRY(access("dir/x", F_OK));
  TRY(open("dir/x", O_RDONLY));
  TRY(chdir("dir"));
  NEED(chmod("dir", 0111));
  TRY(open("dir/x", O_RDONLY) >= 0);
  TRY(open("dir", O_RDONLY));
  TRY(unlink("dir/x"));
  TRY(mkdir("dir/y", 0755));
  TRY(rename("dir/x", "x"));
  NEED(chmod("dir", 0755));
  TRY(chown("mine", 0, 0));
  TRY(chmod("/etc/passwd", 0666));
  TRY(open("/etc/passwd", O_WRONLY));
  TRY(mkdir("/etc/new-directory", 0755));
  TRY(access("/etc/passwd", W_OK));
  TRY(access("/root/x", F_OK));
  TRY(setuid(0));
}

int main(void) {
  scratch();
  chmod(".", 0777);
  umask(027);
  put("f", "x");
  say("created 0644 under umask 027: %lo", mode("f"));
  int fd = NEED(open("g", O_CREAT | O_RDWR, 04777));
  say("04777: %lo", mode("g"));
  NEED(mkdir("d", 01777));
  say("mkdir 01777: %lo", mode("d"));
  say("umask: %o", umask(0777));
  say("umask: %o", umask(07022));
  say("umask: %o", umask(022));
  TRY(chmod("f", 0600));
  say("%lo", mode("f"));
  TRY(chmod("f", 06755));
  say("%lo", mode("f"));
  TRY(fchmod(fd, 0123456));
  say("%lo", mode("g"));
  TRY(chmod("missing", 0600));
  NEED(symlink("f", "l"));
  TRY(fchmodat(AT_FDCWD, "l", 0640, 0));
  say("%lo", mode("f"));
  TRY(chown("f", -1, -1));
  TRY(chown("f", getuid(), getgid()));
  TRY(lchown("l", getuid(), getgid()));
  TRY(fchown(99, 0, 0));
  TRY(access("f", F_OK));
  TRY(faccessat(AT_FDCWD, "l", R_OK, AT_EACCESS));
  TRY(access("missing", F_OK));
  NEED(chmod("f", 04755));
  fd = NEED(open("f", O_WRONLY));
  pid_t child = NEED(fork());
  if (child == 0) {
    if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(98);
    NEED(mkdir("theirs", 0755));
    NEED(chdir("theirs"));
    /* writing takes the set-user-id bit away */
    TRY(write(fd, "y", 1));
    say("after write: %lo", mode("../f") & 0777);
    unprivileged();
    _exit(0);
  }
  reap("unprivileged", child);
  return 0;
}
