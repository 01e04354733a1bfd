/* clone3(2): which flags go together, ids that are asked for, handlers that are cleared. */
#include "guest.h"
#include <linux/sched.h>
#include <sched.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static const struct {
  const char *name;
  unsigned long long value;
} FLAGS[] = {
    {"VM", CLONE_VM},
    {"FS", CLONE_FS},
    {"FILES", CLONE_FILES},
    {"SIGHAND", CLONE_SIGHAND},
    {"PIDFD", CLONE_PIDFD},
    {"PTRACE", CLONE_PTRACE},
    {"PARENT", CLONE_PARENT},
    {"THREAD", CLONE_THREAD},
    {"NEWNS", CLONE_NEWNS},
    {"SYSVSEM", CLONE_SYSVSEM},
    {"PARENT_SETTID", CLONE_PARENT_SETTID},
    {"CHILD_CLEARTID", CLONE_CHILD_CLEARTID},
    {"DETACHED", CLONE_DETACHED},
    {"UNTRACED", CLONE_UNTRACED},
    {"CHILD_SETTID", CLONE_CHILD_SETTID},
    {"NEWCGROUP", CLONE_NEWCGROUP},
    {"NEWTIME", CLONE_NEWTIME},
    {"NEWUTS", CLONE_NEWUTS},
    {"NEWIPC", CLONE_NEWIPC},
    {"NEWUSER", CLONE_NEWUSER},
    {"NEWPID", CLONE_NEWPID},
    {"NEWNET", CLONE_NEWNET},
    {"IO", CLONE_IO},
    {"CLEAR_SIGHAND", CLONE_CLEAR_SIGHAND},
    {"INTO_CGROUP", CLONE_INTO_CGROUP},
    {"1 << 40", 1ull << 40},
    {"1 << 63", 1ull << 63},
};
#define COUNT (int)(sizeof FLAGS / sizeof *FLAGS)

static int parent_tid, child_tid, descriptor;

/* A child, which may share everything, ends at once by the only call that it makes. */
static long make_and_end(struct clone_args *args, size_t size) {
  long result;
  __asm__ volatile("syscall\n"
                   "test %%rax, %%rax\n"
                   "jnz 1f\n"
                   "mov $60, %%eax\n"
                   "xor %%edi, %%edi\n"
                   "syscall\n"
                   "1:"
                   : "=a"(result)
                   : "0"(SYS_clone3), "D"(args), "S"(size)
                   : "rcx", "r11", "memory");
  return result;
}

static void combinations(void) {
  pid_t outer = NEED(fork());
  if (outer == 0) {
    for (int i = 0; i < COUNT; i++)
      for (int j = i; j < COUNT; j++)
        for (int signo = 0; signo <= SIGCHLD; signo += SIGCHLD) {
          struct clone_args args = {
              .flags = FLAGS[i].value | FLAGS[j].value | CLONE_VFORK,
              .exit_signal = signo,
              .parent_tid = (uintptr_t)&parent_tid,
              .child_tid = (uintptr_t)&child_tid,
              .pidfd = (uintptr_t)&descriptor,
              .cgroup = 12345,
          };
          long result = make_and_end(&args, sizeof args);
          if (result < 0 || i == j) say("%s, %s, %d: %s", FLAGS[i].name, FLAGS[j].name, signo, result < 0 ? errname(-result) : "ok");
          while (waitpid(-1, NULL, __WALL) > 0) {
          }
        }
    _exit(0);
  }
  reap("combinations", outer);
}

static long make(struct clone_args *args, size_t size) {
  long result = syscall(SYS_clone3, args, size);
  if (result == 0) {
    say("child %d", getpid());
    _exit(0);
  }
  return result;
}

static void sizes(void) {
  char space[8192] = "";
  struct clone_args *args = (void *)space;
  args->exit_signal = SIGCHLD;
  TRY(make(args, 0));
  TRY(make(args, 63));
  TRY(make(args, 4097));
  TRY(make((void *)8, 64));
  space[200] = 1;
  TRY(make(args, 300));
  args->exit_signal = 65;
  TRY(make(args, 64));
  args->exit_signal = SIGCHLD;
  args->stack = (uintptr_t)space;
  TRY(make(args, 64));
  args->stack = 0, args->stack_size = 4096;
  TRY(make(args, 64));
  args->stack_size = 0;
  args->flags = CLONE_INTO_CGROUP, args->cgroup = 0x80000000;
  TRY(make(args, 88));
  TRY(make(args, 80));
}

