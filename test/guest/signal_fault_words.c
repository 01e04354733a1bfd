/* What the processor says of a fault, in its signal's frame: trap number, error code, address; what later frames keep. */
#include "guest.h"
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

static sigjmp_buf back;
static uintptr_t base;

static void look(int signo, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  uintptr_t cr2 = (uintptr_t)registers[REG_CR2];
  say("SIG%s code %d: trap %lld error %#llx cr2 %#lx", sigabbrev_np(signo), info->si_code, registers[REG_TRAPNO],
      registers[REG_ERR], cr2 >= base && cr2 < base + 0x10000 ? cr2 - base : cr2);
  if (signo != SIGUSR1) siglongjmp(back, 1);
}

#define FAULT(name, ...)                                                                                              \
  do {                                                                                                                 \
    say("%s", name);                                                                                                   \
    if (sigsetjmp(back, 1) == 0) {                                                                                     \
      __VA_ARGS__;                                                                                                     \
      say("no fault");                                                                                                 \
    }                                                                                                                  \
  } while (0)

int main(void) {
  int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGUSR1};
  struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
  for (int i = 0; i < 6; i++) sigaction(signals[i], &action, NULL);
  char *page = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  base = (uintptr_t)page;
  memset(page, 1, 0x10000);
  mprotect(page, 0x1000, PROT_READ);
  mprotect(page + 0x1000, 0x1000, PROT_NONE);
  munmap(page + 0x3000, 0x1000);
  volatile char *volatile none = NULL;
  volatile int zero = 0;
  raise(SIGUSR1); /* before any */
  FAULT("read of null", (void)none[0]);
  raise(SIGUSR1);
  FAULT("write to null", none[8] = 1);
  FAULT("jump to null", ((void (*)(void))(uintptr_t)none)());
  FAULT("write to what is read-only", page[5] = 1);
  FAULT("read of what is protected", (void)*(volatile char *)(page + 0x1004));
  FAULT("write to what is protected", page[0x1004] = 1);
  FAULT("read of what is unmapped", (void)*(volatile char *)(page + 0x3010));
  FAULT("write to what is unmapped", page[0x3010] = 1);
  FAULT("jump to data", ((void (*)(void))(page + 0x2000))());
  FAULT("jump to what is unmapped", ((void (*)(void))(page + 0x3000))());
  FAULT("a word across the edge", (void)*(volatile uint64_t *)(page + 0x2ffc));
  FAULT("non-canonical", (void)*(volatile char *)0x8000000000000000);
  FAULT("the kernel's", (void)*(volatile char *)0xffffffff81000000);
  raise(SIGUSR1);
  FAULT("division by zero", INT(7 / zero));
  FAULT("ud2", __asm__ volatile("ud2"));
  FAULT("hlt", __asm__ volatile("hlt"));
  FAULT("in", __asm__ volatile("inb $0x80, %%al" ::: "rax"));
  FAULT("int3", __asm__ volatile("int3"));
  FAULT("a step", __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" ::: "memory", "cc"));
  FAULT("int $0x20", __asm__ volatile("int $0x20"));
  FAULT("a bad selector", __asm__ volatile("mov %0, %%es" ::"r"(0x58)));
  FAULT("x87", __asm__ volatile("fninit; fldcw %0; fldz; fld1; fdivp; fwait" ::"m"((unsigned short){0x360})));
  __asm__ volatile("fninit");
  FAULT("SSE", {
    unsigned mxcsr = 0x1f80 & ~0x200u;
    float a = 1, b = 0;
    __asm__ volatile("ldmxcsr %2; divss %1, %0; ldmxcsr %3" : "+x"(a) : "x"(b), "m"(mxcsr), "m"((unsigned){0x1f80}));
  });
  __asm__ volatile("ldmxcsr %0" ::"m"((unsigned){0x1f80}));
  FAULT("misaligned SSE", __asm__ volatile("movaps (%0), %%xmm0" ::"r"(page + 1) : "xmm0"));
  raise(SIGUSR1);

  scratch();
  put("file", "short");
  int fd = NEED(open("file", O_RDWR));
  char *map = mmap(NULL, 0x3000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  base = (uintptr_t)map;
  FAULT("read past the end of a file", (void)*(volatile char *)(map + 0x1000));
  FAULT("write past the end of a file", map[0x1001] = 1);

  /* a child's frames have its parent's words */
  pid_t child = NEED(fork());
  if (child == 0) {
    raise(SIGUSR1);
    _exit(0);
  }
  reap("child", child);
  return 0;
}
