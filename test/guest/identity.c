#include "guest.h"
#include <grp.h>
#include <sys/fsuid.h>

static void show(const char *name) {
  uid_t r, e, s;
  gid_t g[3];
  getresuid(&r, &e, &s);
  getresgid(&g[0], &g[1], &g[2]);
  say("%s: %u %u %u, %u %u %u", name, r, e, s, g[0], g[1], g[2]);
}

int main(void) {
  IS(getuid() == geteuid());
  IS(getgid() == getegid());
  gid_t groups[64];
  IS(getgroups(0, NULL) >= 0);
  IS(getgroups(64, groups) == getgroups(0, NULL));
  TRY(syscall(SYS_getgroups, -1, groups));
  TRY(setreuid(getuid(), -1));
  TRY(setresuid(-1, -1, -1));
  TRY(setuid(-1));
  TRY(syscall(SYS_getresuid, (void *)8, (void *)8, (void *)8));
  if (getuid() != 0) return say("not root"), 0;
  pid_t child = NEED(fork());
  if (child == 0) {
    gid_t list[2] = {7, 5};
    TRY(setgroups(2, list));
    TRY(getgroups(64, groups));
    say("%u %u", groups[0], groups[1]);
    TRY(setresgid(10, 11, 12));
    TRY(setresuid(1000, 1001, 1002));
    show("all different");
    TRY(setresuid(1002, 1000, 1001));
    show("permuted");
    TRY(setuid(1001));
    show("setuid to the saved one");
    TRY(seteuid(1002));
    show("seteuid to the real one");
    TRY(setreuid(-1, 5));
    TRY(setuid(0));
    TRY(setgid(13));
    TRY(setegid(12));
    TRY(setgroups(0, NULL));
    show("at last");
    TRY(setfsuid(3));
    TRY(setfsuid(1001));
    TRY(setfsuid(-1));
    _exit(0);
  }
  reap("child", child);
  child = NEED(fork());
  if (child == 0) {
    TRY(seteuid(500));
    show("root for a while");
    TRY(kill(getppid(), 0));
    TRY(seteuid(0));
    TRY(setuid(600));
    show("never again");
    TRY(seteuid(0));
    _exit(0);
  }
  reap("child", child);
  return 0;
}
