/* SECCOMP_RET_TRACE: PTRACE_EVENT_SECCOMP, and what the tracer makes of the call. */
#include "filters.h"
#include "ptrace.h"

static int body(void) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  int result = INSTALL(0, LOAD(nr), J(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_get_priority_max, 0, 1),
                       RETURN(SECCOMP_RET_TRACE | 77), J(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_yield, 0, 1),
                       RETURN(SECCOMP_RET_ERRNO | ENOTTY), ALLOW);
  say("filter: %d", result);
  for (int i = 0; i < 6; i++) {
    errno = 0;
    result = (int)syscall(SYS_sched_get_priority_max, 1);
    say("call %d: %d %s", i, result, errname(errno));
  }
  return 0;
}

static pid_t start(unsigned long options) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(body());
  }
  await_stop("start", pid);
  TRY(trace(PTRACE_SETOPTIONS, pid, 0, options));
  trace(PTRACE_CONT, pid, 0, 0);
  return pid;
}

static void say_syscall(pid_t pid) {
  struct ptrace_syscall_info info;
  long size = trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, (unsigned long)&info);
  say("size %ld op %d nr %lld arg %llx data %x", size, info.op, info.seccomp.nr, info.seccomp.args[0],
      info.seccomp.ret_data);
}

int main(void) {
  reap("untraced", ({
         pid_t pid = NEED(fork());
         if (pid == 0) _exit(body());
         pid;
       }));
  pid_t pid = start(0);
  await_stop("without the option", pid);

  pid = start(PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD);
  await_stop("let through", pid);
  say_info("let through", pid);
  INT(event_message(pid));
  say_syscall(pid);
  say("rax %lld orig_rax %lld", get_registers(pid).rax, get_registers(pid).orig_rax);
  trace(PTRACE_CONT, pid, 0, 0);

  await_stop("skipped", pid);
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.orig_rax), -1ul));
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.rax), 12));
  trace(PTRACE_CONT, pid, 0, 0);

  await_stop("judged again", pid);
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.orig_rax), SYS_sched_yield));
  trace(PTRACE_CONT, pid, 0, 0);

  await_stop("another call", pid);
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.orig_rax), SYS_sched_get_priority_min));
  trace(PTRACE_CONT, pid, 0, SIGUSR1);

  await_stop("then its exit", pid);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  await_stop("its exit", pid);
  INT(get_registers(pid).rax);
  for (int i = 0; i < 2; i++) {
    trace(PTRACE_SYSCALL, pid, 0, 0);
    await_stop("write", pid);
  }
  trace(PTRACE_SYSCALL, pid, 0, 0);
  await_stop("entry first", pid);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  await_stop("then the filter", pid);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);
  return 0;
}
