/* rt_sigreturn with forged frames: whatever is in them, only the process that did it may suffer. */
#include "hostile.h"
#include <ucontext.h>

enum { ROUNDS = 400 };

static uint8_t stack[65536] __attribute__((aligned(64)));

static uint64_t strange(void) {
  static const uint64_t values[] = {0, 1, ~0ull, 1ull << 63, 1ull << 47, (1ull << 47) - 1, 0x7fffffffe000, 0x7fffffffc000, 0x7fffffffd000,
                                    0xffffffffff600000, 0x7fffffffefff, 0xffff800000000000, 4096, 0x7fffffffe040, 0x800000000000};
  return below(3) ? values[below(sizeof values / sizeof *values)] : next();
}

/* A frame that was good once, and then a few of its words are not. */
static void forge(uint64_t seed) {
  random_state = seed;
  ucontext_t context;
  getcontext(&context);
  uint64_t *frame = (uint64_t *)(stack + 8192 + below(4) * 8);
  uint8_t *fpstate = stack + 32768 + (below(4) ? 0 : below(64));
  for (size_t i = 0; i < sizeof stack; i += 8) *(uint64_t *)(stack + i) = below(2) ? strange() : 0;
  memcpy(frame, &context, 304);
  ucontext_t *forged = (ucontext_t *)frame;
  forged->uc_mcontext.fpregs = (void *)fpstate;
  memset(fpstate, 0, 4096);
  *(uint32_t *)(fpstate + 24) = 0x1f80;
  *(uint32_t *)(fpstate + 464) = 0x46505853; /* magic1, size, features, size */
  *(uint32_t *)(fpstate + 468) = below(3) ? 2700 : (uint32_t)strange();
  *(uint64_t *)(fpstate + 472) = below(3) ? 0x2e7 : strange();
  *(uint32_t *)(fpstate + 480) = below(3) ? 2696 : (uint32_t)strange();
  *(uint32_t *)(fpstate + 2696) = 0x46505845;
  *(uint64_t *)(fpstate + 512) = below(2) ? 0x7 : strange();
  if (below(2)) *(uint64_t *)(fpstate + 520) = strange(); /* compaction, which is not for user space */
  if (below(2)) *(uint64_t *)(fpstate + 528 + below(6) * 8) = strange();
  if (below(2)) *(uint32_t *)(fpstate + 24) = (uint32_t)next();
  for (uint64_t n = below(4); n > 0; n--) frame[5 + below(33)] = strange(); /* registers, flags, selectors */
  if (below(4) == 0) forged->uc_mcontext.fpregs = (void *)strange();
  if (below(4) == 0) forged->uc_mcontext.gregs[REG_EFL] = (long long)next();
  if (below(4) == 0) forged->uc_mcontext.gregs[REG_CSGSFS] = (long long)strange();
  __asm__ volatile("mov %0, %%rsp\n mov $15, %%eax\n syscall\n" : : "r"(below(8) ? (uint64_t)frame : strange()) : "memory");
}

int main(void) {
  for (uint64_t i = 0; i < ROUNDS; i++) {
    int status = in_child(forge, i);
    /* where the forged frame leads back to nobody knows; a hang ends by SIGALRM, or by us */
    if (status == -1) say("fork failed");
  }
  say("alive");
  return 0;
}
