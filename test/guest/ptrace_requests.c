/* Requests that debuggers rarely make: filters of a tracee, rseq's place, changing a call, suspending filters; memory that
 * its owner cannot read. */
#include "filters.h"
#include "ptrace.h"
#include <sys/rseq.h>
#include <linux/audit.h>
#include <sys/mman.h>

#ifndef PTRACE_SET_SYSCALL_INFO
#define PTRACE_SET_SYSCALL_INFO 0x4212
#endif
#define GET_METADATA 0x420d
#define GET_RSEQ 0x420f
#define SUSPEND (1 << 21)

static unsigned char *hidden;

static int body(void) {
  static struct sock_filter first[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  static struct sock_filter second[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog one = {1, first}, two = {4, second};
  trace(PTRACE_TRACEME, 0, 0, 0);
  raise(SIGSTOP);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &one);
  syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &two);
  raise(SIGSTOP);
  say("getppid %s", syscall(SYS_getppid) == -1 ? errname(errno) : "ok");
  raise(SIGSTOP);
  say("getppid %s", syscall(SYS_getppid) == -1 ? errname(errno) : "ok");
  raise(SIGSTOP);
  say("getppid %s", syscall(SYS_getppid) == -1 ? errname(errno) : "ok");
  return 0;
}

static void say_filter(pid_t pid, long index) {
  struct sock_filter filter[8] = {0};
  long length = trace(PTRACE_SECCOMP_GET_FILTER, pid, index, (unsigned long)filter);
  say("filter %ld: %ld %s", index, length, length == -1 ? errname(errno) : "");
  for (long i = 0; i < length; i++) say("  %x %d %d %x", filter[i].code, filter[i].jt, filter[i].jf, filter[i].k);
}

static void say_metadata(pid_t pid, uint64_t index, unsigned long size) {
  struct {
    uint64_t filter_off, flags;
  } data = {index, 0x5a};
  long result = trace(GET_METADATA, pid, size, (unsigned long)&data);
  say("metadata %ld %s flags %lx", result, result == -1 ? errname(errno) : "", (long)data.flags);
}

static void filters(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) _exit(body());
  await_stop("start", pid);
  say_filter(pid, 0);
  say_metadata(pid, 0, 16);
  TRY(trace(PTRACE_SETOPTIONS, pid, 0, SUSPEND | 0x400));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("filtered", pid);
  for (long index = 0; index < 3; index++) say_filter(pid, index);
  say_filter(pid, -1);
  TRY(trace(PTRACE_SECCOMP_GET_FILTER, pid, 1, 0));
  TRY(trace(PTRACE_SECCOMP_GET_FILTER, pid, 1, 8));
  say_metadata(pid, 0, 16);
  say_metadata(pid, 1, 16);
  say_metadata(pid, 1, 8);
  say_metadata(pid, 1, 100);
  say_metadata(pid, 1, 7);
  say_metadata(pid, 2, 16);
  TRY(trace(GET_METADATA, pid, 16, 8));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("judged", pid);
  TRY(trace(PTRACE_SETOPTIONS, pid, 0, SUSPEND));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("suspended", pid);
  TRY(trace(PTRACE_SETOPTIONS, pid, 0, 0));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);

  /* who is filtered, or has no privilege, may not */
  pid_t tracer = NEED(fork());
  if (tracer == 0) {
    pid = NEED(fork());
    if (pid == 0) _exit(body());
    await_stop("start", pid);
    trace(PTRACE_CONT, pid, 0, 0);
    await_stop("filtered", pid);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    on_call(0, SYS_swapoff, SECCOMP_RET_ALLOW);
    say_filter(pid, 0);
    say_metadata(pid, 0, 16);
    TRY(trace(PTRACE_SETOPTIONS, pid, 0, SUSPEND));
    NEED(setuid(1000));
    say_filter(pid, 0);
    TRY(trace(PTRACE_SETOPTIONS, pid, 0, SUSPEND));
    TRY(trace(PTRACE_SEIZE, pid, 0, SUSPEND));
    TRY(trace(PTRACE_KILL, pid, 0, 0));
    await_stop("end", pid);
    _exit(0);
  }
  reap("tracer", tracer);
}

static int calls(void) {
  trace(PTRACE_TRACEME, 0, 0, 0);
  raise(SIGSTOP);
  for (int i = 0; i < 6; i++) {
    long result = syscall(SYS_lseek, 100 + i, 7, 1, 0, 0, 0);
    say("call: %ld %s", result, result == -1 ? errname(errno) : "");
  }
  return 0;
}

static struct ptrace_syscall_info info_of(pid_t pid) {
  struct ptrace_syscall_info info;
  memset(&info, 0, sizeof info);
  INT(trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, (unsigned long)&info));
  return info;
}

static long set_info(pid_t pid, const struct ptrace_syscall_info *info, unsigned long size) {
  return trace(PTRACE_SET_SYSCALL_INFO, pid, size, (unsigned long)info) == -1 ? -errno : 0;
}

static void next(pid_t pid) {
  trace(PTRACE_SYSCALL, pid, 0, 0);
  int status;
  waitpid(pid, &status, 0);
}

