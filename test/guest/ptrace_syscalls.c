/* System call stops: TRACESYSGOOD, rewriting, skipping, SYSEMU, PTRACE_GET_SYSCALL_INFO, restarts. */
#include "ptrace.h"
#include <sched.h>

static pid_t traced(int (*body)(void)) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(body());
  }
  await_stop("start", pid);
  return pid;
}

static void say_syscall(const char *name, pid_t pid) {
  struct ptrace_syscall_info info;
  memset(&info, 0x77, sizeof info);
  struct user_regs_struct regs = get_registers(pid);
  long size = trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, (unsigned long)&info);
  say("%s: size %ld op %d arch %x ip %d sp %d", name, size, info.op, info.arch, info.instruction_pointer == regs.rip,
      info.stack_pointer == regs.rsp);
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
    say("%s: entry nr %lld %d %d", name, info.entry.nr, info.entry.args[0] == regs.rdi, info.entry.args[5] == regs.r9);
  if (info.op == PTRACE_SYSCALL_INFO_EXIT) say("%s: exit %lld error %d", name, info.exit.rval, info.exit.is_error);
}

static void step(const char *name, pid_t pid, int request) {
  if (trace(request, pid, 0, 0) == -1) say("%s: request %s", name, errname(errno));
  await_stop(name, pid);
  struct user_regs_struct regs = get_registers(pid);
  say("%s: orig_rax %lld rax %lld rip==rcx %d message %lx", name, regs.orig_rax, regs.rax, regs.rip == regs.rcx,
      event_message(pid));
}

static int calls(void) {
  syscall(SYS_sched_get_priority_max, SCHED_FIFO, 2);
  syscall(SYS_close, -1);
  long result = syscall(SYS_sched_get_priority_max, SCHED_FIFO);
  say("rewritten to write: %ld", result);
  result = syscall(SYS_sched_get_priority_max, SCHED_FIFO);
  say("skipped: %ld %s", result, errname(errno));
  result = syscall(SYS_sched_get_priority_max, SCHED_FIFO);
  say("skipped with a result: %ld", result);
  result = syscall(SYS_sched_get_priority_max, SCHED_FIFO);
  say("result changed: %ld", result);
  result = syscall(9999, 1, 2, 3);
  say("no such call: %ld", result);
  result = syscall(SYS_read, -1, NULL, 0);
  say("another number: %s", result == syscall(SYS_getpid) ? "pid" : "other");
  return 0;
}

static const char text[] = "hello from the tracer\n";

static void rewriting(void) {
  pid_t pid = traced(calls);
  TRY(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD));
  say_syscall("none", pid);
  struct user_regs_struct regs;
  do {
    trace(PTRACE_SYSCALL, pid, 0, 0);
    waitpid(pid, NULL, 0);
    regs = get_registers(pid);
  } while (regs.orig_rax != SYS_sched_get_priority_max || event_message(pid) != PTRACE_EVENTMSG_SYSCALL_ENTRY);
  say_info("entry", pid);
  say_syscall("entry", pid);
  struct ptrace_syscall_info info;
  memset(&info, 0x77, sizeof info);
  INT(trace(PTRACE_GET_SYSCALL_INFO, pid, 3, (unsigned long)&info));
  say("short: op %d arch %x", info.op, info.arch);
  INT(trace(PTRACE_GET_SYSCALL_INFO, pid, 0, (unsigned long)&info));
  INT(trace(PTRACE_GET_SYSCALL_INFO, pid, 8, 16));
  say("rax %lld rdi %llx", get_registers(pid).rax, get_registers(pid).rdi);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  await_stop("exit", pid);
  say_info("exit", pid);
  INT(get_registers(pid).rax);
  step("close", pid, PTRACE_SYSCALL);
  step("close", pid, PTRACE_SYSCALL);
  say_syscall("close", pid);

  step("rewrite", pid, PTRACE_SYSCALL);
  regs = get_registers(pid);
  regs.orig_rax = SYS_write;
  regs.rdi = 1;
  regs.rsi = (unsigned long)text;
  regs.rdx = sizeof text - 1;
  TRY(trace(PTRACE_SETREGS, pid, 0, (unsigned long)&regs));
  step("rewrite", pid, PTRACE_SYSCALL);
  step("say", pid, PTRACE_SYSCALL);
  step("say", pid, PTRACE_SYSCALL);

  step("skip", pid, PTRACE_SYSCALL);
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.orig_rax), -1ul));
  step("skip", pid, PTRACE_SYSCALL);
  step("say", pid, PTRACE_SYSCALL);
  step("say", pid, PTRACE_SYSCALL);

  step("skip with result", pid, PTRACE_SYSCALL);
  regs = get_registers(pid);
  regs.orig_rax = -1;
  regs.rax = 4711;
  TRY(trace(PTRACE_SETREGS, pid, 0, (unsigned long)&regs));
  step("skip with result", pid, PTRACE_SYSCALL);
  step("say", pid, PTRACE_SYSCALL);
  step("say", pid, PTRACE_SYSCALL);

  step("change result", pid, PTRACE_SYSCALL);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  await_stop("change result", pid);
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.rax), 815));
  step("say", pid, PTRACE_SYSCALL);
  step("say", pid, PTRACE_SYSCALL);

  step("no such call", pid, PTRACE_SYSCALL);
  step("no such call", pid, PTRACE_SYSCALL);
  step("say", pid, PTRACE_SYSCALL);
  step("say", pid, PTRACE_SYSCALL);
  step("another number", pid, PTRACE_SYSCALL);
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.orig_rax), SYS_getpid));
  NEED(trace(PTRACE_CONT, pid, 0, 0));
  await_stop("end", pid);
}

