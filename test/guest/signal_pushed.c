/*
 * Signals that hot call sites of the C library bring about: the same call often enough that a platform may have made it cheaper,
 * and still the whole state of the processor is in the frame, initial in the handler, and back afterwards.
 */
#include "guest.h"
#include <immintrin.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <ucontext.h>

#define OFTEN 120
#define YMM_HIGH 576

static void install(int signo, void (*handler)(int, siginfo_t *, void *), int flags) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
  NEED(sigaction(signo, &action, NULL));
}

static volatile int wrong_frames, unclean_starts, handled;

/* Fills registers, so that a state that is lost is seen; compares what the frame has with what `raise_with_state` has loaded. */
static void look(int signo, siginfo_t *info, void *context) {
  (void)signo;
  unsigned mxcsr, junk_mxcsr = 0x1f80 | 0x2000;
  unsigned short control;
  unsigned char xmm[16];
  __asm__ volatile("stmxcsr %0; fnstcw %1; movdqu %%xmm7, %2" : "=m"(mxcsr), "=m"(control), "=m"(xmm));
  int zero = 1;
  for (int i = 0; i < 16; i++) zero &= xmm[i] == 0;
  if (!zero || mxcsr != 0x1f80 || control != 0x37f) unclean_starts++;
  unsigned char *state = (unsigned char *)((ucontext_t *)context)->uc_mcontext.fpregs;
  uint32_t words[2];
  memcpy(&words[0], state, 2);
  memcpy(&words[1], state + 24, 4);
  uint32_t size, magic;
  memcpy(&size, state + 464 + 16, 4);
  memcpy(&magic, state + size, 4);
  int right = (words[0] & 0xffff) == 0x027f && words[1] == (0x1f80 | 0x6000) && state[160 + 16 * 7] == 0x5a && magic == 0x46505845;
  if (__builtin_cpu_supports("avx")) right &= state[YMM_HIGH + 16 * 7] == 0x5a;
  if (!right || info->si_signo != signo || (uintptr_t)state % 64 != 0) wrong_frames++;
  __asm__ volatile("ldmxcsr %0; fninit; fld1; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm2, %%xmm2" : : "m"(junk_mxcsr) : "xmm2", "xmm7");
  if (__builtin_cpu_supports("avx")) __asm__ volatile("vpcmpeqd %%xmm7, %%xmm7, %%xmm7" ::: "xmm7");
  handled++;
}

