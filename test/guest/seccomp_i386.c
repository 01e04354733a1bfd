/*
 * A call that 64-bit code makes as 32-bit programs do, by int $0x80: what filters, listeners and tracers see of it. Only
 * numbers that no call has, so that it never matters whether there are such calls.
 */
#include "filters.h"
#include "ptrace.h"
#include <pthread.h>
#include <sys/ioctl.h>
#include <ucontext.h>

#define NR 500

static void *after;

/* With values of 64 bits in the registers of arguments. */
static long int80(long nr) {
  long result;
  register unsigned long si __asm__("rsi") = 0xa400000104, di __asm__("rdi") = 0xa500000105;
  __asm__ volatile("push %%rbp\n mov $0xa600000106, %%rbp\n int $0x80\n 1: pop %%rbp\n lea 1b(%%rip), %%rcx\n mov %%rcx, %1"
                   : "=a"(result), "=m"(after)
                   : "0"(nr), "b"(0xa100000101), "c"(0xa200000102), "d"(0xa300000103), "r"(si), "r"(di)
                   : "memory", "r8", "r9", "r10", "r11");
  return result;
}

/* A filter that lets calls of 64-bit programs through. */
#define FOREIGN(flags, ...)                                                                                            \
  INSTALL(flags, LOAD(arch), J(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 1), ALLOW, __VA_ARGS__)

/* What a filter reads at `offset`, a byte at a time, as an error. */
static unsigned seen(int offset, long nr) {
  unsigned value = 0;
  for (int shift = 0; shift < 32; shift += 8) {
    int ends[2];
    unsigned char byte = 0;
    NEED(pipe(ends));
    pid_t pid = NEED(fork());
    if (pid == 0) {
      NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
      NEED(FOREIGN(0, S(BPF_LD | BPF_W | BPF_ABS, offset), S(BPF_ALU | BPF_RSH | BPF_K, shift),
                   S(BPF_ALU | BPF_AND | BPF_K, 0xff), S(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), S(BPF_RET | BPF_A, 0)));
      byte = -int80(nr);
      NEED(write(ends[1], &byte, 1));
      _exit(0);
    }
    NEED(read(ends[0], &byte, 1));
    NEED(waitpid(pid, NULL, 0));
    close(ends[0]);
    close(ends[1]);
    value |= (unsigned)byte << shift;
  }
  return value;
}

static void data(void) {
  say("arch %x nr %d", seen(offsetof(struct seccomp_data, arch), NR), seen(offsetof(struct seccomp_data, nr), NR));
  say("nr -1: %x", seen(offsetof(struct seccomp_data, nr), -1));
  for (int i = 0; i < 6; i++)
    say("argument %d: %x %x", i, seen(offsetof(struct seccomp_data, args[i]), NR),
        seen(offsetof(struct seccomp_data, args[i]) + 4, NR));
}

static void on_sigsys(int signo, siginfo_t *info, void *context) {
  ucontext_t *ucontext = context;
  (void)signo;
  say("SIGSYS code %d errno %d arch %x nr %d rax %lld", info->si_code, info->si_errno, info->si_arch, info->si_syscall,
      ucontext->uc_mcontext.gregs[REG_RAX]);
  ucontext->uc_mcontext.gregs[REG_RAX] = 55;
}

static void actions(void) {
  CHILD("no filter", INT(int80(NR)));
  CHILD("allowed", NEED(FOREIGN(0, ALLOW)); INT(int80(NR)));
  CHILD("errno", NEED(FOREIGN(0, RETURN(SECCOMP_RET_ERRNO | EXDEV))); INT(int80(NR)); IS(syscall(SYS_getpid) == getpid()));
  CHILD("kill", NEED(FOREIGN(0, RETURN(SECCOMP_RET_KILL_PROCESS))); INT(int80(NR)));
  CHILD("trace without a tracer", NEED(FOREIGN(0, RETURN(SECCOMP_RET_TRACE))); INT(int80(NR)));
  CHILD("trap", struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO}; sigaction(SIGSYS, &action, NULL);
        NEED(FOREIGN(0, RETURN(SECCOMP_RET_TRAP | 9))); INT(int80(NR)));
  /* a number that a 64-bit program may use */
  CHILD("its own number", NEED(FOREIGN(0, LOAD(nr), J(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 0, 1),
                                       RETURN(SECCOMP_RET_ERRNO | ENOTTY), ALLOW));
        INT(int80(SYS_getpid)); IS(syscall(SYS_getpid) == getpid()));
  CHILD("strict", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); int80(NR));
}

static void *call(void *unused) {
  (void)unused;
  INT(int80(NR));
  return NULL;
}

static void listener(void) {
  pthread_t thread;
  struct seccomp_notif request = {0};
  struct seccomp_notif_resp reply = {.error = -EXDEV};
  int fd = NEED(FOREIGN(SECCOMP_FILTER_FLAG_NEW_LISTENER, RETURN(SECCOMP_RET_USER_NOTIF)));
  for (int i = 0; i < 2; i++) {
    pthread_create(&thread, NULL, call, NULL);
    memset(&request, 0, sizeof request);
    NEED(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &request));
    say("arch %x nr %d args %llx %llx", request.data.arch, request.data.nr, request.data.args[0], request.data.args[5]);
    reply.id = request.id;
    if (i == 1) {
      reply.error = 0;
      reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    }
    NEED(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &reply));
    pthread_join(thread, NULL);
  }
}

/* Number and the first arguments, of /proc/[pid]/syscall. */
static void say_place(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/syscall", pid);
  say("in proc: %.*s", 24, get(path));
}

static void say_stop(const char *name, pid_t pid) {
  struct ptrace_syscall_info info;
  memset(&info, 0, sizeof info);
  await_stop(name, pid);
  long size = trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, (unsigned long)&info);
  struct user_regs_struct regs = get_registers(pid);
  say("size %ld op %d arch %x orig_rax %lld rax %lld", size, info.op, info.arch, regs.orig_rax, regs.rax);
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY || info.op == PTRACE_SYSCALL_INFO_SECCOMP)
    say_place(pid), say("nr %lld args %llx %llx %llx", info.entry.nr, info.entry.args[0], info.entry.args[1], info.entry.args[5]);
}

static void traced(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    raise(SIGSTOP);
    long results[3];
    for (int i = 0; i < 3; i++) results[i] = int80(NR + i);
    NEED(FOREIGN(0, LOAD(nr), J(BPF_JMP | BPF_JEQ | BPF_K, NR + 3, 0, 1), RETURN(SECCOMP_RET_TRACE | 4),
                 RETURN(SECCOMP_RET_ERRNO | EXDEV)));
    say("results %ld %ld %ld", results[0], results[1], results[2]);
    INT(int80(NR + 3));
    INT(int80(NR + 3));
    _exit(0);
  }
  await_stop("start", pid);
  NEED(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP));
  for (int i = 0; i < 6; i++) {
    trace(PTRACE_SYSCALL, pid, 0, 0);
    say_stop(i % 2 == 0 ? "entry" : "exit", pid);
    if (i == 2) { /* no call */
      TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.orig_rax), -1ul));
      TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.rax), 12));
    }
    if (i == 4) TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.orig_rax), NR + 7));
  }
  trace(PTRACE_CONT, pid, 0, 0);
  say_stop("filter", pid);
  trace(PTRACE_CONT, pid, 0, 0);
  say_stop("filter", pid);
  TRY(trace(PTRACE_POKEUSR, pid, offsetof(struct user, regs.orig_rax), NR + 8));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);
}

int main(void) {
  data();
  actions();
  CHILD("listener", listener());
  traced();
  return 0;
}