static int emulated(void) {
  long result = syscall(SYS_sched_get_priority_max, SCHED_RR, 5);
  say("emulated: %ld", result);
  return (int)syscall(SYS_sched_get_priority_max, SCHED_FIFO);
}

static void emulation(void) {
  pid_t pid = traced(emulated);
  TRY(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD));
  step("emulate", pid, PTRACE_SYSEMU);
  say_syscall("emulate", pid);
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.rax), 1234));
  NEED(trace(PTRACE_CONT, pid, 0, 0));
  await_stop("end", pid);
}

/* without TRACESYSGOOD; a signal passed on from a system call stop */
static int bare(void) {
  syscall(SYS_sched_get_priority_max, SCHED_FIFO);
  syscall(SYS_sched_get_priority_max, SCHED_FIFO);
  return 5;
}

static void plain(void) {
  pid_t pid = traced(bare);
  step("entry", pid, PTRACE_SYSCALL);
  say_info("entry", pid);
  say_syscall("entry", pid);
  TRY(trace(PTRACE_SYSCALL, pid, 0, SIGWINCH));
  await_stop("exit", pid);
  TRY(trace(PTRACE_SYSCALL, pid, 0, 0));
  await_stop("SIGWINCH", pid);
  say_info("SIGWINCH", pid);
  TRY(trace(PTRACE_SYSCALL, pid, 0, 0));
  await_stop("entry", pid);
  NEED(trace(PTRACE_CONT, pid, 0, 0));
  await_stop("end", pid);
}

/* interrupted calls as the tracer sees them */
static void on_alarm(int signo) { (void)signo; }

static int sleeping(void) {
  int ends[2];
  char c;
  pipe(ends);
  handle(SIGUSR1, on_alarm, 0);
  handle(SIGUSR2, on_alarm, SA_RESTART);
  for (int i = 0; i < 2; i++) {
    ssize_t n = read(ends[0], &c, 1);
    say("read: %zd %s", n, n < 0 ? errname(errno) : "");
  }
  return 0;
}

static void next_read(pid_t pid) {
  do {
    trace(PTRACE_SYSCALL, pid, 0, 0);
    waitpid(pid, NULL, 0);
  } while (get_registers(pid).orig_rax != SYS_read);
}

static void restarts(void) {
  pid_t pid = traced(sleeping);
  TRY(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD));
  next_read(pid);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  await_state(pid, 'S');
  kill(pid, SIGWINCH);
  await_stop("interrupted", pid);
  say("rax %lld orig_rax %lld", get_registers(pid).rax, get_registers(pid).orig_rax);
  say_syscall("interrupted", pid);
  step("signal", pid, PTRACE_SYSCALL);
  step("restarted", pid, PTRACE_SYSCALL);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  await_state(pid, 'S');
  kill(pid, SIGUSR2);
  await_stop("interrupted", pid);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  await_stop("SIGUSR2", pid);
  say("rax %lld orig_rax %lld", get_registers(pid).rax, get_registers(pid).orig_rax);
  trace(PTRACE_SYSCALL, pid, 0, SIGUSR2);
  await_stop("in the handler", pid);
  say("orig_rax %lld", get_registers(pid).orig_rax);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  await_stop("sigreturn's exit", pid);
  say("orig_rax %lld rax %lld", get_registers(pid).orig_rax, get_registers(pid).rax);
  step("restarted", pid, PTRACE_SYSCALL);
  trace(PTRACE_CONT, pid, 0, 0);
  await_state(pid, 'S');
  kill(pid, SIGUSR1);
  await_stop("SIGUSR1", pid);
  trace(PTRACE_CONT, pid, 0, SIGUSR1);
  await_state(pid, 'S');
  kill(pid, SIGUSR2);
  await_stop("SIGUSR2", pid);
  /* a debugger's call: no restart, and a result of its own */
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.orig_rax), -1ul));
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.rax), 0));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);
}

int main(void) {
  rewriting();
  emulation();
  plain();
  restarts();
  return 0;
}
