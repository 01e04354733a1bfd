/* Signal frames: what a handler finds of the interrupted registers, what it may change, and how it starts. */
#include "guest.h"
#include <immintrin.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#define AUTODISARM (1u << 31)

static sigjmp_buf back;

static void install(int signo, void (*handler)(int, siginfo_t *, void *), int flags) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
  NEED(sigaction(signo, &action, NULL));
}

/* ---- vector registers */

static unsigned handler_mxcsr;
static unsigned short handler_control;
static int handler_xmm_zero;
static void look_at_state(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info, (void)context;
  unsigned char xmm[16];
  __asm__ volatile("stmxcsr %0; fnstcw %1; movdqu %%xmm7, %2" : "=m"(handler_mxcsr), "=m"(handler_control), "=m"(xmm));
  handler_xmm_zero = 1;
  for (int i = 0; i < 16; i++) handler_xmm_zero &= xmm[i] == 0;
  unsigned changed = 0x1f80 | 0x2000;
  __asm__ volatile("ldmxcsr %0; pcmpeqd %%xmm7, %%xmm7" : : "m"(changed) : "xmm7");
}

static void initial_state(void) {
  unsigned mxcsr = 0x1f80 | 0x6000, after;
  unsigned short control = 0x027f, control_after;
  unsigned char in[16], out[16];
  memset(in, 0x5a, sizeof in);
  install(SIGUSR1, look_at_state, 0);
  pid_t pid = getpid();
  long nr = SYS_kill, result;
  __asm__ volatile(
      "ldmxcsr %[mxcsr]; fldcw %[control]; movdqu %[in], %%xmm7; syscall; movdqu %%xmm7, %[out]; stmxcsr %[after];"
      "fnstcw %[control_after]; fninit"
      : "=a"(result), [out] "=m"(out), [after] "=m"(after), [control_after] "=m"(control_after)
      : "a"(nr), "D"((long)pid), "S"((long)SIGUSR1), [mxcsr] "m"(mxcsr), [control] "m"(control), [in] "m"(in)
      : "rcx", "r11", "memory", "xmm7");
  unsigned normal = 0x1f80;
  __asm__ volatile("ldmxcsr %0" : : "m"(normal));
  say("handler starts with mxcsr %#x control %#x xmm7 zero %d", handler_mxcsr, handler_control, handler_xmm_zero);
  say("afterwards mxcsr %#x control %#x xmm7 kept %d", after, control_after, memcmp(in, out, 16) == 0);
}

/* The part of an XSAVE area that holds the upper halves of ymm. */
#define XSTATE_BV 512
#define YMM_HIGH 576

static void edit_xmm(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  ucontext_t *uc = context;
  unsigned char *state = (unsigned char *)uc->uc_mcontext.fpregs;
  uint32_t magic;
  memcpy(&magic, state + 464, 4);
  say("frame has extended state: %d", magic == 0x46505853);
  memset(state + 160 + 16 * 6, 0x11, 16);
  if (__builtin_cpu_supports("avx")) {
    uint64_t components;
    memcpy(&components, state + XSTATE_BV, 8);
    say("upper halves in use: %d", (int)(components >> 2 & 1));
    memset(state + YMM_HIGH + 16 * 6, 0x22, 16);
    components |= 4;
    memcpy(state + XSTATE_BV, &components, 8);
  }
}

__attribute__((target("avx"))) static void edited_state(void) {
  unsigned char in[32], out[32];
  memset(in, 0x77, sizeof in);
  memset(out, 0, sizeof out);
  install(SIGUSR1, edit_xmm, 0);
  if (!__builtin_cpu_supports("avx")) return;
  pid_t pid = getpid();
  __asm__ volatile("vmovdqu %2, %%ymm6; syscall; vmovdqu %%ymm6, %1; vzeroupper"
                   : "+a"((long){SYS_kill}), "=m"(out)
                   : "m"(in), "D"((long)pid), "S"((long)SIGUSR1)
                   : "rcx", "r11", "memory", "xmm6");
  say("edited: low %#x high %#x", out[0], out[16]);
}

/* ---- general registers */

static void edit_registers(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
  regs[REG_RBX] = 0x1111;
  regs[REG_R8] = 0x8888;
  regs[REG_R15] = 0x1515;
  regs[REG_RAX] = 0xaaaa;
  regs[REG_EFL] |= 1;                          /* carry */
  regs[REG_EFL] |= 0x200000 | 0x3000 | 0x4000; /* ID, IOPL, NT: not user space's to set this way */
}