static void changing(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) _exit(calls());
  await_stop("start", pid);
  struct ptrace_syscall_info info = info_of(pid);
  say("op %d", info.op);
  INT(set_info(pid, &info, sizeof info));
  TRY(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD));
  struct user_regs_struct regs;
  do {
    next(pid);
    regs = get_registers(pid);
  } while (regs.orig_rax != SYS_lseek);
  /* the first: refusals, then another call, whose result is changed */
  info = info_of(pid);
  say("op %d nr %lld", info.op, (long long)info.entry.nr);
  INT(set_info(pid, &info, sizeof info - 1));
  INT(set_info(pid, (void *)8, sizeof info));
  INT(set_info(pid, &info, sizeof info + 100));
  struct ptrace_syscall_info changed = info;
  changed.op = PTRACE_SYSCALL_INFO_EXIT;
  INT(set_info(pid, &changed, sizeof info));
  changed = info;
  ((unsigned char *)&changed)[1] = 1;
  INT(set_info(pid, &changed, sizeof info));
  changed = info;
  ((unsigned char *)&changed)[2] = 1;
  INT(set_info(pid, &changed, sizeof info));
  changed = info;
  changed.arch = 1;
  changed.instruction_pointer = 2;
  changed.stack_pointer = 3;
  INT(set_info(pid, &changed, sizeof info));
  changed.entry.nr = 1ull << 32;
  INT(set_info(pid, &changed, sizeof info));
  changed.entry.nr = 0xffffffffull;
  INT(set_info(pid, &changed, sizeof info));
  changed.entry.nr = SYS_dup;
  changed.entry.args[0] = 1;
  changed.entry.args[5] = 0x123456789abcdef0;
  INT(set_info(pid, &changed, sizeof info));
  regs = get_registers(pid);
  say("orig_rax %lld rdi %lld r9 %llx rip changed %d", regs.orig_rax, regs.rdi, regs.r9, regs.rip == 2);
  next(pid);
  info = info_of(pid);
  say("op %d error %d rval %lld", info.op, info.exit.is_error, (long long)info.exit.rval);
  info.exit.rval = 4711;
  INT(set_info(pid, &info, sizeof info));
  say("rax %lld", get_registers(pid).rax);
  /* the second: none, and an error in its place */
  next(pid), next(pid), next(pid);
  info = info_of(pid);
  say("op %d nr %lld", info.op, (long long)info.entry.nr);
  info.entry.nr = -1;
  info.entry.args[0] = 99;
  INT(set_info(pid, &info, sizeof info));
  say("orig_rax %lld rdi %lld", get_registers(pid).orig_rax, get_registers(pid).rdi);
  next(pid);
  info = info_of(pid);
  say("op %d error %d rval %lld", info.op, info.exit.is_error, (long long)info.exit.rval);
  info.exit.is_error = 1;
  info.exit.rval = -EXDEV;
  INT(set_info(pid, &info, sizeof info));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);
}

static void rseq_place(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(0);
  }
  await_stop("start", pid);
  unsigned char configuration[32];
  memset(configuration, 0x5a, sizeof configuration);
  INT(trace(GET_RSEQ, pid, sizeof configuration, (unsigned long)configuration));
  long library = (long)__builtin_thread_pointer() + __rseq_offset; /* the child's is where ours is */
  IS(*(long *)configuration == library);
  for (int i = 8; i < 32; i += 8) say("%016lx", *(long *)(configuration + i));
  memset(configuration, 0x5a, sizeof configuration);
  INT(trace(GET_RSEQ, pid, 3, (unsigned long)configuration));
  IS(memcmp(configuration, &library, 3) == 0);
  say("%02x", configuration[3]);
  INT(trace(GET_RSEQ, pid, 0, 8));
  TRY(trace(GET_RSEQ, pid, 24, 8));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);
}

static void reading_hidden(void) {
  hidden = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(hidden, 7, 3 * 4096);
  NEED(mprotect(hidden, 4096, PROT_NONE));
  NEED(munmap(hidden + 2 * 4096, 4096));
  pid_t pid = NEED(fork());
  if (pid == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(hidden[4096 + 8]);
  }
  await_stop("start", pid);
  long value = 0;
  TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)hidden, (unsigned long)&value));
  say("%lx", value);
  TRY(trace(PTRACE_POKEDATA, pid, (unsigned long)hidden + 4092, 0x0102030405060708));
  TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)hidden + 4092, (unsigned long)&value));
  say("%lx", value);
  TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)hidden + 2 * 4096 - 4, (unsigned long)&value));
  TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)hidden + 2 * 4096, (unsigned long)&value));
  char path[64], bytes[8192 + 100] = {0};
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int fd = NEED(open(path, O_RDONLY));
  INT(pread(fd, bytes, sizeof bytes, (off_t)hidden));
  say("%d %d", bytes[0], bytes[8191]);
  TRY(pread(fd, bytes, 8, (off_t)hidden + 2 * 4096));
  struct iovec local = {bytes, 8}, remote = {hidden, 8};
  TRY(syscall(SYS_process_vm_readv, pid, &local, 1, &remote, 1, 0));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);
}

/* A thread without an area. */
static void no_rseq_place(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, 1, 0x53053053);
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(0);
  }
  await_stop("start", pid);
  long configuration[3];
  memset(configuration, 0x5a, sizeof configuration);
  INT(trace(GET_RSEQ, pid, sizeof configuration, (unsigned long)configuration));
  for (int i = 0; i < 3; i++) say("%016lx", configuration[i]);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);
}

int main(void) {
  filters();
  changing();
  rseq_place();
  no_rseq_place();
  reading_hidden();
  return 0;
}
