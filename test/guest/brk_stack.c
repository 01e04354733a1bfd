#include "guest.h"
#include <sys/mman.h>
#include <sys/resource.h>

static long depth(long n) {
  volatile char frame[1024];
  frame[0] = (char)n;
  return n == 0 ? 0 : depth(n - 1) + 1 + (frame[0] - frame[0]);
}

int main(void) {
  char *start = sbrk(0);
  IS(sbrk(10000) == start);
  IS(sbrk(0) == start + 10000);
  int zero = 1;
  for (int i = 0; i < 10000; i++) zero &= start[i] == 0;
  INT(zero);
  start[9999] = 5;
  TRY(brk(start + 100000));
  INT(start[9999]);
  start[99999] = 6;
  TRY(brk(start));
  IS(sbrk(0) == start);
  /* given back and taken again: zeroes */
  char *aligned = (char *)(((uintptr_t)start + 4095) & ~4095UL);
  TRY(brk(aligned + 8192));
  INT(aligned[4096 + 100]);
  aligned[5] = 1;
  /* nonsense changes nothing */
  char *now = sbrk(0);
  TRY(brk((void *)8) == 0);
  IS(sbrk(0) == now);
  TRY(brk((void *)0x7fffffffffff));
  IS(syscall(SYS_brk, 0) == (long)now);
  /* something in the way */
  char *way = mmap((char *)(((uintptr_t)now + 0x10000) & ~4095UL), 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  TRY(brk(way + 8192));
  IS(sbrk(0) == now);
  struct rlimit limit;
  getrlimit(RLIMIT_DATA, &limit);
  struct rlimit small = {1 << 20, limit.rlim_max};
  NEED(munmap(way, 4096));
  TRY(setrlimit(RLIMIT_DATA, &small));
  TRY(brk(now + (16 << 20)));
  TRY(setrlimit(RLIMIT_DATA, &limit));

  /* the stack grows by itself, to its limit */
  INT(depth(6000)); /* some 6 MiB */
  return 0;
}
