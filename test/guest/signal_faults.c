/* Faults as signals: which, si_code, si_addr, and what the handler may change. */
#include "guest.h"
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

static sigjmp_buf back;
static char *page;
static uintptr_t base;

static void on_fault(int signo, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  uintptr_t address = (uintptr_t)info->si_addr;
  if (signo == SIGSEGV || signo == SIGBUS)
    say("SIG%s: code=%d address=%#lx write=%d trap=%lld", sigabbrev_np(signo), info->si_code,
        address >= base && address < base + 0x10000 ? address - base : address,
        (int)(uc->uc_mcontext.gregs[REG_ERR] >> 1 & 1), uc->uc_mcontext.gregs[REG_TRAPNO]);
  else
    say("SIG%s: code=%d at=%s", sigabbrev_np(signo), info->si_code,
        signo == SIGTRAP ? "-" : address == (uintptr_t)uc->uc_mcontext.gregs[REG_RIP] ? "rip" : "elsewhere");
  siglongjmp(back, 1);
}

static void skip(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = 1234;
}

static void make_writable(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info, (void)context;
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

#define FAULT(name, code)                                                                                              \
  do {                                                                                                                 \
    say("%s", name);                                                                                                   \
    if (sigsetjmp(back, 1) == 0) {                                                                                     \
      code;                                                                                                            \
      say("no fault");                                                                                                 \
    }                                                                                                                  \
  } while (0)

int main(void) {
  int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  for (int i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);
  page = mmap(NULL, 0x10000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  base = (uintptr_t)page;
  munmap(page + 0x3000, 0x1000);
  volatile int zero = 0;
  FAULT("null read", (void)*(volatile char *)(uintptr_t)zero);
  FAULT("null write", *(volatile char *)8 = 1);
  FAULT("read-only write", page[5] = 1);
  FAULT("unmapped read", (void)*(volatile char *)(page + 0x3010));
  FAULT("not executable", ((void (*)(void))page)());
  FAULT("non-canonical", (void)*(volatile char *)0x8000000000000000);
  FAULT("kernel half", (void)*(volatile char *)0xffffffff81000000);
  FAULT("integer division", INT(7 / zero));
  FAULT("overflow", ({ int m = INT_MIN; __asm__ volatile("cdq; idivl %1" : "+a"(m) : "r"(-1) : "rdx"); }));
  FAULT("ud2", __asm__ volatile("ud2"));
  FAULT("int3", __asm__ volatile("int3"));
  FAULT("hlt", __asm__ volatile("hlt"));

  scratch();
  put("file", "short");
  int fd = NEED(open("file", O_RDWR));
  volatile char *map = mmap(NULL, 0x3000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  base = (uintptr_t)map;
  FAULT("within the file", say("%c", map[0]));
  FAULT("past the end, same page", say("%d", map[100]));
  FAULT("past the last page", say("%d", map[0x1000]));

  action.sa_sigaction = skip;
  sigaction(SIGILL, &action, NULL);
  long rax;
  __asm__ volatile("mov $5, %%eax; ud2" : "=a"(rax));
  INT(rax);
  action.sa_sigaction = make_writable;
  sigaction(SIGSEGV, &action, NULL);
  page[9] = 42;
  INT(page[9]);

  /* a fault whose signal is blocked or ignored kills */
  pid_t child = NEED(fork());
  if (child == 0) {
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    *(volatile int *)4 = 0;
    _exit(0);
  }
  reap("blocked fault", child);
  child = NEED(fork());
  if (child == 0) {
    signal(SIGFPE, SIG_IGN);
    _exit(7 / zero);
  }
  reap("ignored fault", child);
  return 0;
}