/* Loads a state, has `call` make a system call, and looks whether the state is still there. */
__attribute__((target("avx"), noinline)) static int keeps(long (*call)(void)) {
  /* not on the stack, whose pointer changes here */
  static unsigned mxcsr = 0x1f80 | 0x6000, mxcsr_after, normal = 0x1f80;
  static unsigned short control = 0x027f, control_after;
  static unsigned char in[32], out[32];
  memset(in, 0x5a, sizeof in);
  long result;
  __asm__ volatile("mov %%rsp, %%rbx; sub $256, %%rsp; and $-64, %%rsp; ldmxcsr %[mxcsr]; fldcw %[control]; vmovdqu %[in], %%ymm7; call *%[call];"
                   "vmovdqu %%ymm7, %[out]; stmxcsr %[mxcsr_after]; fnstcw %[control_after]; fninit; ldmxcsr %[normal]; vzeroupper;"
                   "mov %%rbx, %%rsp"
                   : "=a"(result), [out] "=m"(out), [mxcsr_after] "=m"(mxcsr_after), [control_after] "=m"(control_after)
                   : [call] "r"(call), [in] "m"(in), [mxcsr] "m"(mxcsr), [control] "m"(control), [normal] "m"(normal)
                   : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                     "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  return result == 0 && memcmp(in, out, 32) == 0 && mxcsr_after == mxcsr && control_after == control;
}

static pid_t self;
static pthread_t self_thread;
static sigset_t both;
static long by_kill(void) { return kill(self, SIGUSR1); }
static long by_raise(void) { return tgkill(self, self, SIGUSR1); }
static long by_queue(void) {
  union sigval value = {.sival_int = 7};
  return sigqueue(self, SIGUSR1, value);
}
static long two_at_once(void) {
  kill(self, SIGUSR1);
  kill(self, SIGUSR2);
  return sigprocmask(SIG_UNBLOCK, &both, NULL) | sigprocmask(SIG_BLOCK, &both, NULL);
}

static void often(const char *name, long (*call)(void)) {
  int kept = 0;
  handled = wrong_frames = unclean_starts = 0;
  for (int i = 0; i < OFTEN; i++) kept += keeps(call);
  say("%s: handled %d, kept %d, wrong frames %d, unclean starts %d", name, handled, kept, wrong_frames, unclean_starts);
}

/* Of two frames that are made at once the second one interrupts a handler that has not begun. */
static void look_or_count(int signo, siginfo_t *info, void *context) {
  if (signo == SIGUSR1) look(signo, info, context);
  else handled++;
}

/* ---- the flags that a call does not change */

static void ignore(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  greg_t flags = ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
  unsigned long own;
  __asm__ volatile("pushfq; pop %0" : "=r"(own));
  handled += (flags & 0x400) != 0 && (own & 0x400) == 0;
}

__attribute__((noinline)) static long backwards(void) {
  long result, flags;
  __asm__ volatile("std; mov $62, %%eax; syscall; pushfq; pop %[flags]; cld"
                   : "=&a"(result), [flags] "=&r"(flags)
                   : "D"((long)self), "S"((long)SIGUSR1)
                   : "rcx", "r11", "memory", "cc");
  return result == 0 && (flags & 0x400) != 0;
}

/* ---- interrupts that may come anywhere */

static volatile long ticks, usr;
static void on_tick(int signo) { (void)signo, ticks++; }
static void on_usr(int signo) { (void)signo, usr++; }

static void interrupted(void) {
  struct itimerval often = {{0, 150}, {0, 150}}, never = {{0, 0}, {0, 0}};
  handle(SIGALRM, on_tick, SA_RESTART);
  handle(SIGUSR1, on_usr, 0);
  setitimer(ITIMER_REAL, &often, NULL);
  long sent = 0;
  int kept = 1;
  while (ticks < 400) {
    volatile double x = 1.25;
    for (int i = 0; i < 50; i++, sent++) kill(self, SIGUSR1);
    kept &= x * 4 == 5;
  }
  setitimer(ITIMER_REAL, &never, NULL);
  say("interrupted: every signal handled %d, kept %d", usr == sent, kept);
}

static void *other(void *unused) {
  for (int i = 0; i < 2000; i++) {
    pthread_kill(self_thread, SIGUSR2);
    if (i % 16 == 0) usleep(100);
  }
  return unused;
}

static volatile long from_other;
static void on_other(int signo) { (void)signo, from_other++; }

static void by_another_thread(void) {
  pthread_t thread;
  handle(SIGUSR2, on_other, SA_RESTART);
  usr = 0;
  long sent = 0;
  pthread_create(&thread, NULL, other, NULL);
  while (pthread_tryjoin_np(thread, NULL) != 0)
    for (int i = 0; i < 20; i++, sent++) kill(self, SIGUSR1);
  say("from another thread: own handled %d, others came %d", usr == sent, from_other > 0);
}

/* ---- a handler that edits what was not in use */

static void edit(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  unsigned char *state = (unsigned char *)((ucontext_t *)context)->uc_mcontext.fpregs;
  uint64_t components;
  memcpy(&components, state + 512, 8);
  unsigned short control = 0x027f;
  memcpy(state, &control, 2);
  memset(state + 160 + 16 * 5, 0x77, 16);
  handled += (components & 3) == 3;
}

__attribute__((target("avx"), noinline)) static int edited(void) {
  static unsigned char xmm[16];
  static unsigned short control;
  __asm__ volatile("fninit; vzeroall; mov $62, %%eax; syscall; fnstcw %[control]; movdqu %%xmm5, %[xmm]; fninit"
                   : [control] "=m"(control), [xmm] "=m"(xmm)
                   : "D"((long)self), "S"((long)SIGUSR1)
                   : "rax", "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                     "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  return control == 0x027f && xmm[0] == 0x77 && xmm[15] == 0x77;
}

/* ---- a handler's frame is there while the thread is stopped before its first instruction */

static void stopped_before_handler(void) {
  char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pid_t child = NEED(fork());
  if (child == 0) {
    self = getpid();
    setpgid(0, 0);
    stack_t alternate = {.ss_sp = stack, .ss_size = 65536};
    sigaltstack(&alternate, NULL);
    handle(SIGUSR1, on_usr, SA_ONSTACK);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTSTP);
    for (int i = 0; i < OFTEN; i++) sigprocmask(SIG_BLOCK, &set, NULL), sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    usr = 0;
    kill(self, SIGUSR1);
    kill(self, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    _exit(usr == 1 ? 0 : 1);
  }
  int status, bytes = 0;
  waitpid(child, &status, WUNTRACED);
  static unsigned char copy[65536];
  struct iovec here = {copy, sizeof copy}, there = {stack, sizeof copy};
  long count = process_vm_readv(child, &here, 1, &there, 1, 0);
  for (size_t i = 0; i < sizeof copy; i++) bytes += copy[i] != 0;
  say("stopped %d, frame %s", WIFSTOPPED(status), count == sizeof copy && bytes > 40 ? "there" : "missing");
  kill(child, SIGCONT);
  reap("continued", child);
}

/* ---- stacks that are no good */

static volatile int reached;
static void never(int signo) { (void)signo, reached = 1; }
static void at_the_end(void) {
  /* an alternate stack whose lower part can't be written */
  char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(stack, 65536 - 4096, PROT_NONE);
  stack_t alternate = {.ss_sp = stack, .ss_size = 65536 - 4096};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_handler = never, .sa_flags = SA_ONSTACK};
  for (int i = 0; i < OFTEN; i++) kill(self, SIGUSR1);
  sigaction(SIGUSR2, &action, NULL);
  kill(getpid(), SIGUSR2);
  _exit(reached ? 3 : 4);
}

int main(void) {
  self = getpid();
  self_thread = pthread_self();
  install(SIGUSR1, look, 0);
  often("kill", by_kill);
  often("tgkill", by_raise);
  often("sigqueue", by_queue);
  char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_t alternate = {.ss_sp = stack, .ss_size = 65536};
  sigaltstack(&alternate, NULL);
  install(SIGUSR1, look, SA_ONSTACK);
  often("on another stack", by_kill);
  char *shared = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  alternate.ss_sp = shared;
  sigaltstack(&alternate, NULL);
  often("on shared memory", by_kill);
  sigemptyset(&both);
  sigaddset(&both, SIGUSR1);
  sigaddset(&both, SIGUSR2);
  install(SIGUSR2, look_or_count, 0);
  sigprocmask(SIG_BLOCK, &both, NULL);
  handled = 0;
  int fine = 0;
  for (int i = 0; i < OFTEN; i++) fine += two_at_once() == 0;
  say("two at once: %d, handled %d", fine, handled);
  sigprocmask(SIG_UNBLOCK, &both, NULL);
  install(SIGUSR1, ignore, 0);
  handled = 0;
  int kept = 0;
  for (int i = 0; i < OFTEN; i++) kept += (int)backwards();
  say("backwards: handled %d, kept %d", handled, kept);
  install(SIGUSR1, edit, 0);
  handled = kept = 0;
  for (int i = 0; i < OFTEN; i++) kept += edited();
  say("edited: handled %d, kept %d", handled, kept);
  interrupted();
  by_another_thread();
  stopped_before_handler();
  pid_t child = NEED(fork());
  if (child == 0) self = getpid(), at_the_end();
  reap("a stack that can't be written", child);
  return 0;
}
