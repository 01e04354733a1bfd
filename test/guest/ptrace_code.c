/* A tracer sees a program's code as it is in its file, and steps through it so, however often it has run before. */
#include "guest.h"
#include <dlfcn.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#define LENGTH 16

static pid_t stopped_child(void) {
  int status;
  pid_t child = fork();

  if (child == 0) {
    for (int i = 0; i < 300; i++) getppid();
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    getppid();
    _exit(7);
  }
  waitpid(child, &status, 0);
  say("%d", WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  return child;
}

int main(void) {
  char *code = dlsym(RTLD_DEFAULT, "getppid"); /* which we never call ourselves */
  pid_t child = stopped_child();
  struct user_regs_struct regs;
  int status, steps = 0, inside = 0;

  for (int i = 0; i < LENGTH; i += 8) {
    long word = ptrace(PTRACE_PEEKTEXT, child, code + i, 0);
    say("%d", memcmp(&word, code + i, sizeof word) == 0);
  }
  while (steps++ < 100000) {
    if (ptrace(PTRACE_SINGLESTEP, child, 0, 0) < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) break;
    ptrace(PTRACE_GETREGS, child, 0, &regs);
    long at = (long)(regs.rip - (unsigned long)code);
    if (at >= 0 && at < LENGTH) {
      inside = 1;
      say("%ld", at);
    } else if (inside)
      break;
  }
  IS(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
  TRY(ptrace(PTRACE_CONT, child, 0, 0));
  waitpid(child, &status, 0);
  IS(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  return 0;
}
