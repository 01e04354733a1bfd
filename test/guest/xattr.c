/* Extended attributes, xattr(7): the namespaces, who may, every documented error; setxattr(2), getxattr(2), listxattr(2). */
#include "guest.h"
#include <sys/xattr.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

static char value[70000];

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The names in order: filesystems list them in orders of their own. */
static void names(const char *path) {
  char list[4096], *each[64];
  ssize_t n = llistxattr(path, list, sizeof list);
  if (n == -1) { say("list %s: %s", path, errname(errno)); return; }
  int count = 0;
  for (char *at = list; at < list + n; at += strlen(at) + 1) each[count++] = at;
  qsort(each, count, sizeof *each, by_name);
  say("list %s: %zd bytes, %d names", path, n, count);
  for (int i = 0; i < count; i++) say("  %s", each[i]);
}

static void shown(const char *path, const char *name) {
  char text[256] = {0};
  ssize_t n = lgetxattr(path, name, text, sizeof text);
  if (n == -1) say("get %s %s: %s", path, name, errname(errno));
  else say("get %s %s: %zd \"%.*s\"", path, name, n, (int)n, text);
}

int main(void) {
  scratch();
  put("f", "content");
  NEED(mkdir("d", 0755));
  NEED(symlink("f", "s"));
  NEED(mkfifo("p", 0644));
  char small[4];
  names("f");
  TRY(getxattr("f", "user.none", value, sizeof value));
  TRY(setxattr("f", "user.a", "one", 3, 0));
  shown("f", "user.a");
  TRY(setxattr("f", "user.a", "twenty", 6, XATTR_CREATE));
  TRY(setxattr("f", "user.b", "x", 1, XATTR_REPLACE));
  TRY(setxattr("f", "user.b", "", 0, XATTR_CREATE));
  TRY(setxattr("f", "user.a", "twenty", 6, XATTR_REPLACE));
  TRY(setxattr("f", "user.a", "twenty", 6, XATTR_REPLACE | XATTR_CREATE));
  TRY(setxattr("f", "user.n", "twenty", 6, XATTR_REPLACE | XATTR_CREATE));
  TRY(setxattr("f", "user.a", "t", 1, 4));
  shown("f", "user.a"), shown("f", "user.b");
  names("f");
  TRY(getxattr("f", "user.a", NULL, 0));
  TRY(getxattr("f", "user.a", small, 0));
  TRY(getxattr("f", "user.a", small, 3));
  TRY(getxattr("f", "user.a", (void *)1, 100));
  TRY(listxattr("f", NULL, 0));
  TRY(listxattr("f", small, 3));
  TRY(listxattr("f", (void *)1, 100));
  TRY(setxattr("f", "user.c", (void *)1, 10, 0));
  TRY(setxattr("f", "user.c", NULL, 0, 0));
  shown("f", "user.c");
  TRY(removexattr("f", "user.c"));
  TRY(removexattr("f", "user.c"));
  TRY(setxattr("f", NULL, "x", 1, 0));
  TRY(setxattr("f", "", "x", 1, 0));
  TRY(getxattr("f", "", small, 1));
  TRY(removexattr("f", ""));
  TRY(setxattr("f", "user.", "x", 1, 0));
  TRY(getxattr("f", "user.", small, 1));
  TRY(setxattr("f", "user", "x", 1, 0));
  TRY(setxattr("f", "nothing.a", "x", 1, 0));
  TRY(getxattr("f", "nothing.a", small, 1));
  TRY(removexattr("f", "nothing.a"));
  TRY(setxattr("f", "nodots", "x", 1, 0));
  /* lengths */
  char name[300] = "user.";
  memset(name + 5, 'n', 290), name[255] = 0;
  TRY(setxattr("f", name, "x", 1, 0));
  TRY(getxattr("f", name, small, 4));
  TRY(removexattr("f", name));
  memset(name + 5, 'n', 290), name[256] = 0;
  TRY(setxattr("f", name, "x", 1, 0));
  TRY(getxattr("f", name, small, 4));
  TRY(removexattr("f", name));
  memset(value, 'v', sizeof value);
  TRY(setxattr("f", "user.big", value, 65537, 0));
  TRY(setxattr("f", "user.ok", value, 2000, 0));
  TRY(getxattr("f", "user.ok", value, sizeof value));
  TRY(getxattr("f", "user.ok", value, 1 << 30));
  TRY(removexattr("f", "user.ok"));
  /* kinds of files */
  TRY(setxattr("d", "user.a", "dir", 3, 0));
  shown("d", "user.a");
  TRY(setxattr("p", "user.a", "x", 1, 0));
  TRY(getxattr("p", "user.a", small, 4));
  TRY(lsetxattr("s", "user.a", "x", 1, 0));
  TRY(lgetxattr("s", "user.a", small, 4));
  TRY(lremovexattr("s", "user.a"));
  TRY(setxattr("s", "user.through", "link", 4, 0));
  shown("f", "user.through");
  TRY(llistxattr("s", small, 4));
  TRY(listxattr("s", NULL, 0));
  TRY(removexattr("s", "user.through"));
  /* trusted: the superuser's, on anything */
  TRY(setxattr("f", "trusted.t", "secret", 6, 0));
  TRY(setxattr("p", "trusted.t", "fifo", 4, 0));
  TRY(lsetxattr("s", "trusted.t", "link", 4, 0));
  TRY(setxattr("d", "trusted.t", "dir", 3, 0));
  shown("f", "trusted.t"), shown("p", "trusted.t"), shown("s", "trusted.t"), shown("d", "trusted.t");
  names("f"), names("p"), names("s"), names("d");
  TRY(setxattr("f", "trusted.", "x", 1, 0));
  /* security */
  TRY(setxattr("f", "security.note", "sec", 3, 0));
  shown("f", "security.note");
  TRY(getxattr("f", "security.none", small, 4));
  TRY(removexattr("f", "security.none"));
  TRY(setxattr("p", "security.note", "sec", 3, 0));
  TRY(lsetxattr("s", "security.note", "sec", 3, 0));
  TRY(setxattr("f", "security.", "x", 1, 0));
  names("f");
  /* system */
  TRY(setxattr("f", "system.other", "x", 1, 0));
  TRY(getxattr("f", "system.other", small, 4));
  TRY(removexattr("f", "system.other"));
  /* descriptors */
  int fd = NEED(open("f", O_RDONLY));
  TRY(fsetxattr(fd, "user.fd", "x", 1, 0));
  TRY(fgetxattr(fd, "user.fd", small, 4));
  IS(flistxattr(fd, NULL, 0) > 0);
  TRY(fremovexattr(fd, "user.fd"));
  int path = NEED(open("f", O_PATH));
  TRY(fsetxattr(path, "user.fd", "x", 1, 0));
  TRY(fgetxattr(path, "user.fd", small, 4));
  TRY(flistxattr(path, NULL, 0));
  TRY(fremovexattr(path, "user.fd"));
  TRY(fsetxattr(-1, "user.fd", "x", 1, 0));
  TRY(fgetxattr(99, "user.fd", small, 4));
  TRY(flistxattr(99, small, 4));
  TRY(fremovexattr(99, "user.a"));
  int both[2];
  NEED(pipe(both));
  TRY(fsetxattr(both[0], "user.fd", "x", 1, 0));
  TRY(fgetxattr(both[0], "user.fd", small, 4));
  TRY(flistxattr(both[0], small, 4));
  TRY(fremovexattr(both[0], "user.fd"));
  TRY(fsetxattr(both[0], "trusted.fd", "x", 1, 0));
  TRY(fgetxattr(both[0], "trusted.fd", small, 4));
  int memory = NEED(memfd_create("m", 0));
  TRY(fsetxattr(memory, "user.m", "x", 1, 0));
  TRY(fsetxattr(memory, "trusted.m", "x", 1, 0));
  TRY(fgetxattr(memory, "trusted.m", small, 4));
  TRY(flistxattr(memory, NULL, 0));
  /* paths */
  TRY(setxattr("missing", "user.a", "x", 1, 0));
  TRY(getxattr("missing", "user.a", small, 4));
  TRY(listxattr("missing", small, 4));
  TRY(removexattr("missing", "user.a"));
  TRY(setxattr("f/x", "user.a", "x", 1, 0));
  TRY(setxattr("", "user.a", "x", 1, 0));
  TRY(setxattr((void *)1, "user.a", "x", 1, 0));
  NEED(symlink("loop", "loop"));
  TRY(getxattr("loop", "user.a", small, 4));
  /* /proc and /dev */
  TRY(setxattr("/proc/self/status", "user.a", "x", 1, 0));
  TRY(getxattr("/proc/self/status", "user.a", small, 4));
  TRY(listxattr("/proc/self/status", small, 4));
  TRY(getxattr("/dev/null", "user.a", small, 4));
  TRY(setxattr("/dev/null", "user.a", "x", 1, 0));
  /* the change time moves, the modification time stays; names survive a rename and a link */
  struct stat before, after;
  stat("f", &before);
  sleep_ms(20);
  TRY(setxattr("f", "user.time", "x", 1, 0));
  stat("f", &after);
  IS(after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
  IS(after.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
  NEED(link("f", "g"));
  shown("g", "user.time");
  NEED(rename("f", "h"));
  shown("h", "user.time");
  /* an ordinary user */
  NEED(chmod("h", 0644));
  NEED(chmod(".", 0755));
  put("own", "x");
  NEED(chown("own", 1000, 1000));
  NEED(mkdir("sticky", 0755));
  NEED(chmod("sticky", 01777));
  NEED(mkdir("ownsticky", 0755));
  NEED(chmod("ownsticky", 01777));
  NEED(chown("ownsticky", 1000, 1000));
  NEED(setxattr("own", "trusted.t", "x", 1, 0));
  NEED(setxattr("own", "security.s", "x", 1, 0));
  fflush(stdout);
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(setgid(1000));
    NEED(setuid(1000));
    TRY(setxattr("h", "user.mine", "x", 1, 0));
    TRY(getxattr("h", "user.time", small, 4));
    TRY(removexattr("h", "user.time"));
    TRY(getxattr("h", "trusted.t", small, 4));
    TRY(setxattr("h", "trusted.u", "x", 1, 0));
    TRY(removexattr("h", "trusted.t"));
    TRY(setxattr("own", "trusted.u", "x", 1, 0));
    TRY(setxattr("own", "security.u", "x", 1, 0));
    TRY(getxattr("own", "security.s", small, 4));
    TRY(removexattr("own", "security.s"));
    TRY(setxattr("own", "user.u", "x", 1, 0));
    TRY(chmod("own", 0444));
    TRY(setxattr("own", "user.v", "x", 1, 0));
    TRY(chmod("own", 0200));
    TRY(getxattr("own", "user.u", small, 4));
    TRY(setxattr("own", "user.v", "x", 1, 0));
    TRY(setxattr("sticky", "user.u", "x", 1, 0));
    TRY(setxattr("ownsticky", "user.u", "x", 1, 0));
    names("own");
    _exit(0);
  }
  reap("user", child);
  return 0;
}
