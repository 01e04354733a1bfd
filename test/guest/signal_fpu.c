/* Vector and floating point state across a handler, a fork, a blocking call and a thread switch. */
#include "guest.h"
#include <fenv.h>
#include <math.h>

static volatile double sink;

static void trash(int signo) {
  (void)signo;
  static const unsigned char junk[64] __attribute__((aligned(64))) = {1, 2, 3};
  __asm__ volatile("movdqu %0, %%xmm0; movdqu %0, %%xmm7; movdqu %0, %%xmm15" ::"m"(junk) : "xmm0", "xmm7", "xmm15");
  if (__builtin_cpu_supports("avx")) __asm__ volatile("vmovdqu %0, %%ymm3" ::"m"(junk) : "xmm3");
  fesetround(FE_UPWARD);
  sink = sqrt(sink + 3.25) * sin(1.0);
}

__attribute__((noinline)) static int keeps(long (*call)(void)) {
  static unsigned char in[4][32] __attribute__((aligned(32))), out[4][32] __attribute__((aligned(32)));
  for (int r = 0; r < 4; r++)
    for (int i = 0; i < 32; i++) in[r][i] = (unsigned char)(r * 50 + i), out[r][i] = 0;
  long nr = call(), self = getpid(), result;
  /* the system call is made right here so that the compiler has no say in the registers */
  register long number __asm__("rax") = nr;
  register long one __asm__("rdi") = self;
  register long two __asm__("rsi") = SIGUSR1;
  __asm__ volatile("movdqu %[i0], %%xmm0; movdqu %[i1], %%xmm7; movdqu %[i2], %%xmm15; syscall;"
                   "movdqu %%xmm0, %[o0]; movdqu %%xmm7, %[o1]; movdqu %%xmm15, %[o2]"
                   : "+r"(number), [o0] "=m"(out[0]), [o1] "=m"(out[1]), [o2] "=m"(out[2])
                   : "r"(one), "r"(two), [i0] "m"(in[0]), [i1] "m"(in[1]), [i2] "m"(in[2])
                   : "rcx", "r11", "memory", "xmm0", "xmm7", "xmm15");
  result = number;
  int same = 1;
  for (int r = 0; r < 3; r++) same &= memcmp(in[r], out[r], 16) == 0;
  return result == 0 || result == getppid() ? same : -1;
}

static long nr_kill(void) { return SYS_kill; }
static long nr_getppid(void) { return SYS_getppid; }

int main(void) {
  handle(SIGUSR1, trash, 0);
  INT(keeps(nr_kill));
  INT(keeps(nr_getppid));
  IS(fegetround() == FE_TONEAREST);
  if (__builtin_cpu_supports("avx")) {
    unsigned char in[32], out[32];
    for (int i = 0; i < 32; i++) in[i] = (unsigned char)(i * 7);
    long number = SYS_kill, self = getpid();
    register long one __asm__("rdi") = self;
    register long two __asm__("rsi") = SIGUSR1;
    __asm__ volatile("vmovdqu %2, %%ymm3; syscall; vmovdqu %%ymm3, %1"
                     : "+a"(number), "=m"(out)
                     : "m"(in), "r"(one), "r"(two)
                     : "rcx", "r11", "memory", "xmm3");
    say("ymm upper halves: %s", memcmp(in, out, 32) == 0 ? "kept" : "lost");
  } else say("ymm upper halves: kept");
  fesetround(FE_DOWNWARD);
  pid_t child = NEED(fork());
  if (child == 0) _exit(fegetround() == FE_DOWNWARD);
  reap("rounding in the child", child);
  raise(SIGUSR1);
  IS(fegetround() == FE_DOWNWARD);
  return 0;
}
