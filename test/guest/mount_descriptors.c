/*
 * Mounts by descriptors: fsopen(2), fsconfig(2), fsmount(2), fspick(2), open_tree(2), move_mount(2), mount_setattr(2).
 */
#include "guest.h"
#include <sys/mount.h>
#include <sched.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>


#define FSOPEN(name, flags) syscall(SYS_fsopen, name, flags)
#define FSCONFIG(fd, command, key, value, aux) syscall(SYS_fsconfig, fd, command, key, value, aux)
#define FSMOUNT(fd, flags, attributes) syscall(SYS_fsmount, fd, flags, attributes)
#define FSPICK(dir, path, flags) syscall(SYS_fspick, dir, path, flags)
#define OPEN_TREE(dir, path, flags) syscall(SYS_open_tree, dir, path, flags)
#define MOVE_MOUNT(from, path, to, name, flags) syscall(SYS_move_mount, from, path, to, name, flags)
#define SETATTR(dir, path, flags, attr, size) syscall(SYS_mount_setattr, dir, path, flags, attr, size)
#define FROM_FD MOVE_MOUNT_F_EMPTY_PATH
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* The line of /proc/self/mountinfo of what is mounted at `name`: options, type, source, options of the filesystem. */
static void show(const char *name) {
  char path[PATH_MAX + 64], line[4096];
  snprintf(path, sizeof path, "%s/%s", scratch_path, name);
  FILE *file = fopen("/proc/self/mountinfo", "r");
  bool found = false;
  while (fgets(line, sizeof line, file) != NULL) {
    char root[1024], point[1024], options[256], rest[1024];
    if (sscanf(line, "%*d %*d %*s %1023s %1023s %255s %1023[^\n]", root, point, options, rest) != 4) continue;
    if (strcmp(point, path) != 0) continue;
    char *type = strstr(rest, "- ");
    if (strncmp(type, "- tmpfs", 7) != 0) *strchr(type + 2, ' ') = 0;
    else if (strstr(type, ",inode64") != NULL) *strstr(type, ",inode64") = 0;
    found = true;
    say("%s: %s %s", name, options, type);
  }
  if (!found) say("%s: not mounted", name);
  fclose(file);
}

static void message(int fd) {
  char text[256];
  ssize_t n = read(fd, text, sizeof text - 1);
  if (n < 0) say("message: %s", errname(errno));
  else say("message: %.*s", (int)n - (text[n - 1] == '\n'), text);
}

static int context(void) { return NEED(FSOPEN("tmpfs", FSOPEN_CLOEXEC)); }

