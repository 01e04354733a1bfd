/* Register sets, masks, pending signals, what /proc shows of a stopped task, and who may trace. */
#include "ptrace.h"

static int ends[2];

static int body(void) {
  trace(PTRACE_TRACEME, 0, 0, 0);
  double x = 1.5;
  __asm__ volatile("movsd %0, %%xmm7; fldpi" : : "m"(x));
  raise(SIGSTOP);
  __asm__ volatile("movsd %%xmm7, %0" : "=m"(x));
  say("xmm7 %g", x);
  sigset_t set;
  sigprocmask(SIG_BLOCK, NULL, &set);
  say("mask %d %d", sigismember(&set, SIGUSR1), sigismember(&set, SIGUSR2));
  raise(SIGSTOP);
  char c;
  (void)!read(ends[0], &c, 1);
  return 0;
}

static void get_set(const char *name, pid_t pid, unsigned long type, void *buffer, size_t length) {
  struct iovec vector = {buffer, length};
  long result = trace(PTRACE_GETREGSET, pid, type, (unsigned long)&vector);
  say("%s: %ld %s length %zu", name, result, result ? errname(errno) : "", vector.iov_len);
}

static void set_set(const char *name, pid_t pid, unsigned long type, void *buffer, size_t length) {
  struct iovec vector = {buffer, length};
  long result = trace(PTRACE_SETREGSET, pid, type, (unsigned long)&vector);
  say("%s: %ld %s length %zu", name, result, result ? errname(errno) : "", vector.iov_len);
}

static void try_as_nobody(pid_t pid) {
  reap("as nobody", ({
         pid_t child = NEED(fork());
         if (child == 0) {
           if (setresgid(65534, 65534, 65534) == -1 || setresuid(65534, 65534, 65534) == -1) _exit(50);
           TRY(trace(PTRACE_ATTACH, pid, 0, 0));
           TRY(trace(PTRACE_SEIZE, pid, 0, 0));
           pid_t other = fork();
           if (other == 0) {
             prctl(PR_SET_DUMPABLE, 0);
             for (;;) pause();
           }
           sleep_ms(50);
           TRY(trace(PTRACE_SEIZE, other, 0, 0));
           kill(other, SIGKILL);
           waitpid(other, NULL, 0);
           other = fork();
           if (other == 0) {
             prctl(PR_SET_DUMPABLE, 1);
             for (;;) pause();
           }
           sleep_ms(50);
           /* setresuid made us undumpable, and our child is like us until it says otherwise */
           TRY(trace(PTRACE_SEIZE, other, 0, 0));
           kill(other, SIGKILL);
           waitpid(other, NULL, 0);
           _exit(0);
         }
         child;
       }));
}

