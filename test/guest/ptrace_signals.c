/* PTRACE_TRACEME, signal-delivery-stops: injection, suppression, siginfo; words of memory and registers. */
#include "ptrace.h"

static volatile int seen[65];
static volatile siginfo_t last;

static void on_signal(int signo, siginfo_t *info, void *context) {
  (void)context;
  seen[signo]++;
  last = *info;
}

static volatile long word = 0x1122334455667788;
static const volatile long constant = 77;

static int child(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGUSR2, &action, NULL);
  TRY(trace(PTRACE_TRACEME, 0, 0, 0));
  TRY(trace(PTRACE_TRACEME, 0, 0, 0));
  raise(SIGSTOP);
  say("child: after SIGSTOP");
  raise(SIGUSR1);
  INT(seen[SIGUSR1]);
  raise(SIGUSR1);
  INT(seen[SIGUSR1]);
  raise(SIGUSR1);
  INT(seen[SIGUSR1]);
  INT(seen[SIGUSR2]);
  IS(last.si_pid == getppid());
  INT(last.si_code);
  raise(SIGUSR1);
  INT(last.si_code);
  INT(last.si_value.sival_int);
  raise(SIGCHLD);
  signal(SIGWINCH, SIG_IGN);
  raise(SIGWINCH);
  INT(word);
  INT(constant);
  raise(SIGTERM);
  return 3;
}

int main(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) _exit(child());
  long value;

  await_stop("first", pid);
  say_info("first", pid);
  say("state %c", state_of(pid));
  TRY(trace(PTRACE_ATTACH, pid, 0, 0));
  TRY(trace(PTRACE_INTERRUPT, pid, 0, 0));
  TRY(trace(PTRACE_LISTEN, pid, 0, 0));
  TRY(trace(PTRACE_CONT, pid, 0, 65));
  TRY(trace(PTRACE_SETOPTIONS, pid, 0, 0x400));
  TRY(trace(12345, pid, 0, 0));
  INT(event_message(pid));
  TRY(trace(PTRACE_CONT, 1999999, 0, 0));
  NEED(trace(PTRACE_CONT, pid, 0, 0));

  await_stop("let through", pid);
  say_info("let through", pid);
  NEED(trace(PTRACE_CONT, pid, 0, SIGUSR1));
  await_stop("suppressed", pid);
  NEED(trace(PTRACE_CONT, pid, 0, 0));
  await_stop("replaced", pid);
  NEED(trace(PTRACE_CONT, pid, 0, SIGUSR2));
  await_stop("siginfo changed", pid);
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_signo = SIGUSR1;
  info.si_code = SI_QUEUE;
  info.si_value.sival_int = 4242;
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)&info));
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, 1));
  TRY(trace(PTRACE_GETSIGINFO, pid, 0, 1));
  NEED(trace(PTRACE_CONT, pid, 0, SIGUSR1));
  await_stop("ignored by default", pid);
  NEED(trace(PTRACE_CONT, pid, 0, SIGCHLD));
  await_stop("ignored", pid);

  /* words */
  TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)&word, (unsigned long)&value));
  say("word %lx", value);
  TRY(trace(PTRACE_PEEKTEXT, pid, (unsigned long)&word + 1, (unsigned long)&value));
  TRY(trace(PTRACE_PEEKDATA, pid, 16, (unsigned long)&value));
  TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)&word, 16));
  TRY(trace(PTRACE_PEEKDATA, pid, -8ul, (unsigned long)&value));
  TRY(trace(PTRACE_POKEDATA, pid, (unsigned long)&word, 99));
  TRY(trace(PTRACE_POKETEXT, pid, (unsigned long)&constant, 100));
  TRY(trace(PTRACE_POKEDATA, pid, 16, 1));
  INT(word);
  INT(constant);
  struct user_regs_struct regs = get_registers(pid);
  TRY(trace(PTRACE_PEEKUSR, pid, offsetof(struct user, regs.rip), (unsigned long)&value));
  IS((unsigned long)value == regs.rip);
  say("cs %llx ss %llx ds %llx es %llx fs %llx gs %llx orig_rax %lld", regs.cs, regs.ss, regs.ds, regs.es, regs.fs, regs.gs,
      regs.orig_rax);
  TRY(trace(PTRACE_PEEKUSR, pid, 3, (unsigned long)&value));
  TRY(trace(PTRACE_PEEKUSR, pid, sizeof(struct user), (unsigned long)&value));
  TRY(trace(PTRACE_PEEKUSR, pid, sizeof(struct user) - 8, (unsigned long)&value));
  TRY(trace(PTRACE_PEEKUSR, pid, sizeof(struct user_regs_struct), (unsigned long)&value));
  TRY(trace(PTRACE_POKEUSR, pid, sizeof(struct user_regs_struct), 0));
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.cs), 0));
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.ss), 0x10));
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.fs_base), -1ul));
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.fs_base), regs.fs_base));
  regs.eflags |= 0x3000 | 0x20000;
  TRY(trace(PTRACE_SETREGS, pid, 0, (unsigned long)&regs));
  say("eflags %llx", get_registers(pid).eflags & ~0x246ull);
  TRY(trace(PTRACE_SETREGS, pid, 0, 8));
  NEED(trace(PTRACE_CONT, pid, 0, 0));
  await_stop("terminating", pid);
  NEED(trace(PTRACE_CONT, pid, 0, SIGTERM));
  await_stop("end", pid);
  TRY(waitpid(pid, NULL, 0));
  TRY(trace(PTRACE_CONT, pid, 0, 0));
  return 0;
}