static void show(const char *name, long result) {
  if (result > 0) {
    int status;
    waitpid(result, &status, 0);
    say("%s: made, %s", name, status_text(status));
  } else say("%s: %s", name, errname(errno));
}

/* A child with these ids; what it does there. */
static long with_ids(unsigned long long flags, const pid_t *ids, size_t count) {
  struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD, .set_tid = (uintptr_t)ids, .set_tid_size = count};
  long result = syscall(SYS_clone3, &args, sizeof args);
  if (result == 0) _exit(count > 0 && getpid() == ids[0] ? 0 : 1);
  return result;
}

/* An id that nobody has, another one each time. */
static pid_t unused(void) {
  static pid_t id = 31000;
  do id++;
  while (kill(id, 0) == 0 || errno != ESRCH);
  return id;
}

static void chosen_ids(void) {
  pid_t free_id = unused(), ids[40];
  long child = with_ids(0, &free_id, 1);
  IS(child == free_id);
  show("free", child);
  show("again", with_ids(0, &free_id, 1));
  ids[0] = getpid();
  show("taken", with_ids(0, ids, 1));
  ids[0] = 0;
  show("zero", with_ids(0, ids, 1));
  ids[0] = -5;
  show("negative", with_ids(0, ids, 1));
  ids[0] = INT_MAX;
  show("too large", with_ids(0, ids, 1));
  ids[0] = 1;
  show("1", with_ids(0, ids, 1));
  show("no array", with_ids(0, NULL, 1));
  show("an array of none", with_ids(0, ids, 0));
  show("33 levels", with_ids(0, ids, 33));
  show("bad array", with_ids(0, (void *)8, 1));
  ids[0] = 1, ids[1] = unused();
  show("init and its outer id", with_ids(CLONE_NEWPID, ids, 2));
  ids[0] = 7;
  show("an init that is not 1", with_ids(CLONE_NEWPID, ids, 1));
  show("three levels where there may be more", with_ids(CLONE_NEWPID | CLONE_NEWUSER, ids, 1));

  pid_t outer_id = unused(), other_id = unused();
  struct clone_args init = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
  long in = NEED(syscall(SYS_clone3, &init, sizeof init));
  if (in == 0) {
    ids[0] = 77;
    child = with_ids(0, ids, 1);
    INT(child);
    show("in a namespace", child);
    ids[0] = 1;
    show("its init", with_ids(0, ids, 1));
    ids[0] = 78, ids[1] = outer_id;
    child = with_ids(0, ids, 2);
    INT(child);
    show("in both", child);
    pid_t next = fork();
    if (next == 0) _exit(0);
    IS(next < 77);
    waitpid(next, NULL, 0);
    show("in three", with_ids(CLONE_NEWPID, (pid_t[]){1, 80, other_id}, 3));
    show("deeper than it is", with_ids(CLONE_NEWPID, (pid_t[]){1, 80, other_id, 5, 6, 7, 8, 9}, 8));
    _exit(0);
  }
  reap("namespace", in);

  pid_t plain = NEED(fork());
  if (plain == 0) {
    NEED(setresuid(65534, 65534, 65534));
    show("without the capability", with_ids(0, &free_id, 1));
    ids[0] = 1;
    show("in a user namespace of one's own", with_ids(CLONE_NEWUSER | CLONE_NEWPID, ids, 1));
    ids[1] = unused();
    show("and outside it", with_ids(CLONE_NEWUSER | CLONE_NEWPID, ids, 2));
    _exit(0);
  }
  reap("plain", plain);
}

static void nothing(int signo) { (void)signo; }

static void cleared_handlers(void) {
  handle(SIGUSR1, nothing, SA_RESTART);
  signal(SIGUSR2, SIG_IGN);
  struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
  long child = NEED(syscall(SYS_clone3, &args, sizeof args));
  if (child == 0) {
    struct sigaction one, two;
    sigaction(SIGUSR1, NULL, &one), sigaction(SIGUSR2, NULL, &two);
    IS(one.sa_handler == SIG_DFL);
    INT(one.sa_flags);
    IS(two.sa_handler == SIG_IGN);
    raise(SIGUSR1);
    _exit(0);
  }
  reap("cleared", child);
  raise(SIGUSR1);
}

int main(void) {
  sizes();
  combinations();
  chosen_ids();
  cleared_handlers();
  return 0;
}
