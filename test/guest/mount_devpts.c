/* devpts instances: numbers and ptmx of their own, options. */
#include "mounts.h"
#include <sys/ioctl.h>

static void show_node(const char *path) {
  struct stat st;
  if (lstat(path, &st) == -1) say("%s: %s", path, errname(errno));
  else say("%s: mode %o uid %d gid %d rdev %d:%d", path, st.st_mode, st.st_uid, st.st_gid, major(st.st_rdev), minor(st.st_rdev));
}

static int open_master(const char *path) {
  int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd == -1) {
    say("open %s: %s", path, errname(errno));
    return -1;
  }
  unsigned number = 99;
  NEED(ioctl(fd, TIOCGPTN, &number));
  int unlock = 0;
  NEED(ioctl(fd, TIOCSPTLCK, &unlock));
  say("open %s: number %u", path, number);
  return fd;
}

static void try_options(const char *options) {
  if (mount("devpts", "t", "devpts", MS_NOSUID | MS_NOEXEC, options) == -1) {
    say("%s: %s", options, errname(errno));
    return;
  }
  say("%s: ok", options);
  show_node("t/ptmx");
  show_mounts("  now");
  NEED(umount("t"));
}

int main(void) {
  private_mounts();
  NEED(mkdir("t", 0755));
  NEED(mkdir("dev", 0755));
  NEED(mkdir("dev/pts", 0755));
  try_options("");
  try_options("newinstance,ptmxmode=0666,mode=620");
  try_options("uid=5,gid=6,mode=0600,max=7");
  try_options("mode=8");
  try_options("nonsense");

  NEED(mount("devpts", "t", "devpts", 0, "newinstance,ptmxmode=0666,mode=620,gid=7,max=2"));
  NEED(mount("devpts", "dev/pts", "devpts", 0, "ptmxmode=0666"));
  int a = open_master("t/ptmx");
  int b = open_master("dev/pts/ptmx");
  int c = open_master("t/ptmx");
  open_master("t/ptmx");
  show_node("t/0");
  show_node("t/1");
  show_node("dev/pts/0");
  show_node("dev/pts/1");

  /* each slave talks to its own master */
  int slave = NEED(open("t/0", O_RDWR | O_NOCTTY));
  int other = NEED(open("dev/pts/0", O_RDWR | O_NOCTTY));
  NEED(write(slave, "t0\n", 3));
  NEED(write(other, "p0\n", 3));
  char text[16] = "";
  ssize_t n = read(a, text, sizeof text - 1);
  text[n > 0 ? n : 0] = 0;
  say("a: %.2s", text);
  n = read(b, text, sizeof text - 1);
  text[n > 0 ? n : 0] = 0;
  say("b: %.2s", text);
  int peer = ioctl(c, TIOCGPTPEER, O_RDWR | O_NOCTTY);
  say("peer: %s", peer >= 0 ? "ok" : errname(errno));
  close(slave);
  close(peer);
  close(a);
  show_node("t/0");
  TRY(umount("t"));
  close(c);

  /* a ptmx elsewhere belongs to the pts beside it */
  NEED(mknod("dev/ptmx", S_IFCHR | 0666, makedev(5, 2)));
  NEED(mknod("ptmx", S_IFCHR | 0666, makedev(5, 2)));
  int d = open_master("dev/ptmx");
  open_master("ptmx");
  NEED(mknod("slave", S_IFCHR | 0666, makedev(136, 0)));
  say("a slave's number elsewhere: %s", open("slave", O_RDWR | O_NOCTTY) == -1 ? errname(errno) : "ok");
  close(other);
  close(b);
  close(d);
  TRY(umount("dev/pts"));
  say("umounted: %s", access("dev/pts/ptmx", F_OK) == 0 ? "still there" : errname(errno));
  TRY(umount("t"));
  return 0;
}
