/* clone(2) without the C library's threads. */
#include "guest.h"
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>

static char stack[65536] __attribute__((aligned(16)));
static volatile int shared;
static int fds[2];

static int set_shared(void *arg) {
  shared = (int)(intptr_t)arg;
  return 3;
}

static int close_pipe(void *arg) {
  (void)arg;
  close(fds[0]);
  chdir("/");
  umask(077);
  return 0;
}

static void try(const char *name, int (*body)(void *), int flags, void *arg) {
  int parent_tid = 0, child_tid = 0;
  pid_t child = clone(body, stack + sizeof stack, flags, arg, &parent_tid, NULL, &child_tid);
  if (child == -1) {
    say("%s: %s", name, errname(errno));
    return;
  }
  int status;
  say("%s: waited %s", name, waitpid(child, &status, __WALL) == child ? status_text(status) : errname(errno));
  if (flags & CLONE_PARENT_SETTID) say("%s: parent tid %s", name, parent_tid == child ? "set" : "unset");
}

int main(void) {
  scratch();
  char before[PATH_MAX], after[PATH_MAX];
  shared = 1;
  try("copy", set_shared, SIGCHLD, (void *)2);
  INT(shared);
  try("vm", set_shared, CLONE_VM | SIGCHLD | CLONE_PARENT_SETTID, (void *)3);
  INT(shared);
  try("no signal", set_shared, CLONE_VM, (void *)4);
  INT(shared);
  NEED(pipe(fds));
  umask(022);
  getcwd(before, sizeof before);
  try("files copied", close_pipe, SIGCHLD, NULL);
  TRY(fcntl(fds[0], F_GETFD));
  getcwd(after, sizeof after);
  IS(strcmp(before, after) == 0);
  try("files shared", close_pipe, CLONE_FILES | SIGCHLD, NULL);
  TRY(fcntl(fds[0], F_GETFD));
  try("fs shared", close_pipe, CLONE_FS | SIGCHLD, NULL);
  getcwd(after, sizeof after);
  say("cwd: %s", after);
  say("umask: %03o", umask(022));
  try("sighand without vm", set_shared, CLONE_SIGHAND | SIGCHLD, NULL);
  try("thread without sighand", set_shared, CLONE_THREAD | CLONE_VM | SIGCHLD, NULL);

  /* CLONE_CHILD_CLEARTID: cleared and woken at exit */
  int tid = 0;
  static char second[65536] __attribute__((aligned(16)));
  pid_t child = clone(set_shared, second + sizeof second,
                      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                          CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID,
                      (void *)9, &tid, NULL, &tid);
  IS(child > 0);
  int now;
  while ((now = __atomic_load_n(&tid, __ATOMIC_SEQ_CST)) != 0) syscall(SYS_futex, &tid, FUTEX_WAIT, now, NULL, NULL, 0);
  INT(shared);
  INT(tid);
  TRY(waitpid(child, NULL, __WALL));
  return 0;
}
