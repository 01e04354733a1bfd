/* A system call changes rax, rcx and r11, and nothing else. */
#include "guest.h"
#include <stddef.h>

struct registers {
  uint64_t rbx, rdx, rsi, rdi, rbp, r8, r9, r10, r12, r13, r14, r15, flags;
};

__attribute__((noinline)) static long call(long number, struct registers *r) {
  long result;
  __asm__ volatile(
      "push %%rbp\n push %%rbx\n push %[r]\n mov %[r], %%r11\n"
      "mov 0(%%r11), %%rbx\n mov 8(%%r11), %%rdx\n mov 16(%%r11), %%rsi\n mov 24(%%r11), %%rdi\n mov 32(%%r11), %%rbp\n"
      "mov 40(%%r11), %%r8\n mov 48(%%r11), %%r9\n mov 56(%%r11), %%r10\n mov 64(%%r11), %%r12\n"
      "mov 72(%%r11), %%r13\n mov 80(%%r11), %%r14\n mov 88(%%r11), %%r15\n"
      "std\n stc\n syscall\n pushfq\n cld\n pop %%rcx\n pop %%r11\n"
      "mov %%rbx, 0(%%r11)\n mov %%rdx, 8(%%r11)\n mov %%rsi, 16(%%r11)\n mov %%rdi, 24(%%r11)\n mov %%rbp, 32(%%r11)\n"
      "mov %%r8, 40(%%r11)\n mov %%r9, 48(%%r11)\n mov %%r10, 56(%%r11)\n mov %%r12, 64(%%r11)\n"
      "mov %%r13, 72(%%r11)\n mov %%r14, 80(%%r11)\n mov %%r15, 88(%%r11)\n mov %%rcx, 96(%%r11)\n"
      "pop %%rbx\n pop %%rbp\n"
      : "=a"(result)
      : "a"(number), [r] "D"(r)
      : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
  return result;
}

static void check(const char *name, long number, uint64_t a, uint64_t b, uint64_t c) {
  struct registers before = {0x1111111111111111, c, b, a, 0x2222222222222222, 0x3333333333333333, 0x4444444444444444,
                             0x5555555555555555, 0x6666666666666666, 0x7777777777777777, 0x8888888888888888,
                             0x9999999999999999, 0};
  struct registers after = before;
  long result = call(number, &after);
  say("%s: %s, carry %d, direction %d, %s", name, memcmp(&before, &after, offsetof(struct registers, flags)) == 0 ? "kept" : "changed",
      (int)(after.flags & 1), (int)(after.flags >> 10 & 1), result < 0 && result > -4096 ? errname((int)-result) : "ok");
}

static void on_signal(int signo) {
  (void)signo;
  __asm__ volatile("" ::: "rbx", "r12", "r13", "r14", "r15");
}

int main(void) {
  struct timespec time = {0, 1000000};
  handle(SIGUSR1, on_signal, 0);
  check("getpid", SYS_getpid, 0, 0, 0);
  check("unknown", 9999, 1, 2, 3);
  check("nanosleep", SYS_nanosleep, (uint64_t)&time, 0, 0);
  check("write", SYS_write, 99, 0, 0);
  check("kill", SYS_kill, (uint64_t)getpid(), SIGUSR1, 0);
  check("sched_yield", SYS_sched_yield, 0, 0, 0);
  check("bad pointer", SYS_nanosleep, 8, 0, 0);
  return 0;
}
