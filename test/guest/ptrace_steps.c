/* Single steps: over instructions, system calls, into handlers; breakpoints; what the flags show. */
#include "ptrace.h"

__attribute__((noinline, used)) static int sum(int n) {
  int total = 0;
  for (int i = 0; i < n; i++) {
    total += i * i;
    __asm__ volatile("" : "+r"(total));
  }
  return total;
}

static void on_signal(int signo) { (void)signo; }
static volatile int got;

static int body(void) {
  handle(SIGUSR1, on_signal, 0);
  raise(SIGSTOP);
  int total = sum(5);
  long flags;
  __asm__ volatile("pushfq; pop %0" : "=r"(flags));
  say("total %d", total);
  syscall(SYS_getppid);
  got = sum(3);
  return total;
}

static pid_t start(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    _exit(body());
  }
  await_stop("start", pid);
  return pid;
}

static void put_code(pid_t pid, unsigned long at, unsigned long word) {
  if (trace(PTRACE_POKETEXT, pid, at, word) == -1) say("POKETEXT: %s", errname(errno));
}

int main(void) {
  pid_t pid = start();
  unsigned long word;
  NEED(trace(PTRACE_PEEKTEXT, pid, (unsigned long)sum, (unsigned long)&word));
  put_code(pid, (unsigned long)sum, (word & ~0xfful) | 0xcc);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("breakpoint", pid);
  siginfo_t info;
  trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
  say("signo %d code %#x addr %p", info.si_signo, info.si_code, info.si_addr);
  struct user_regs_struct regs = get_registers(pid);
  say("at %ld, orig_rax %lld", (long)(regs.rip - (unsigned long)sum), regs.orig_rax);
  INT(sum(2));
  regs.rip--;
  put_code(pid, (unsigned long)sum, word);
  TRY(trace(PTRACE_SETREGS, pid, 0, (unsigned long)&regs));
  unsigned long back;
  trace(PTRACE_PEEKDATA, pid, regs.rsp, (unsigned long)&back);
  long steps = 0, flags = 0, odd = 0;
  uint64_t path = 0;
  for (;;) {
    trace(PTRACE_SINGLESTEP, pid, 0, 0);
    int status;
    waitpid(pid, &status, 0);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) odd++;
    regs = get_registers(pid);
    flags |= regs.eflags;
    path = path * 31 + (regs.rip - (unsigned long)sum);
    if (++steps == 1) {
      trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
      say("step: signo %d code %#x addr %d", info.si_signo, info.si_code, (unsigned long)info.si_addr == regs.rip);
    }
    if (regs.rip == back || steps > 1000) break;
  }
  say("steps %ld path %lx odd %ld trap flag %ld rax %lld", steps, (unsigned long)path, odd, flags & 0x100, regs.rax);

  /* to the system call and over it */
  for (steps = 0; steps < 100000; steps++) {
    regs = get_registers(pid);
    if (trace(PTRACE_PEEKTEXT, pid, regs.rip, (unsigned long)&word) == 0 && (word & 0xffff) == 0x050f) break;
    trace(PTRACE_SINGLESTEP, pid, 0, 0);
    waitpid(pid, NULL, 0);
  }
  unsigned long before = regs.rip;
  TRY(trace(PTRACE_SINGLESTEP, pid, 0, 0));
  await_stop("over write", pid);
  trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
  regs = get_registers(pid);
  say("code %#x addr %d moved %lld rax %lld orig_rax %lld", info.si_code, (unsigned long)info.si_addr == regs.rip,
      regs.rip - before, regs.rax, regs.orig_rax);
  TRY(trace(PTRACE_SINGLESTEP, pid, 0, 0));
  await_stop("one more", pid);
  trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
  INT(info.si_code);

  /* into a handler */
  kill(pid, SIGUSR1);
  trace(PTRACE_SINGLESTEP, pid, 0, 0);
  await_stop("the signal", pid);
  trace(PTRACE_SINGLESTEP, pid, 0, SIGUSR1);
  await_stop("in the handler", pid);
  trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
  regs = get_registers(pid);
  say("code %#x at its start %d rdi %lld flags %llx", info.si_code, regs.rip == (unsigned long)on_signal, regs.rdi,
      regs.eflags & 0x500);
  TRY(trace(PTRACE_SINGLESTEP, pid, 0, 0));
  await_stop("first instruction", pid);

  /* to the end */
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);

  /* the task's own trap flag */
  pid = start();
  regs = get_registers(pid);
  regs.eflags |= 0x100;
  TRY(trace(PTRACE_SETREGS, pid, 0, (unsigned long)&regs));
  IS((get_registers(pid).eflags & 0x100) != 0);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("its own flag", pid);
  IS((get_registers(pid).eflags & 0x100) != 0);
  regs = get_registers(pid);
  regs.eflags &= ~0x100ull;
  TRY(trace(PTRACE_SETREGS, pid, 0, (unsigned long)&regs));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);
  return 0;
}
