/* Programs with the set-user-ID and set-group-ID bits, execve(2) and capabilities(7). Prepares them as root; a process
 * that isn't sees only that it can't. */
#include "guest.h"
#include <grp.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>

enum { USER = 1234, GROUP = 2345, OTHER = 4321 };

static void show(void) {
  uid_t ruid, euid, suid;
  gid_t rgid, egid, sgid;
  getresuid(&ruid, &euid, &suid);
  getresgid(&rgid, &egid, &sgid);
  say("  uids %d %d %d, gids %d %d %d, secure %ld", ruid, euid, suid, rgid, egid, sgid, getauxval(AT_SECURE));
  say("  auxv %ld %ld %ld %ld", getauxval(AT_UID), getauxval(AT_EUID), getauxval(AT_GID), getauxval(AT_EGID));
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {0};
  syscall(SYS_capget, &header, data);
  say("  may set ids: %d %d, no new privileges: %d", data[0].effective >> CAP_SETUID & 1, data[0].permitted >> CAP_SETUID & 1,
      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  int death = 0;
  prctl(PR_GET_PDEATHSIG, &death);
  say("  dumpable: %d, death signal: %d, addresses fixed: %d", prctl(PR_GET_DUMPABLE), death,
      (personality(0xffffffff) & ADDR_NO_RANDOMIZE) != 0);
}

/* Shares the file system context for long enough. */
static int share(void *unused) {
  (void)unused;
  sleep_ms(300);
  return 0;
}

/* Runs `path` as somebody without privileges, after what the flags ask for. */
enum { NO_NEW_PRIVS = 1, SHARED_FS = 2, AS_ROOT = 4, NO_ROOT = 8 };

static void try(const char *what, const char *path, int flags) {
  say("%s", what);
  pid_t child = NEED(fork());
  if (child == 0) {
    static char stack[65536];
    gid_t none = GROUP;
    if (setgroups(1, &none) < 0 || setresgid(GROUP, GROUP, GROUP) < 0) say("can't become somebody else");
    if (flags & NO_ROOT) IS(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT) == 0);
    if (!(flags & AS_ROOT) && setresuid(USER, USER, USER) < 0) say("can't become somebody else");
    if (flags & NO_NEW_PRIVS) NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (flags & SHARED_FS) NEED(clone(share, stack + sizeof stack, CLONE_FS | SIGCHLD, NULL));
    prctl(PR_SET_DUMPABLE, 1);
    prctl(PR_SET_PDEATHSIG, SIGURG);
    personality(ADDR_NO_RANDOMIZE);
    execl(path, path, "show", NULL);
    say("  execve: %s", errname(errno));
    _exit(1);
  }
  int status;
  waitpid(child, &status, 0);
  say("  status %d", WEXITSTATUS(status));
}

static char name[64];

/* A copy of this program with an owner and a mode. */
static const char *copy(uid_t uid, gid_t gid, mode_t mode) {
  static char bytes[1 << 20];
  static int number;
  int from = NEED(open("/proc/self/exe", O_RDONLY)), length = NEED((int)read(from, bytes, sizeof bytes));
  snprintf(name, sizeof name, "./copy%d", number++);
  int to = NEED(open(name, O_WRONLY | O_CREAT | O_EXCL, 0700));
  IS(write(to, bytes, length) == length);
  close(from);
  close(to);
  if (chown(name, uid, gid) < 0) say("can't give files away");
  NEED(chmod(name, mode));
  return name;
}

int main(int argc, char **argv) {
  (void)argv;
  if (argc > 1) {
    show();
    return 0;
  }
  scratch();
  chmod(".", 0755);
  signal(SIGURG, SIG_IGN);
  try("no bits", copy(0, 0, 0755), 0);
  try("set-user-ID root", copy(0, 0, 04755), 0);
  try("set-user-ID of another user", copy(OTHER, 0, 04755), 0);
  try("set-group-ID", copy(0, OTHER, 02755), 0);
  try("both", copy(OTHER, OTHER, 06755), 0);
  try("set-group-ID that nobody of the group can execute", copy(0, OTHER, 02745), 0);
  try("set-user-ID of who runs it", copy(USER, GROUP, 06755), 0);
  try("root runs a program of another user's", copy(OTHER, OTHER, 04755), AS_ROOT);
  try("root without root's privileges runs a set-user-ID root program", copy(0, 0, 04755), AS_ROOT | NO_ROOT);
  try("no new privileges", copy(0, 0, 06755), NO_NEW_PRIVS);
  try("a shared file system context", copy(0, OTHER, 06755), SHARED_FS);
  try("not executable for others", copy(0, 0, 04750), 0);
  const char *program = copy(0, 0, 0755);
  char script[200];
  snprintf(script, sizeof script, "#!%s\n", program);
  put("script", script);
  NEED(chmod("script", 04755));
  try("a script with the bit", "./script", 0);
  program = copy(0, 0, 04755);
  snprintf(script, sizeof script, "#!%s\n", program);
  put("script", script);
  NEED(chmod("script", 0755));
  try("a script whose interpreter has the bit", "./script", 0);
  try("unreadable", copy(0, 0, 0711), 0);
  return 0;
}
