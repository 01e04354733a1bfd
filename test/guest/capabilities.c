/* capget, capset, and what changes of user ids and execve leave of the sets. */
#include "guest.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>

static struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
static struct __user_cap_data_struct data[2];

static long get_sets(void) { return syscall(SYS_capget, &header, data); }
static long set_sets(void) { return syscall(SYS_capset, &header, data); }

static void show(const char *when) {
  header = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, 0};
  NEED(get_sets());
  int any[3] = {data[0].effective | data[1].effective, data[0].permitted | data[1].permitted,
                data[0].inheritable | data[1].inheritable};
  say("%s: effective %s, permitted %s, inheritable %s; kill %d", when, any[0] ? "some" : "none",
      any[1] ? "some" : "none", any[2] ? "some" : "none", data[0].effective >> CAP_KILL & 1);
}

int main(int argc, char **argv) {
  if (argc > 1) return show(argv[1]), 0;
  header.version = 0;
  TRY(syscall(SYS_capget, &header, NULL));
  IS(header.version == _LINUX_CAPABILITY_VERSION_3);
  header.version = 7;
  TRY(get_sets());
  IS(header.version == _LINUX_CAPABILITY_VERSION_3);
  header.pid = -1;
  TRY(get_sets());
  header.pid = 0x3ffffff;
  TRY(get_sets());
  header.pid = getpid();
  TRY(get_sets());
  TRY(syscall(SYS_capget, &header, NULL));
  TRY(syscall(SYS_capget, NULL, data));
  TRY(syscall(SYS_capget, &header, 8L));
  TRY(syscall(SYS_capset, &header, 8L));
  header.pid = getppid();
  TRY(set_sets());
  header.version = _LINUX_CAPABILITY_VERSION_1;
  header.pid = 0;
  memset(data, 0xff, sizeof data);
  TRY(get_sets());
  IS(data[1].permitted == 0xffffffff);
  show("at first");
  if (getuid() != 0) return 0;

  data[0].inheritable = 1 << CAP_KILL, data[1].inheritable = 0;
  TRY(set_sets());
  show("inheritable");
  data[0].effective &= ~(1u << CAP_KILL);
  TRY(set_sets());
  show("not effective");
  data[0].permitted &= ~(1u << CAP_CHOWN), data[0].effective &= ~(1u << CAP_CHOWN);
  TRY(set_sets());
  data[0].permitted |= 1 << CAP_CHOWN;
  TRY(set_sets());
  pid_t child = NEED(fork());
  if (child == 0) {
    show("forked");
    execl("/proc/self/exe", "capabilities", "root's program", NULL);
    _exit(98);
  }
  reap("child", child);
  child = NEED(fork());
  if (child == 0) {
    TRY(setresuid(-1, 65534, -1));
    show("effective user changed");
    TRY(setresuid(-1, 0, -1));
    show("changed back");
    TRY(prctl(PR_SET_KEEPCAPS, 1));
    TRY(setresuid(65534, 65534, 65534));
    show("kept");
    execl("/proc/self/exe", "capabilities", "somebody's program", NULL);
    _exit(98);
  }
  reap("child", child);
  child = NEED(fork());
  if (child == 0) {
    TRY(setresuid(65534, 65534, 65534));
    show("dropped");
    TRY(set_sets());
    data[0].permitted = 1;
    TRY(set_sets());
    _exit(0);
  }
  reap("child", child);
  return 0;
}
