/* What a change of credentials does to the dumpable attribute and to the parent's death signal: prctl(2), proc(5). */
#include "guest.h"
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

static const char *program;

static void state(const char *name) {
  struct stat st;
  int death = -1;
  NEED(prctl(PR_GET_PDEATHSIG, &death));
  NEED(stat("/proc/self/status", &st));
  int fd = open("/proc/self/comm", O_WRONLY);
  say("%s: dumpable %d, death signal %d, files of %d, comm %s", name, prctl(PR_GET_DUMPABLE), death, st.st_uid,
      fd == -1 ? errname(errno) : "ok");
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  NEED(syscall(SYS_capget, &header, data));
  say("effective %#x %#x, permitted %#x %#x", data[0].effective, data[1].effective, data[0].permitted, data[1].permitted);
  if (fd != -1) close(fd);
}

static void capabilities(unsigned drop) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  NEED(syscall(SYS_capget, &header, data));
  data[0].effective &= ~drop, data[0].permitted &= ~drop;
  NEED(syscall(SYS_capset, &header, data));
}

static void nothing(void) {}
static void same_uid(void) { NEED(setresuid(0, 0, 0)); }
static void real_uid(void) { NEED(setresuid(1000, -1, -1)); }
static void saved_uid(void) { NEED(setresuid(-1, -1, 1000)); }
static void effective_uid(void) { NEED(setresuid(-1, 1000, -1)); }
static void all_uids(void) { NEED(setresuid(1000, 1000, 1000)); }
static void there_and_back(void) {
  NEED(seteuid(1000));
  NEED(seteuid(0));
}
static void real_gid(void) { NEED(setresgid(1000, -1, -1)); }
static void effective_gid(void) { NEED(setresgid(-1, 1000, -1)); }
static void file_uid(void) { setfsuid(1000); }
static void file_uid_and_back(void) {
  setfsuid(1000);
  setfsuid(0);
}
static void file_uid_of_few(void) {
  capabilities(1u << CAP_CHOWN | 1u << CAP_KILL);
  setfsuid(1000);
  capabilities(1u << CAP_SYS_ADMIN);
  setfsuid(0);
}
static void file_uid_kept(void) {
  NEED(prctl(PR_SET_SECUREBITS, 1 << 2)); /* SECBIT_NO_SETUID_FIXUP */
  setfsuid(1000);
}
static void file_gid(void) { setfsgid(1000); }
static void groups(void) {
  gid_t list[2] = {5, 6};
  NEED(setgroups(2, list));
}
static void fewer_capabilities(void) { capabilities(1u << CAP_KILL); }
static void bounding(void) { NEED(prctl(PR_CAPBSET_DROP, CAP_KILL)); }
static void user_namespace(void) { NEED(unshare(CLONE_NEWUSER)); }
static void users_namespace(void) {
  NEED(setresuid(1000, 1000, 1000));
  NEED(prctl(PR_SET_DUMPABLE, 1));
  NEED(prctl(PR_SET_PDEATHSIG, SIGUSR1));
  NEED(unshare(CLONE_NEWUSER));
}
static void executed(void) {
  NEED(setresuid(1000, 1000, 1000));
  execl(program, program, "executed", NULL);
}
static void set_again(void) {
  NEED(setresuid(1000, 1000, 1000));
  NEED(prctl(PR_SET_DUMPABLE, 1));
}
static void forked(void) {
  NEED(setresuid(1000, 1000, 1000));
  pid_t child = NEED(fork());
  if (child == 0) {
    state("child");
    _exit(0);
  }
  waitpid(child, NULL, 0);
}

static void in_child(const char *name, void (*change)(void)) {
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(prctl(PR_SET_PDEATHSIG, SIGUSR2));
    change();
    state(name);
    _exit(0);
  }
  int status;
  waitpid(child, &status, 0);
  if (status != 0) say("%s: %s", name, status_text(status));
}
#define TRY_IN_CHILD(change) in_child(#change, change)

int main(int argc, char **argv) {
  program = argv[0];
  if (argc > 1) {
    state(argv[1]);
    return 0;
  }
  TRY_IN_CHILD(nothing);
  TRY_IN_CHILD(same_uid);
  TRY_IN_CHILD(real_uid);
  TRY_IN_CHILD(saved_uid);
  TRY_IN_CHILD(effective_uid);
  TRY_IN_CHILD(all_uids);
  TRY_IN_CHILD(there_and_back);
  TRY_IN_CHILD(real_gid);
  TRY_IN_CHILD(effective_gid);
  TRY_IN_CHILD(file_uid);
  TRY_IN_CHILD(file_uid_and_back);
  TRY_IN_CHILD(file_uid_of_few);
  TRY_IN_CHILD(file_uid_kept);
  TRY_IN_CHILD(file_gid);
  TRY_IN_CHILD(groups);
  TRY_IN_CHILD(fewer_capabilities);
  TRY_IN_CHILD(bounding);
  TRY_IN_CHILD(user_namespace);
  TRY_IN_CHILD(users_namespace);
  TRY_IN_CHILD(executed);
  TRY_IN_CHILD(set_again);
  TRY_IN_CHILD(forked);
  return 0;
}
