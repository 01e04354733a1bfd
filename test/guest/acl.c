/* POSIX access control lists as extended attributes, acl(5): what is kept, what the mode says of it, what is inherited. */
#include "guest.h"
#include <grp.h>
#include <sys/xattr.h>
#include <linux/posix_acl_xattr.h>
#include <linux/posix_acl.h>
#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

struct list { uint32_t version; struct { uint16_t tag, perm; uint32_t id; } entry[8]; };

static int set(const char *path, const char *name, struct list *list, int count) {
  list->version = 2;
  return setxattr(path, name, list, 4 + 8 * count, 0);
}

static void show(const char *path, const char *name) {
  struct list list;
  ssize_t n = getxattr(path, name, &list, sizeof list);
  if (n == -1) { say("%s %s: %s", path, name, errname(errno)); return; }
  say("%s %s: %zd bytes version %u", path, name, n, list.version);
  for (int i = 0; i < (n - 4) / 8; i++) say("  %#x %o %d", list.entry[i].tag, list.entry[i].perm, (int)list.entry[i].id);
}

static void mode(const char *path) {
  struct stat st;
  NEED(stat(path, &st));
  say("mode %s: %o", path, st.st_mode);
}

int main(void) {
  scratch();
  NEED(chmod(".", 0755));
  umask(022);
  put("f", "x");
  put("g", "x");
  NEED(mkdir("d", 0755));
  show("f", ACCESS), show("d", DEFAULT), show("f", DEFAULT);
  struct list minimal = {0, {{1, 6, -1}, {4, 4, -1}, {0x20, 0, -1}}};
  TRY(set("f", ACCESS, &minimal, 3));
  show("f", ACCESS);
  mode("f");
  struct list named = {0, {{1, 6, -1}, {2, 6, 1000}, {4, 4, -1}, {0x10, 6, -1}, {0x20, 0, -1}}};
  TRY(set("f", ACCESS, &named, 5));
  show("f", ACCESS);
  mode("f");
  INT(listxattr("f", NULL, 0));
  TRY(chmod("f", 0640));
  show("f", ACCESS);
  mode("f");
  TRY(chmod("f", 0660));
  /* wrong lists */
  struct list nomask = {0, {{1, 6, -1}, {2, 6, 1000}, {4, 4, -1}, {0x20, 0, -1}}};
  TRY(set("g", ACCESS, &nomask, 4));
  struct list disorder = {0, {{4, 4, -1}, {1, 6, -1}, {0x20, 0, -1}}};
  TRY(set("g", ACCESS, &disorder, 3));
  struct list missing = {0, {{1, 6, -1}, {4, 4, -1}}};
  TRY(set("g", ACCESS, &missing, 2));
  struct list twice = {0, {{1, 6, -1}, {1, 6, -1}, {4, 4, -1}, {0x20, 0, -1}}};
  TRY(set("g", ACCESS, &twice, 4));
  struct list perm = {0, {{1, 8, -1}, {4, 4, -1}, {0x20, 0, -1}}};
  TRY(set("g", ACCESS, &perm, 3));
  struct list tag = {0, {{3, 6, -1}, {4, 4, -1}, {0x20, 0, -1}}};
  TRY(set("g", ACCESS, &tag, 3));
  minimal.version = 1;
  TRY(setxattr("g", ACCESS, &minimal, 28, 0));
  minimal.version = 2;
  TRY(setxattr("g", ACCESS, &minimal, 27, 0));
  TRY(setxattr("g", ACCESS, &minimal, 3, 0));
  TRY(setxattr("g", ACCESS, &minimal, 4, 0));
  TRY(setxattr("g", ACCESS, NULL, 0, 0));
  TRY(setxattr("g", ACCESS, &minimal, 28, XATTR_REPLACE));
  TRY(setxattr("g", ACCESS, &minimal, 28, XATTR_CREATE));
  TRY(set("g", DEFAULT, &minimal, 3));
  NEED(symlink("f", "s"));
  TRY(lsetxattr("s", ACCESS, &minimal, 28, 0));
  TRY(lgetxattr("s", ACCESS, &named, 28));
  struct list same = {0, {{1, 6, -1}, {2, 6, 1000}, {2, 4, 1000}, {4, 4, -1}, {0x10, 6, -1}, {0x20, 0, -1}}};
  TRY(set("g", ACCESS, &same, 6));
  struct list unordered = {0, {{1, 6, -1}, {2, 6, 1001}, {2, 4, 1000}, {4, 4, -1}, {0x10, 6, -1}, {0x20, 0, -1}}};
  TRY(set("g", ACCESS, &unordered, 6));
  show("g", ACCESS);
  TRY(removexattr("g", ACCESS));
  show("g", ACCESS);
  mode("g");
  TRY(removexattr("g", ACCESS));
  TRY(removexattr("g", DEFAULT));
  /* what it decides */
  NEED(chown("f", 2000, 2000));
  struct list grants = {0, {{1, 6, -1}, {2, 4, 1000}, {2, 0, 1001}, {4, 6, -1}, {8, 6, 3000}, {0x10, 6, -1}, {0x20, 4, -1}}};
  TRY(set("f", ACCESS, &grants, 7));
  mode("f");
  static const struct { int uid, gid; } who[] = {{1000, 9}, {1001, 9}, {1002, 9}, {1002, 2000}, {1002, 3000}, {2000, 9}, {1000, 3000}, {1001, 3000}};
  for (unsigned i = 0; i < sizeof who / sizeof *who; i++) {
    pid_t child = NEED(fork());
    if (child == 0) {
      NEED(setgroups(0, NULL));
      NEED(setgid(who[i].gid));
      NEED(setuid(who[i].uid));
      say("user %d group %d: read %s", who[i].uid, who[i].gid, access("f", R_OK) == 0 ? "yes" : errname(errno));
      say("user %d group %d: write %s", who[i].uid, who[i].gid, access("f", W_OK) == 0 ? "yes" : errname(errno));
      say("user %d group %d: change %s", who[i].uid, who[i].gid, set("f", ACCESS, &grants, 7) == 0 ? "yes" : errname(errno));
      _exit(0);
    }
    waitpid(child, NULL, 0);
  }
  /* the mask bounds everybody but the owner and others */
  TRY(chmod("f", 0604));
  show("f", ACCESS);
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(setgroups(0, NULL)), NEED(setgid(9)), NEED(setuid(1000));
    TRY(access("f", R_OK));
    _exit(0);
  }
  waitpid(child, NULL, 0);
  /* inheritance */
  struct list inherited = {0, {{1, 7, -1}, {2, 7, 1000}, {4, 5, -1}, {0x10, 7, -1}, {0x20, 5, -1}}};
  TRY(set("d", DEFAULT, &inherited, 5));
  show("d", DEFAULT);
  mode("d");
  umask(077);
  close(NEED(open("d/new", O_CREAT | O_RDWR, 0666)));
  show("d/new", ACCESS);
  mode("d/new");
  close(NEED(open("d/narrow", O_CREAT | O_RDWR, 0600)));
  show("d/narrow", ACCESS);
  mode("d/narrow");
  NEED(mkdir("d/sub", 0777));
  show("d/sub", ACCESS), show("d/sub", DEFAULT);
  mode("d/sub");
  NEED(mkfifo("d/fifo", 0666));
  show("d/fifo", ACCESS);
  mode("d/fifo");
  NEED(symlink("x", "d/link"));
  TRY(set("d", DEFAULT, &minimal, 3));
  close(NEED(open("d/plain", O_CREAT | O_RDWR, 0666)));
  show("d/plain", ACCESS);
  mode("d/plain");
  TRY(setxattr("d", DEFAULT, NULL, 0, 0));
  show("d", DEFAULT);
  close(NEED(open("d/masked", O_CREAT | O_RDWR, 0666)));
  mode("d/masked");
  return 0;
}