static void general_registers(void) {
  install(SIGUSR2, edit_registers, 0);
  long rbx, r8, r15, rax = SYS_kill, flags;
  __asm__ volatile("xor %%ebx, %%ebx; xor %%r8d, %%r8d; xor %%r15d, %%r15d; clc; syscall; pushfq; pop %[flags];"
                   "mov %%rbx, %[rbx]; mov %%r8, %[r8]; mov %%r15, %[r15]"
                   : "+a"(rax), [flags] "=&r"(flags), [rbx] "=m"(rbx), [r8] "=m"(r8), [r15] "=m"(r15)
                   : "D"((long)getpid()), "S"((long)SIGUSR2)
                   : "rcx", "r11", "rbx", "r8", "r15", "memory", "cc");
  say("edited: rbx %lx r8 %lx r15 %lx rax %lx carry %ld", rbx, r8, r15, rax, flags & 1);
  say("odd flags: %lx", flags & (0x200000 | 0x3000 | 0x4000));
}

static volatile unsigned long seen_rcx, seen_flags, seen_direction;
static void see_syscall(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
  seen_rcx = regs[REG_RCX] == regs[REG_RIP];
  seen_flags = (regs[REG_R11] & 0xfff) == (regs[REG_EFL] & 0xfff);
  unsigned long flags;
  __asm__ volatile("pushfq; pop %0" : "=r"(flags));
  seen_direction = flags >> 10 & 1;
}

static void direction_flag(void) {
  install(SIGUSR2, see_syscall, 0);
  long rax = SYS_kill, flags;
  __asm__ volatile("std; syscall; pushfq; pop %[flags]; cld"
                   : "+a"(rax), [flags] "=&r"(flags)
                   : "D"((long)getpid()), "S"((long)SIGUSR2)
                   : "rcx", "r11", "memory", "cc");
  say("after a system call rcx is rip %lu, r11 the flags %lu", seen_rcx, seen_flags);
  say("direction in the handler %lu, afterwards %ld", seen_direction, flags >> 10 & 1);
}

/* ---- the flags, mask and stack in the frame */

static void see_context(int signo, siginfo_t *info, void *context) {
  (void)info;
  ucontext_t *uc = context;
  unsigned long mask;
  memcpy(&mask, &uc->uc_sigmask, 8);
  say("SIG%s: flags %#lx link %p mask %lx stack flags %d size %zu", sigabbrev_np(signo), uc->uc_flags,
      (void *)uc->uc_link, mask, uc->uc_stack.ss_flags, uc->uc_stack.ss_size);
  say("cs %llx ss %llx", uc->uc_mcontext.gregs[REG_CSGSFS] & 0xffff, uc->uc_mcontext.gregs[REG_CSGSFS] >> 48 & 0xffff);
  say("oldmask %llx trap %lld error %lld", uc->uc_mcontext.gregs[REG_OLDMASK], uc->uc_mcontext.gregs[REG_TRAPNO],
      uc->uc_mcontext.gregs[REG_ERR]);
  uintptr_t at = (uintptr_t)__builtin_frame_address(0);
  say("alignment %d, info above context %d", (int)(at % 16), (uintptr_t)info > (uintptr_t)context);
}

static void edit_mask(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  ucontext_t *uc = context;
  sigaddset(&uc->uc_sigmask, SIGTERM);
  sigaddset(&uc->uc_sigmask, SIGKILL);
}

static void skip_ahead(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void jump_back(int signo, siginfo_t *info, void *context) {
  (void)context;
  say("SIG%s code %d%s", sigabbrev_np(signo), info->si_code, info->si_addr == NULL ? "" : " with an address");
  siglongjmp(back, 1);
}

static int child_status(void (*run)(void)) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    run();
    _exit(0);
  }
  int status;
  NEED(waitpid(pid, &status, 0));
  return status;
}

static void bad_fpstate(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  ((ucontext_t *)context)->uc_mcontext.fpregs = (void *)8;
}
static void return_with_bad_fpstate(void) {
  install(SIGUSR1, bad_fpstate, 0);
  raise(SIGUSR1);
}

static void no_fpstate(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  ((ucontext_t *)context)->uc_mcontext.fpregs = NULL;
}
static void return_without_fpstate(void) {
  install(SIGUSR1, no_fpstate, 0);
  raise(SIGUSR1);
  double one = 1.0;
  __asm__ volatile("addsd %0, %0" : "+x"(one));
  _exit(one == 2.0 ? 0 : 1);
}

