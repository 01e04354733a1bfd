/* Edges of what a tracer may set and see of registers: flags, components that are absent, lengths, types and addresses
 * that are hardly right, areas and settings that few have; and of a signal's information. */
#include "ptrace.h"
#include <linux/audit.h>
#include <sys/mman.h>

#ifndef PTRACE_SET_SYSCALL_INFO
#define PTRACE_SET_SYSCALL_INFO 0x4212
#endif
#define GET_THREAD_AREA 25
#define SET_THREAD_AREA 26
#define SET_DISPATCH 0x4210
#define GET_DISPATCH 0x4211
#define NESTED_TASK 0x4000

static pid_t pid;
static char *edge; /* where what can be read ends */

static pid_t stopped_child(int (*body)(void)) {
  pid_t child = NEED(fork());
  if (child == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(body == NULL ? 0 : body());
  }
  NEED(waitpid(child, NULL, 0));
  return child;
}

static void end(void) {
  kill(pid, SIGKILL);
  waitpid(pid, NULL, __WALL);
}

static long wide(unsigned long request, unsigned long id, unsigned long address, unsigned long data) {
  return syscall(SYS_ptrace, request, id, address, data);
}

#define AT(name) offsetof(struct user, regs.name)

static unsigned long peek_user(unsigned long offset) {
  unsigned long value = 0x5a;
  NEED(trace(PTRACE_PEEKUSR, pid, offset, (unsigned long)&value));
  return value;
}

static void flags(void) {
  pid = stopped_child(NULL);
  unsigned long before = peek_user(AT(eflags));
  say("nested task: %d", (before & NESTED_TASK) != 0);
  TRY(trace(PTRACE_POKEUSR, pid, AT(eflags), before | NESTED_TASK));
  say("nested task: %d", (peek_user(AT(eflags)) & NESTED_TASK) != 0);
  TRY(trace(PTRACE_POKEUSR, pid, AT(eflags), 0xffffffffffffffff & ~0x100ul));
  say("everything: %lx", peek_user(AT(eflags)));
  TRY(trace(PTRACE_POKEUSR, pid, AT(eflags), 0));
  say("nothing: %lx", peek_user(AT(eflags)));
  end();
}

static int execute(void) {
  execl("/proc/self/exe", "guest", "nothing", NULL);
  return 1;
}

static void after_exec(void) {
  pid = stopped_child(execute);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("exec", pid);
  say("eflags %lx", peek_user(AT(eflags)));
  end();
}

static int call_something(void) {
  syscall(SYS_getppid);
  return 0;
}

/* The result of a call that a tracer says to have failed is an int. */
static void results(void) {
  static const struct {
    int64_t rval;
    unsigned char is_error;
  } given[] = {{0x100000005, 1},  {0x100000005, 0}, {0x1ffffffff, 2}, {0x1ffffffff, 0},
               {0x80000001, 1},   {0x80000001, 0},  {-5, 1},          {-5, 0},
               {0x100000000, 1}};
  pid = stopped_child(call_something);
  trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
  do {
    trace(PTRACE_SYSCALL, pid, 0, 0);
    NEED(waitpid(pid, NULL, 0));
  } while (peek_user(AT(orig_rax)) != SYS_getppid);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  await_stop("exit of getppid", pid);
  for (unsigned i = 0; i < sizeof given / sizeof *given; i++) {
    unsigned char info[88] = {0};
    trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, (unsigned long)info);
    memcpy(info + 24, &given[i].rval, 8);
    info[32] = given[i].is_error;
    long result = trace(PTRACE_SET_SYSCALL_INFO, pid, sizeof info, (unsigned long)info);
    const char *kind = given[i].is_error ? "error" : "result";
    say("%s %lx: %ld, rax %lx", kind, (long)given[i].rval, result, peek_user(AT(rax)));
  }
  end();
}

static void signal_information(void) {
  pid = stopped_child(NULL);
  unsigned char bytes[128] = {0};
  siginfo_t *info = (siginfo_t *)bytes;
  info->si_signo = SIGUSR2;
  info->si_code = 12345;
  bytes[100] = 1;
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)info));
  say_info("kept", pid);
  info->si_code = SI_QUEUE;
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)info));
  unsigned char got[128];
  TRY(trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)got));
  say("code %d, byte 100 %d", ((siginfo_t *)got)->si_code, got[100]);
  memcpy(edge - 48, bytes, 48);
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)edge - 48));
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)edge - 47));
  TRY(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, edge - 48));
  TRY(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, edge - 47));
  info->si_code = 12345;
  memcpy(edge - 48, bytes, 48);
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)edge - 48));
  TRY(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, edge - 48));
  bytes[100] = 0;
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)info));
  say_info("set", pid);
  end();
}

int main(int argc, char **argv) {
  (void)argv;
  if (argc > 1) return 0;
  edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  NEED(mprotect(edge + 4096, 4096, PROT_NONE));
  edge += 4096;
  flags();
  after_exec();
  results();
  signal_information();
  return 0;
}
