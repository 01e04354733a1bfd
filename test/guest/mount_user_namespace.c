/* Mounts in a user namespace, mount_namespaces(7), "Restrictions on mount namespaces": what is locked, who may what. */
#include "mounts.h"

static void map_root(void) {
  put("/proc/self/setgroups", "deny");
  put("/proc/self/uid_map", "0 0 1");
  put("/proc/self/gid_map", "0 0 1");
}

static void restricted(void) {
  NEED(unshare(CLONE_NEWUSER));
  map_root();
  /* the mount namespace is still the other user namespace's */
  TRY(mount("x", "free", "tmpfs", 0, NULL));
  TRY(umount("ro"));
  TRY(syscall(SYS_pivot_root, "ro", "ro"));
  TRY(unshare(CLONE_NEWNS));
  show_mounts("copied");
  TRY(umount("ro"));
  TRY(umount2("ro", MNT_DETACH));
  TRY(mount("ro", "free", NULL, MS_MOVE, NULL));
  TRY(mount(NULL, "ro", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV, NULL));
  TRY(mount(NULL, "ro", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID, NULL));
  TRY(mount(NULL, "ro", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL));
  TRY(mount(NULL, "ro", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC, NULL));
  TRY(mount(NULL, "ro", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC | MS_NOATIME, NULL));
  TRY(mount(NULL, "ro", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID, NULL));
  TRY(mount(NULL, "shared", NULL, MS_REMOUNT, "size=8k"));
  TRY(mount(NULL, "shared", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
  TRY(mount(NULL, "shared", NULL, MS_REMOUNT | MS_BIND, NULL));
  /* what is covered stays covered */
  TRY(mount(".", "free", NULL, MS_BIND, NULL));
  TRY(mount(".", "free", NULL, MS_BIND | MS_REC, NULL));
  TRY(access("free/ro/file", F_OK));
  TRY(umount("free/ro"));
  TRY(umount("free"));
  TRY(umount2("free", MNT_DETACH));
  TRY(mount("ro", "free", NULL, MS_BIND, NULL));
  show_flags("free");
  TRY(mount(NULL, "free", NULL, MS_REMOUNT | MS_BIND, NULL));
  TRY(umount("free"));
  /* one's own mounts */
  TRY(mount("mine", "free", "tmpfs", 0, "size=64k"));
  show_flags("free");
  TRY(mkdir("free/d", 0755));
  TRY(mknod("free/null", S_IFCHR | 0666, makedev(1, 3)));
  TRY(mount("inner", "free/d", "tmpfs", 0, NULL));
  TRY(mount(NULL, "free", NULL, MS_REMOUNT, "size=128k"));
  show_mounts("own");
  TRY(umount("free/d"));
  TRY(umount2("free", MNT_FORCE));
  TRY(mount("x", "free", "proc", 0, NULL));
  TRY(mount("x", "free", "sysfs", 0, NULL));
  TRY(mount("x", "free", "devtmpfs", 0, NULL));
  TRY(mount("x", "free", "ramfs", 0, NULL));
  TRY(umount("free"));
  TRY(mount("x", "free", "devpts", 0, NULL));
  TRY(umount("free"));
}

int main(void) {
  private_mounts();
  const char *names[] = {"ro", "shared", "free"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) NEED(mkdir(names[i], 0755));
  put("ro/file", "covered");
  NEED(mount("ro", "ro", "tmpfs", MS_RDONLY | MS_NODEV | MS_NOSUID, NULL));
  NEED(mount("shared", "shared", "tmpfs", 0, NULL));
  NEED(mount(NULL, "shared", NULL, MS_SHARED, NULL));
  NEED(mkdir("shared/a", 0755));
  pid_t child = NEED(fork());
  if (child == 0) {
    restricted();
    _exit(0);
  }
  reap("restricted", child);

  /* what propagates into a less privileged namespace is locked there, as one */
  int down[2], up[2];
  char byte;
  NEED(pipe(down));
  NEED(pipe(up));
  child = NEED(fork());
  if (child == 0) {
    NEED(unshare(CLONE_NEWUSER | CLONE_NEWNS));
    map_root();
    write(up[1], "u", 1);
    read(down[0], &byte, 1);
    show_mounts("what came");
    TRY(umount("shared/a/b"));
    TRY(umount("shared/a"));
    TRY(umount2("shared/a", MNT_DETACH));
    TRY(mount("theirs", "shared/a", "tmpfs", 0, NULL));
    _exit(0);
  }
  read(up[0], &byte, 1);
  NEED(mount("tree", "free", "tmpfs", 0, NULL));
  NEED(mkdir("free/b", 0755));
  NEED(mount("branch", "free/b", "tmpfs", MS_NODEV, NULL));
  TRY(mount("free", "shared/a", NULL, MS_BIND | MS_REC, NULL));
  write(down[1], "d", 1);
  reap("child", child);
  show_mounts("here");
  return 0;
}
