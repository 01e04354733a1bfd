/* Memory that the guest has locked by protection keys is still memory for the kernel, or a failed call: no more. */
#include "hostile.h"
#include <cpuid.h>

static void pkru(uint32_t value) { __asm__ volatile(".byte 0x0f,0x01,0xef" : : "a"(value), "c"(0), "d"(0) : "memory"); }

/* One call with every key closed. Nothing but registers may be used meanwhile. */
static long closed(long nr, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("mov %%rax, %%rbx\n mov %%rdx, %%r12\n mov $0xffffffff, %%eax\n xor %%ecx, %%ecx\n xor %%edx, %%edx\n"
                   ".byte 0x0f,0x01,0xef\n"
                   "mov %%rbx, %%rax\n mov %%r12, %%rdx\n syscall\n"
                   "mov %%rax, %%rbx\n xor %%eax, %%eax\n xor %%ecx, %%ecx\n xor %%edx, %%edx\n"
                   ".byte 0x0f,0x01,0xef\n"
                   "mov %%rbx, %%rax"
                   : "=a"(result), "+d"(c)
                   : "0"(nr), "D"(a), "S"(b), "r"(r10), "r"(r8), "r"(r9)
                   : "rbx", "rcx", "r11", "r12", "memory");
  return result;
}

static void touch(uint64_t at) {
  pkru(0xffffffff);
  *(volatile char *)at = 1;
}

static const char *name_of(long result) { return result < 0 && result > -4096 ? errname((int)-result) : "ok"; }

static char word[8];

static void calls(uint64_t which) {
  char *argv[] = {"true", NULL};
  switch (which) {
  case 0: closed(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); break;
  case 1: closed(SYS_munmap, (long)word & ~4095, 4096, 0, 0, 0, 0); break;
  case 2: closed(SYS_brk, (long)sbrk(0) + 65536, 0, 0, 0, 0, 0); break;
  case 3:
    if (closed(SYS_fork, 0, 0, 0, 0, 0, 0) == 0) _exit(0);
    break;
  case 4: closed(SYS_execve, (long)"/bin/true", (long)argv, 0, 0, 0, 0); break;
  case 5: closed(SYS_mremap, (long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096, 8192, MREMAP_MAYMOVE, 0, 0); break;
  case 6: closed(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, open("/bin/true", O_RDONLY), 0); break;
  case 7: closed(SYS_futex, (long)word, 5, 1, 1, (long)word, 0); break; /* FUTEX_WAKE_OP writes guest memory */
  case 8: closed(SYS_clone, 0x10f00, (long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096, 0, 0, 0, 0); break;
  case 9: closed(SYS_vfork, 0, 0, 0, 0, 0, 0); break;
  case 10: closed(SYS_write, 1, (long)word, 0, 0, 0, 0); break;
  case 11: closed(SYS_kill, getpid(), SIGUSR1, 0, 0, 0, 0); break;
  case 12: closed(SYS_exit_group, 0, 0, 0, 0, 0, 0); break;
  case 13: closed(SYS_exit, 0, 0, 0, 0, 0, 0); break;
  }
}

int main(void) {
  unsigned a, b, c = 0, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(c & (1 << 4))) {
    say("alive"); /* no such keys here */
    return 0;
  }
  in_child(touch, (uint64_t)word);
  for (uint64_t i = 0; i < 14; i++) in_child(calls, i);
  for (uint64_t i = 0; i < 14; i++) in_child(calls, i);
  /* files mapped afterwards are the right ones */
  char *file = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open("/bin/true", O_RDONLY), 0);
  say("%.3s", file + 1);
  say("alive");
  return 0;
}
