/* security.capability: only a valid value is taken, and it goes when the file is written to, shortened or given away. */
#include "guest.h"
#include <linux/capability.h>
#include <sys/xattr.h>
#define NAME "security.capability"

static void kept(const char *after) {
  struct vfs_cap_data value;
  ssize_t n = getxattr("f", NAME, &value, sizeof value);
  say("%s: %s", after, n == -1 ? errname(errno) : n == sizeof value ? "kept" : "another size");
}

static void give(void) {
  struct vfs_cap_data value = {.magic_etc = VFS_CAP_REVISION_2, .data = {{1 << CAP_NET_BIND_SERVICE, 0}}};
  NEED(setxattr("f", NAME, &value, sizeof value, 0));
}

int main(void) {
  scratch();
  put("f", "content");
  struct vfs_cap_data value = {.magic_etc = VFS_CAP_REVISION_2};
  TRY(setxattr("f", NAME, &value, sizeof value - 1, 0));
  TRY(setxattr("f", NAME, &value, 4, 0));
  TRY(setxattr("f", NAME, &value, 0, 0));
  value.magic_etc = 0x05000000;
  TRY(setxattr("f", NAME, &value, sizeof value, 0));
  give(), kept("given");
  int fd = NEED(open("f", O_RDWR));
  char one = 'x';
  give(), pread(fd, &one, 1, 0), kept("read");
  give(), pwrite(fd, &one, 1, 0), kept("written");
  give(), NEED(ftruncate(fd, 3)), kept("shortened");
  give(), NEED(chmod("f", 0755)), kept("chmod");
  give(), NEED(chown("f", 1, 1)), kept("given away");
  give(), NEED(utimensat(AT_FDCWD, "f", NULL, 0)), kept("touched");
  give(), NEED(rename("f", "g")), NEED(rename("g", "f")), kept("renamed");
  TRY(removexattr("f", NAME));
  kept("removed");
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(chown("f", 1000, 1000));
    NEED(setgid(1000)), NEED(setuid(1000));
    value.magic_etc = VFS_CAP_REVISION_2;
    TRY(setxattr("f", NAME, &value, sizeof value, 0));
    TRY(removexattr("f", NAME));
    _exit(0);
  }
  reap("user", child);
  return 0;
}
