#include "guest.h"
#include <sys/mman.h>

static void map(const char *name, void *p) { say("%s: %s", name, p == MAP_FAILED ? errname(errno) : "ok"); }
#define MAP(...) map(#__VA_ARGS__, mmap(__VA_ARGS__))

#define PAGE 4096
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

/* Whether a byte can be read or written, without a handler: the kernel tells. */
static const char *can(void *p) {
  static int fds[2] = {-1, -1};
  if (fds[0] == -1) NEED(pipe(fds));
  char c;
  bool r = write(fds[1], p, 1) == 1;
  if (r) r = read(fds[0], &c, 1) == 1;
  (void)!write(fds[1], "", 1);
  bool w = read(fds[0], p, 1) == 1;
  if (!w) (void)!read(fds[0], &c, 1);
  return r ? w ? "rw" : "r-" : w ? "-w" : "--";
}

int main(void) {
  char *p = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);
  IS(p != MAP_FAILED);
  IS(((uintptr_t)p & (PAGE - 1)) == 0);
  int zero = 1;
  for (int i = 0; i < 8 * PAGE; i++) zero &= p[i] == 0;
  INT(zero);
  memset(p, 7, 8 * PAGE);
  TRY(munmap(p + 2 * PAGE, PAGE));
  say("around the hole: %s %s %s", can(p + PAGE), can(p + 2 * PAGE), can(p + 3 * PAGE));
  INT(p[PAGE] + p[3 * PAGE]);
  /* into the hole, fixed */
  TRY(mmap(p + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + 2 * PAGE);
  INT(p[2 * PAGE]);
  /* fixed over what is there */
  TRY(mmap(p + PAGE, 2 * PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) == p + PAGE);
  say("replaced: %s %s %s", can(p), can(p + PAGE), can(p + 3 * PAGE));
  INT(p[PAGE] + p[2 * PAGE]);
  MAP(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
  TRY(mprotect(p, PAGE, PROT_NONE));
  say("PROT_NONE: %s", can(p));
  TRY(mprotect(p, PAGE, PROT_READ));
  say("PROT_READ: %s", can(p));
  INT(p[5]);
  TRY(mprotect(p + 1, PAGE, PROT_READ));
  TRY(mprotect(p, 0, PROT_READ));
  TRY(mprotect(p, 5, RW));
  say("rounded up: %s", can(p + PAGE - 1));
  NEED(munmap(p + 6 * PAGE, PAGE));
  TRY(mprotect(p + 5 * PAGE, 3 * PAGE, PROT_READ));
  say("up to the hole: %s %s", can(p + 5 * PAGE), can(p + 7 * PAGE));
  TRY(mprotect(p, PAGE, 0x100));
  MAP(NULL, 0, RW, ANON, -1, 0);
  MAP(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0);
  MAP(NULL, PAGE, RW, MAP_PRIVATE, -1, 0);
  MAP((void *)1, PAGE, RW, ANON | MAP_FIXED, -1, 0);
  MAP(NULL, (size_t)1 << 60, RW, ANON, -1, 0);
  MAP((void *)0x7ffffffff000, PAGE, RW, ANON | MAP_FIXED, -1, 0);
  MAP((void *)0x800000000000, PAGE, RW, ANON | MAP_FIXED, -1, 0);
  MAP(NULL, PAGE, RW, ANON, -1, 123);
  TRY(munmap(p + 1, PAGE));
  TRY(munmap(p, 0));
  TRY(munmap((void *)0x10000000, PAGE));
  TRY(munmap((void *)-4096L, PAGE));
  /* a hint is taken when it is free */
  char *hint = (char *)0x200000000000;
  TRY(mmap(hint, PAGE, RW, ANON, -1, 0) == hint);
  TRY(mmap(hint, PAGE, RW, ANON, -1, 0) != hint);
  char *low = mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);
  IS((uintptr_t)low < 0x80000000u);
  TRY(madvise(hint, PAGE, MADV_DONTNEED));
  hint[0] = 9;
  TRY(madvise(hint, PAGE, MADV_DONTNEED));
  INT(hint[0]);
  TRY(madvise(hint + 1, PAGE, MADV_DONTNEED));
  TRY(madvise(hint, PAGE, 9999));
  TRY(madvise((void *)0x300000000000, PAGE, MADV_DONTNEED));
  unsigned char vec[8];
  TRY(mincore(hint, PAGE, vec));
  TRY(mincore((void *)0x300000000000, PAGE, vec));
  TRY(msync(hint, PAGE, MS_SYNC));
  TRY(msync((void *)0x300000000000, PAGE, MS_SYNC));
  TRY(mlock(hint, PAGE));
  TRY(munlock(hint, PAGE));
  /* copy on write between processes; sharing when asked for */
  char *shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  hint[0] = 1, shared[0] = 1;
  pid_t child = NEED(fork());
  if (child == 0) {
    hint[0] = 2, shared[0] = 2;
    _exit(0);
  }
  reap("child", child);
  say("private %d, shared %d", hint[0], shared[0]);
  /* large and sparse */
  char *big = mmap(NULL, (size_t)1 << 33, RW, ANON | MAP_NORESERVE, -1, 0);
  IS(big != MAP_FAILED);
  big[(size_t)1 << 32] = 5;
  INT(big[(size_t)1 << 32] + big[((size_t)1 << 33) - 1]);
  /* code written at run time */
  unsigned char *code = mmap(NULL, PAGE, RW, ANON, -1, 0);
  memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6);
  NEED(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
  INT(((int (*)(void))code)());
  return 0;
}