static void bad_rip(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = 0x800000000000;
}
static void return_to_non_canonical(void) {
  install(SIGUSR1, bad_rip, 0);
  raise(SIGUSR1);
}

static void bad_mxcsr(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr = 0xffffffff;
}
static void return_with_bad_mxcsr(void) {
  install(SIGUSR1, bad_mxcsr, 0);
  raise(SIGUSR1);
  unsigned mxcsr;
  __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
  _exit(mxcsr == 0xffff ? 1 : 2);
}

static void sigreturn_out_of_nowhere(void) {
  __asm__ volatile("mov $8, %%rsp; mov $15, %%eax; syscall" : : : "memory");
}

static void without_restorer(void) {
  struct {
    void *handler;
    unsigned long flags;
    void *restorer;
    unsigned long mask;
  } action = {(void *)jump_back, SA_SIGINFO, NULL, 0};
  NEED(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8));
  raise(SIGUSR1);
}

static void without_restorer_but_segv(void) {
  install(SIGSEGV, jump_back, 0);
  if (sigsetjmp(back, 1) == 0) without_restorer();
  _exit(5);
}

static void handler_nowhere(void) {
  struct sigaction action = {.sa_handler = (void (*)(int))0x10};
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
}

/* ---- single steps */

static volatile int steps, step_code, step_at_rip, hits;
static void count_step(int signo, siginfo_t *info, void *context) {
  (void)signo;
  ucontext_t *uc = context;
  step_code = info->si_code;
  step_at_rip = (uintptr_t)info->si_addr == (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
  if (++steps >= 5) uc->uc_mcontext.gregs[REG_EFL] &= ~0x100ll;
}
static void start_stepping(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= 0x100;
}

int main(void) {
  initial_state();
  edited_state();
  general_registers();
  direction_flag();

  install(SIGUSR1, see_context, 0);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_SETMASK, &set, NULL);
  raise(SIGUSR1);
  stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
  sigaltstack(&stack, NULL);
  install(SIGUSR2, see_context, SA_ONSTACK);
  raise(SIGUSR2);
  raise(SIGUSR1);
  stack.ss_flags = AUTODISARM;
  sigaltstack(&stack, NULL);
  raise(SIGUSR2);
  stack.ss_flags = SS_DISABLE;
  sigaltstack(&stack, NULL);
  raise(SIGUSR2);
  install(SIGUSR1, edit_mask, 0);
  raise(SIGUSR1);
  sigprocmask(SIG_SETMASK, NULL, &set);
  say("mask from the frame: HUP %d TERM %d KILL %d", sigismember(&set, SIGHUP), sigismember(&set, SIGTERM),
      sigismember(&set, SIGKILL));
  sigemptyset(&set);
  sigprocmask(SIG_SETMASK, &set, NULL);

  install(SIGILL, skip_ahead, 0);
  __asm__ volatile("ud2");
  say("ud2 was skipped");
  install(SIGUSR1, see_context, 0);
  install(SIGILL, see_context, SA_RESETHAND);
  say("status %s", status_text(child_status(({
        void run(void) { __asm__ volatile("ud2"); }
        run;
      }))));
  say("a later signal of another kind");
  install(SIGSEGV, jump_back, 0);
  if (sigsetjmp(back, 1) == 0) *(volatile int *)0x18 = 1;
  raise(SIGUSR1);
  signal(SIGSEGV, SIG_DFL);

  say("bad extended state: %s", status_text(child_status(return_with_bad_fpstate)));
  say("no extended state: %s", status_text(child_status(return_without_fpstate)));
  say("non-canonical: %s", status_text(child_status(return_to_non_canonical)));
  say("bad mxcsr: %s", status_text(child_status(return_with_bad_mxcsr)));
  say("sigreturn out of nowhere: %s", status_text(child_status(sigreturn_out_of_nowhere)));
  say("without a restorer: %s", status_text(child_status(without_restorer)));
  say("without a restorer, caught: %s", status_text(child_status(without_restorer_but_segv)));
  say("handler nowhere: %s", status_text(child_status(handler_nowhere)));

  install(SIGTRAP, count_step, 0);
  install(SIGUSR1, start_stepping, 0);
  raise(SIGUSR1);
  for (int i = 0; i < 100; i++) hits++;
  say("steps %d code %d at rip %d", steps, step_code, step_at_rip);
  steps = 0;
  __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop; nop; nop; nop; nop; nop" : : : "cc", "memory");
  say("steps %d code %d at rip %d", steps, step_code, step_at_rip);
  return 0;
}