static void make(void) {
  TRY(FSOPEN("nonesuch", 0));
  TRY(FSOPEN("tmpfs", 2));
  TRY(FSOPEN(1, 0));
  int fd = context();
  TRY(fcntl(fd, F_GETFD));
  TRY(FSMOUNT(fd, 0, 0));
  message(fd);
  TRY(FSCONFIG(fd, FSCONFIG_SET_STRING, "size", "1m", 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_STRING, "mode", "0700", 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_STRING, "source", "origin", 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_STRING, "source", "again", 0));
  message(fd);
  TRY(FSCONFIG(fd, FSCONFIG_SET_STRING, "nonesuch", "1", 0));
  message(fd);
  message(fd);
  TRY(FSCONFIG(fd, FSCONFIG_SET_FLAG, "nonesuch", 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_CMD_CREATE, 0, 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_CMD_CREATE, 0, 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_STRING, "size", "2m", 0));
  TRY(FSMOUNT(fd, 2, 0));
  TRY(FSMOUNT(fd, 0, 0x40000000));
  TRY(FSMOUNT(fd, 0, MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME));
  TRY(FSMOUNT(0, 0, 0));
  TRY(FSMOUNT(99, 0, 0));
  int mounted = NEED(FSMOUNT(fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME));
  TRY(FSMOUNT(fd, 0, 0));
  TRY(mkdirat(mounted, "early", 0755));
  TRY(MOVE_MOUNT(mounted, "", AT_FDCWD, "new", 0));
  TRY(MOVE_MOUNT(mounted, "", AT_FDCWD, "file", FROM_FD));
  TRY(MOVE_MOUNT(mounted, "early", AT_FDCWD, "new", 0));
  TRY(MOVE_MOUNT(mounted, "", AT_FDCWD, "nonesuch", FROM_FD));
  TRY(MOVE_MOUNT(mounted, "", AT_FDCWD, "new", FROM_FD | 0x800));
  TRY(MOVE_MOUNT(mounted, "", AT_FDCWD, "new", FROM_FD));
  TRY(access("new/early", F_OK));
  show("new");
  TRY(FSCONFIG(fd, FSCONFIG_SET_STRING, "size", "2m", 0));
  TRY(FSCONFIG(fd, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
  show("new");
  close(mounted);
  close(fd);
  fd = NEED(FSPICK(AT_FDCWD, "new", FSPICK_CLOEXEC));
  TRY(FSCONFIG(fd, FSCONFIG_CMD_CREATE, 0, 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_FLAG, "ro", 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
  show("new");
  TRY(mkdir("new/late", 0755));
  close(fd);
  TRY(FSPICK(AT_FDCWD, "new/early", 0));
  TRY(FSPICK(AT_FDCWD, "new", 16));
  TRY(umount2("new", 0));
}

static void arguments(void) {
  int fd = context();
  char large[300];
  memset(large, 'a', sizeof large);
  large[299] = 0;
  TRY(FSCONFIG(-1, FSCONFIG_SET_FLAG, "ro", 0, 0));
  TRY(FSCONFIG(99, FSCONFIG_SET_FLAG, "ro", 0, 0));
  TRY(FSCONFIG(0, FSCONFIG_SET_FLAG, "ro", 0, 0));
  TRY(FSCONFIG(99, 77, "ro", 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_FLAG, 0, 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_FLAG, "ro", "x", 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_FLAG, "ro", 0, 1));
  TRY(FSCONFIG(fd, FSCONFIG_SET_FLAG, "", 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_FLAG, 1, 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_FLAG, large, 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_STRING, "size", 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_STRING, "size", 1, 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_STRING, "size", large, 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_STRING, "size", "nonsense", 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_BINARY, "size", "x", 0));
  TRY(FSCONFIG(fd, FSCONFIG_SET_BINARY, "size", "x", 1));
  TRY(FSCONFIG(fd, FSCONFIG_SET_PATH, "size", "x", -1));
  TRY(FSCONFIG(fd, FSCONFIG_SET_FD, "size", "x", 1));
  TRY(FSCONFIG(fd, FSCONFIG_SET_FD, "size", 0, -1));
  TRY(FSCONFIG(fd, FSCONFIG_CMD_CREATE, "x", 0, 0));
  TRY(FSCONFIG(fd, FSCONFIG_CMD_CREATE, 0, 0, 1));
  close(fd);
}

static void trees(void) {
  NEED(mount("all", "all", "tmpfs", 0, ""));
  NEED(mkdir("all/inner", 0755));
  NEED(mount("inner", "all/inner", "tmpfs", 0, ""));
  put("all/inner/text", "inside");
  TRY(OPEN_TREE(AT_FDCWD, "all", 0x4));
  TRY(OPEN_TREE(AT_FDCWD, "all", AT_RECURSIVE));
  TRY(OPEN_TREE(AT_FDCWD, "nonesuch", OPEN_TREE_CLONE));
  TRY(OPEN_TREE(99, "", AT_EMPTY_PATH));
  int plain = NEED(OPEN_TREE(AT_FDCWD, "all", OPEN_TREE_CLOEXEC));
  say("plain: %x", fcntl(plain, F_GETFL) & O_PATH);
  TRY(fcntl(plain, F_GETFD));
  int one = NEED(OPEN_TREE(AT_FDCWD, "all", OPEN_TREE_CLONE));
  TRY(faccessat(one, "inner/text", F_OK, 0));
  int whole = NEED(OPEN_TREE(AT_FDCWD, "all", OPEN_TREE_CLONE | AT_RECURSIVE));
  TRY(faccessat(whole, "inner/text", F_OK, 0));
  TRY(MOVE_MOUNT(whole, "", AT_FDCWD, "new", FROM_FD));
  say("new/inner/text: %s", get("new/inner/text"));
  show("new");
  show("new/inner");
  TRY(MOVE_MOUNT(AT_FDCWD, "new", AT_FDCWD, "other", 0));
  show("new");
  show("other/inner");
  TRY(MOVE_MOUNT(AT_FDCWD, "other", AT_FDCWD, "other/inner", 0));
  int part = NEED(OPEN_TREE(AT_FDCWD, "all/inner/text", OPEN_TREE_CLONE));
  TRY(MOVE_MOUNT(part, "", AT_FDCWD, "new", FROM_FD));
  TRY(MOVE_MOUNT(part, "", AT_FDCWD, "file", FROM_FD));
  say("file: %s", get("file"));
  /* what is nowhere ends with its descriptor */
  close(one);
  close(plain);
  close(whole);
  close(part);
  TRY(umount2("file", 0));
  TRY(umount2("all", 0));
  TRY(umount2("all", MNT_DETACH));
  say("other/inner/text: %s", get("other/inner/text"));
  TRY(umount2("other", MNT_DETACH));
}

static void attributes(void) {
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV};
  struct {
    struct mount_attr attr;
    uint64_t more;
  } larger = {.attr.attr_set = MOUNT_ATTR_NOEXEC, .more = 1};
  NEED(mount("all", "all", "tmpfs", 0, ""));
  NEED(mkdir("all/inner", 0755));
  NEED(mount("inner", "all/inner", "tmpfs", 0, ""));
  TRY(SETATTR(AT_FDCWD, "all", 0x1, &attr, sizeof attr));
  TRY(SETATTR(AT_FDCWD, "all", 0, &attr, 31));
  TRY(SETATTR(AT_FDCWD, "all", 0, &attr, 4097));
  TRY(SETATTR(AT_FDCWD, "all", 0, 1, sizeof attr));
  TRY(SETATTR(AT_FDCWD, "all", 0, &larger, sizeof larger));
  larger.more = 0;
  TRY(SETATTR(AT_FDCWD, "nonesuch", 0, &attr, sizeof attr));
  TRY(SETATTR(AT_FDCWD, "all/inner/..", 0, &larger, sizeof larger));
  NEED(mkdir("all/plain", 0755));
  TRY(SETATTR(AT_FDCWD, "all/plain", 0, &larger, sizeof larger));
  int writer = NEED(open("all/inner/held", O_WRONLY | O_CREAT, 0600));
  TRY(SETATTR(AT_FDCWD, "all", AT_RECURSIVE, &attr, sizeof attr));
  show("all");
  close(writer);
  TRY(SETATTR(AT_FDCWD, "all", AT_RECURSIVE, &attr, sizeof attr));
  show("all");
  show("all/inner");
  attr = (struct mount_attr){.attr_clr = MOUNT_ATTR_RDONLY};
  TRY(SETATTR(AT_FDCWD, "all", 0, &attr, sizeof attr));
  show("all");
  show("all/inner");
  attr = (struct mount_attr){.attr_set = MOUNT_ATTR_NOATIME};
  TRY(SETATTR(AT_FDCWD, "all", 0, &attr, sizeof attr));
  attr.attr_clr = MOUNT_ATTR_NOATIME;
  TRY(SETATTR(AT_FDCWD, "all", 0, &attr, sizeof attr));
  attr.attr_clr = MOUNT_ATTR__ATIME;
  TRY(SETATTR(AT_FDCWD, "all", 0, &attr, sizeof attr));
  show("all");
  attr.attr_set = MOUNT_ATTR_STRICTATIME | MOUNT_ATTR_NODIRATIME;
  TRY(SETATTR(AT_FDCWD, "all", 0, &attr, sizeof attr));
  show("all");
  attr = (struct mount_attr){.attr_set = 0x40000000};
  TRY(SETATTR(AT_FDCWD, "all", 0, &attr, sizeof attr));
  attr = (struct mount_attr){.propagation = 1 << 18 | 1 << 20};
  TRY(SETATTR(AT_FDCWD, "all", 0, &attr, sizeof attr));
  attr.propagation = 1;
  TRY(SETATTR(AT_FDCWD, "all", 0, &attr, sizeof attr));
  attr.propagation = 1 << 18;
  TRY(SETATTR(AT_FDCWD, "all", 0, &attr, sizeof attr));
  attr.propagation = 0;
  TRY(SETATTR(AT_FDCWD, "nonesuch", 0, &attr, sizeof attr));
  /* a clone gets them before anybody sees it */
  int clone = NEED(OPEN_TREE(AT_FDCWD, "all", OPEN_TREE_CLONE));
  attr.attr_set = MOUNT_ATTR_RDONLY;
  TRY(SETATTR(clone, "", AT_EMPTY_PATH, &attr, sizeof attr));
  TRY(MOVE_MOUNT(clone, "", AT_FDCWD, "new", FROM_FD));
  show("new");
  TRY(mkdir("new/denied", 0755));
  TRY(mkdir("all/allowed", 0755));
  close(clone);
  TRY(umount2("new", 0));
  TRY(umount2("all", MNT_DETACH));
}

static void unprivileged(void) {
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
  NEED(setuid(65534));
  TRY(FSOPEN("nonesuch", 77));
  TRY(FSPICK(AT_FDCWD, "nonesuch", 77));
  TRY(FSMOUNT(99, 77, 77));
  TRY(OPEN_TREE(AT_FDCWD, "nonesuch", OPEN_TREE_CLONE));
  TRY(OPEN_TREE(AT_FDCWD, "nonesuch", 0));
  TRY(MOVE_MOUNT(99, "", 99, "", 0x10000));
  TRY(SETATTR(AT_FDCWD, "nonesuch", 0, &attr, sizeof attr));
  TRY(SETATTR(AT_FDCWD, "nonesuch", 0, &attr, 4));
}

int main(void) {
  scratch();
  if (unshare(CLONE_NEWNS) == -1) {
    say("no mount namespace: %s", errname(errno));
    return 0;
  }
  NEED(mount("none", "/", NULL, 1 << 18 | 1 << 14, NULL));
  mkdir("new", 0755);
  mkdir("all", 0755);
  mkdir("other", 0755);
  put("file", "below");
  make();
  arguments();
  trees();
  attributes();
  pid_t child = NEED(fork());
  if (child == 0) {
    scratch_owner = 0;
    unprivileged();
    _exit(0);
  }
  reap("unprivileged", child);
}