int main(void) {
  NEED(pipe(ends));
  pid_t pid = NEED(fork());
  if (pid == 0) _exit(body());
  await_stop("start", pid);

  static unsigned char image[16384], other[16384];
  struct user_regs_struct regs = get_registers(pid), again;
  get_set("PRSTATUS", pid, NT_PRSTATUS, &again, sizeof again);
  IS(memcmp(&regs, &again, sizeof regs) == 0);
  get_set("PRSTATUS, short", pid, NT_PRSTATUS, &again, 16);
  get_set("PRSTATUS, odd", pid, NT_PRSTATUS, &again, 17);
  get_set("PRSTATUS, long", pid, NT_PRSTATUS, image, 1024);
  get_set("PRSTATUS, nowhere", pid, NT_PRSTATUS, (void *)8, sizeof again);
  get_set("no such set", pid, 0x999, &again, sizeof again);
  set_set("PRSTATUS", pid, NT_PRSTATUS, &regs, sizeof regs);
  set_set("PRSTATUS, short", pid, NT_PRSTATUS, &regs, 16);
  set_set("no such set", pid, 0x999, &regs, sizeof regs);
  TRY(trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, 8));

  struct user_fpregs_struct fp, fp2;
  memset(&fp, 0x5a, sizeof fp);
  TRY(trace(PTRACE_GETFPREGS, pid, 0, (unsigned long)&fp));
  double x;
  memcpy(&x, &fp.xmm_space[7 * 4], sizeof x);
  say("xmm7 %g mxcsr %x cwd %x swd %x ftw %x", x, fp.mxcsr, fp.cwd, fp.swd, fp.ftw);
  get_set("PRFPREG", pid, NT_PRFPREG, &fp2, sizeof fp2);
  IS(memcmp(&fp, &fp2, sizeof fp) == 0);
  x = 2.25;
  memcpy(&fp.xmm_space[7 * 4], &x, sizeof x);
  TRY(trace(PTRACE_SETFPREGS, pid, 0, (unsigned long)&fp));
  TRY(trace(PTRACE_GETFPREGS, pid, 0, (unsigned long)&fp2));
  IS(memcmp(&fp, &fp2, sizeof fp) == 0);
  fp.mxcsr = 0xffffffff;
  TRY(trace(PTRACE_SETFPREGS, pid, 0, (unsigned long)&fp));
  TRY(trace(PTRACE_GETFPREGS, pid, 0, 8));
  struct iovec vector = {image, sizeof image};
  TRY(trace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, (unsigned long)&vector));
  IS(vector.iov_len >= 576);
  memcpy(&x, image + 160 + 7 * 16, sizeof x);
  say("xmm7 %g", x);
  size_t length = vector.iov_len;
  x = 7.75;
  memcpy(image + 160 + 7 * 16, &x, sizeof x);
  set_set("XSTATE, short", pid, NT_X86_XSTATE, image, 576 < length ? 576 : 512);
  TRY(trace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (unsigned long)&vector));
  memcpy(other, image, length);
  other[520] = 1;
  vector.iov_base = other;
  TRY(trace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (unsigned long)&vector));

  uint64_t mask = 0;
  TRY(trace(PTRACE_GETSIGMASK, pid, 4, (unsigned long)&mask));
  TRY(trace(PTRACE_GETSIGMASK, pid, 8, (unsigned long)&mask));
  say("mask %lx", mask);
  mask = ~0ul ^ 1ul << (SIGUSR2 - 1);
  TRY(trace(PTRACE_SETSIGMASK, pid, 8, (unsigned long)&mask));
  TRY(trace(PTRACE_GETSIGMASK, pid, 8, (unsigned long)&mask));
  say("mask %lx", mask);

  /* pending */
  union sigval value = {.sival_int = 5};
  sigqueue(pid, SIGRTMIN, value);
  value.sival_int = 6;
  sigqueue(pid, SIGRTMIN, value);
  syscall(SYS_tgkill, pid, pid, SIGHUP);
  siginfo_t infos[4];
  struct ptrace_peeksiginfo_args args = {.off = 0, .flags = 0, .nr = 4};
  INT(trace(PTRACE_PEEKSIGINFO, pid, (unsigned long)&args, (unsigned long)infos));
  say("signo %d", infos[0].si_signo);
  args.flags = PTRACE_PEEKSIGINFO_SHARED;
  INT(trace(PTRACE_PEEKSIGINFO, pid, (unsigned long)&args, (unsigned long)infos));
  say("signo %d value %d, signo %d value %d", infos[0].si_signo, infos[0].si_value.sival_int, infos[1].si_signo,
      infos[1].si_value.sival_int);
  args.off = 1;
  INT(trace(PTRACE_PEEKSIGINFO, pid, (unsigned long)&args, (unsigned long)infos));
  args.off = 5;
  INT(trace(PTRACE_PEEKSIGINFO, pid, (unsigned long)&args, (unsigned long)infos));
  args.flags = 2;
  INT(trace(PTRACE_PEEKSIGINFO, pid, (unsigned long)&args, (unsigned long)infos));
  args.flags = 0;
  args.nr = -1;
  INT(trace(PTRACE_PEEKSIGINFO, pid, (unsigned long)&args, (unsigned long)infos));

  /* proc */
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  const char *text = strstr(get(path), "TracerPid:");
  IS(text != NULL && atoi(text + 10) == getpid());
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  say("state %c", state_of(pid));
  snprintf(path, sizeof path, "/proc/%d/syscall", pid);
  say("syscall %ld", atol(get(path)));
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int memory = NEED(open(path, O_RDWR));
  long word = 0;
  IS(pread(memory, &word, 8, (off_t)(unsigned long)image) == 8);
  TRY(pread(memory, &word, 8, 16));
  unsigned char code = 0;
  IS(pread(memory, &code, 1, (off_t)(unsigned long)body) == 1);
  IS(pwrite(memory, &code, 1, (off_t)(unsigned long)body) == 1);
  close(memory);

  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("second stop", pid);
  try_as_nobody(pid);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  await_stop("entry", pid);
  snprintf(path, sizeof path, "/proc/%d/syscall", pid);
  text = get(path);
  say("syscall %ld", atol(text));
  trace(PTRACE_KILL, pid, 0, 0);
  await_stop("end", pid);
  return 0;
}
