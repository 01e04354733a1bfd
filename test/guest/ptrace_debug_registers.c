/* Debug registers by PTRACE_POKEUSER: breakpoints and watchpoints of the processor, which not every platform has. */
#include "ptrace.h"

static volatile long watched, beside;
__attribute__((noinline, used)) static void touch(long value) {
  beside = value;
  watched = value;
  beside = value + 1;
}

static int body(void) {
  trace(PTRACE_TRACEME, 0, 0, 0);
  raise(SIGSTOP);
  touch(1);
  touch(2);
  pid_t pid = fork();
  if (pid == 0) {
    touch(3);
    _exit(0);
  }
  reap("untraced child", pid);
  return 0;
}

static long debug_register(pid_t pid, int index) {
  long value = 0x5a;
  if (trace(PTRACE_PEEKUSR, pid, offsetof(struct user, u_debugreg) + index * 8, (unsigned long)&value) == -1) return -errno;
  return value;
}

static long set(pid_t pid, int index, unsigned long value) {
  return trace(PTRACE_POKEUSR, pid, offsetof(struct user, u_debugreg) + index * 8, value) == -1 ? -errno : 0;
}

int main(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) _exit(body());
  await_stop("start", pid);
  INT(debug_register(pid, 0));
  INT(debug_register(pid, 4));
  INT(set(pid, 4, 1));
  INT(set(pid, 7, 0));
  INT(set(pid, 0, (unsigned long)&watched));
  IS(debug_register(pid, 0) == (long)&watched);
  INT(set(pid, 1, 0xffff800000000000ul));
  INT(set(pid, 7, 0x10001 | 3 << 18)); /* write, 8 bytes */
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("watchpoint", pid);
  siginfo_t info;
  trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
  say("signo %d code %#x", info.si_signo, info.si_code);
  IS((unsigned long)info.si_addr == get_registers(pid).rip);
  say("dr6 %lx", debug_register(pid, 6) & 0xf);
  long value = 0;
  trace(PTRACE_PEEKDATA, pid, (unsigned long)&watched, (unsigned long)&value);
  say("watched %ld", value);
  INT(set(pid, 6, 0));
  INT(set(pid, 1, (unsigned long)touch));
  INT(set(pid, 7, 0x10001 | 3 << 18 | 4)); /* and execution */
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("breakpoint", pid);
  IS(get_registers(pid).rip == (unsigned long)touch);
  say("dr6 %lx", debug_register(pid, 6) & 0xf);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("watchpoint", pid);
  INT(set(pid, 7, 0));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("SIGCHLD", pid);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);
  return 0;
}
