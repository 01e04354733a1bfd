/* Shared subtrees, mount_namespaces(7): peer groups, slaves, private and unbindable mounts; what goes where. */
#include "mounts.h"

static void try_type(const char *name, unsigned long type) {
  say("%s: %s", name, mount(NULL, "top", NULL, type, NULL) == 0 ? "ok" : errname(errno));
  show_mounts("  now");
}

static void fresh(void) {
  NEED(mount("top", "top", "tmpfs", 0, NULL));
  NEED(mkdir("top/a", 0755));
  NEED(mkdir("top/b", 0755));
  NEED(mkdir("top/a/in", 0755));
}

static void types(void) {
  fresh();
  try_type("shared", MS_SHARED);
  try_type("shared again", MS_SHARED);
  try_type("slave of nobody", MS_SLAVE);
  try_type("shared", MS_SHARED);
  try_type("unbindable", MS_UNBINDABLE);
  TRY(mount("top", "x", NULL, MS_BIND, NULL));
  TRY(mount("top", "x", NULL, MS_BIND | MS_REC, NULL));
  try_type("private", MS_PRIVATE);
  NEED(mount("in", "top/a", "tmpfs", 0, NULL));
  try_type("recursive", MS_REC | MS_SHARED);
  TRY(mount("top", "x", NULL, MS_BIND, NULL));
  show_mounts("peers");
  try_type("slave", MS_SLAVE);
  try_type("shared slave", MS_SHARED);
  TRY(mount("top", "y", NULL, MS_BIND, NULL));
  show_mounts("a copy of it");
  TRY(umount("x"));
  show_mounts("the master is gone");
  TRY(umount("y"));
  TRY(umount("top/a"));
  TRY(umount("top"));
}

static void events(void) {
  fresh();
  NEED(mount(NULL, "top", NULL, MS_SHARED, NULL));
  NEED(mount("top", "x", NULL, MS_BIND, NULL));
  NEED(mount("top", "y", NULL, MS_BIND, NULL));
  NEED(mount(NULL, "y", NULL, MS_SLAVE, NULL));
  TRY(mount("one", "top/a", "tmpfs", MS_NODEV, NULL));
  show_mounts("mounted on a peer");
  TRY(umount("x/a"));
  show_mounts("unmounted from another");
  TRY(mount("two", "y/b", "tmpfs", 0, NULL));
  show_mounts("mounted on the slave");
  TRY(mount("three", "x/b", "tmpfs", 0, NULL));
  show_mounts("beneath what the slave has");
  TRY(umount("top/b"));
  show_mounts("and away");
  TRY(umount("y/b"));
  show_mounts("the slave's is left");

  /* a part of the directory */
  NEED(mount("top/a", "z", NULL, MS_BIND, NULL));
  TRY(mount("four", "top/a/in", "tmpfs", 0, NULL));
  TRY(mount("five", "top/b", "tmpfs", 0, NULL));
  show_mounts("a part of it is elsewhere");
  TRY(umount("z/in"));
  TRY(umount("top/b"));
  show_mounts("gone");

  /* a tree */
  NEED(mount("six", "side", "tmpfs", 0, NULL));
  NEED(mkdir("side/deep", 0755));
  NEED(mount("seven", "side/deep", "tmpfs", 0, NULL));
  TRY(mount("side", "top/a", NULL, MS_BIND | MS_REC, NULL));
  show_mounts("a tree");
  TRY(umount("top/a"));
  TRY(umount2("top/a", MNT_DETACH));
  show_mounts("detached");
  TRY(mount("side", "top/b", NULL, MS_MOVE, NULL));
  show_mounts("moved into it");
  TRY(mount("top/b", "side", NULL, MS_MOVE, NULL));

  /* busy there is busy here */
  int fd = NEED(open("x/b/deep", O_RDONLY));
  TRY(umount("top/b/deep"));
  close(fd);
  fd = NEED(open("y/b/deep", O_RDONLY));
  TRY(umount("top/b/deep"));
  close(fd);
  TRY(umount("top/b/deep"));
  show_mounts("one less");
  TRY(umount2("top/b", MNT_DETACH));
  NEED(umount("z"));
  NEED(umount("x"));
  NEED(umount("y"));
  show_mounts("alone");
  NEED(umount("top"));
}

/* Slaves of slaves that share with each other. */
static void chains(void) {
  fresh();
  NEED(mount(NULL, "top", NULL, MS_SHARED, NULL));
  NEED(mount("top", "x", NULL, MS_BIND, NULL));
  NEED(mount(NULL, "x", NULL, MS_SLAVE, NULL));
  NEED(mount(NULL, "x", NULL, MS_SHARED, NULL));
  NEED(mount("x", "y", NULL, MS_BIND, NULL));
  NEED(mount("y", "z", NULL, MS_BIND, NULL));
  NEED(mount(NULL, "z", NULL, MS_SLAVE, NULL));
  TRY(mount("one", "top/a", "tmpfs", 0, NULL));
  show_mounts("down the chain");
  TRY(mount("two", "y/b", "tmpfs", 0, NULL));
  show_mounts("from the middle");
  TRY(umount("y/a"));
  show_mounts("unmounted in the middle");
  NEED(mount(NULL, "x", NULL, MS_PRIVATE, NULL));
  NEED(mount(NULL, "y", NULL, MS_PRIVATE, NULL));
  show_mounts("the middle is private");
  NEED(umount("z/b"));
  NEED(umount("z"));
  NEED(umount("y/b"));
  NEED(umount("y"));
  NEED(umount("x/b"));
  NEED(umount("x"));
  NEED(umount("top/a"));
  NEED(umount("top"));
}

static void between_namespaces(void) {
  fresh();
  NEED(mount(NULL, "top", NULL, MS_SHARED, NULL));
  int down[2], up[2];
  char byte;
  NEED(pipe(down));
  NEED(pipe(up));
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(unshare(CLONE_NEWNS));
    write(up[1], "u", 1);
    read(down[0], &byte, 1);
    show_mounts("the child sees it");
    TRY(umount("top/a"));
    NEED(mount(NULL, "top", NULL, MS_SLAVE, NULL));
    TRY(mount("theirs", "top/b", "tmpfs", 0, NULL));
    write(up[1], "u", 1);
    read(down[0], &byte, 1);
    show_mounts("the slave child");
    _exit(0);
  }
  read(up[0], &byte, 1);
  TRY(mount("ours", "top/a", "tmpfs", 0, NULL));
  write(down[1], "d", 1);
  read(up[0], &byte, 1);
  show_mounts("the parent");
  TRY(mount("again", "top/a", "tmpfs", 0, NULL));
  write(down[1], "d", 1);
  reap("child", child);
  NEED(umount("top/a"));
  NEED(umount("top"));
}

int main(void) {
  private_mounts();
  const char *names[] = {"top", "x", "y", "z", "side"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) NEED(mkdir(names[i], 0755));
  say("# types");
  types();
  say("# events");
  events();
  say("# chains");
  chains();
  say("# between namespaces");
  between_namespaces();
  return 0;
}
