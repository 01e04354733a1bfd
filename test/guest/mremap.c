#include "guest.h"
#include <sys/mman.h>

#define PAGE 4096
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static void *outcome(const char *name, void *p, void *old) {
  say("%s: %s", name, p == MAP_FAILED ? errname(errno) : p == old ? "in place" : "moved");
  return p;
}

static const char *mapped(void *p) {
  unsigned char vec;
  return mincore(p, PAGE, &vec) == 0 ? "mapped" : errname(errno);
}

int main(void) {
  char *area = mmap(NULL, 64 * PAGE, PROT_NONE, ANON, -1, 0);
  char *p = mmap(area, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
  munmap(area + 8 * PAGE, 56 * PAGE);
  for (int i = 0; i < 4; i++) p[i * PAGE] = (char)(i + 1);
  p = outcome("shrink", mremap(p, 4 * PAGE, 2 * PAGE, 0), p);
  say("cut off: %s", mapped(p + 2 * PAGE));
  p = outcome("grow into the hole", mremap(p, 2 * PAGE, 4 * PAGE, 0), p);
  INT(p[PAGE] * 10 + p[3 * PAGE]);
  outcome("no room", mremap(p, 4 * PAGE, 6 * PAGE, 0), p);
  char *q = outcome("no room, may move", mremap(p, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE), p);
  INT(q[0] * 10 + q[PAGE]);
  say("the old place: %s", mapped(p));
  char *target = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);
  target[0] = 'x', target[7 * PAGE] = 'y';
  TRY(mremap(q, 6 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
  INT(target[0] * 10 + target[PAGE]);
  say("%c", target[7 * PAGE]);
  outcome("unmapped", mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE), q);
  outcome("unaligned", mremap(target + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE), target);
  outcome("new size 0", mremap(target, PAGE, 0, MREMAP_MAYMOVE), target);
  outcome("flags", mremap(target, PAGE, PAGE, 64), target);
  outcome("fixed alone", mremap(target, PAGE, PAGE, MREMAP_FIXED, q), target);
  outcome("overlap", mremap(target, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE), target);
  outcome("huge", mremap(target, PAGE, (size_t)1 << 60, MREMAP_MAYMOVE), target);
  outcome("past the end", mremap(target, 9 * PAGE, 10 * PAGE, MREMAP_MAYMOVE), target);
  /* shared mappings stay shared; old size 0 duplicates */
  scratch();
  int fd = NEED(open("f", O_CREAT | O_RDWR, 0600));
  NEED(ftruncate(fd, 4 * PAGE));
  char *s = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
  s = mremap(s, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
  s[3 * PAGE] = 'z';
  char c;
  TRY(pread(fd, &c, 1, 3 * PAGE));
  say("%c", c);
  char *copy = mremap(s, 0, 4 * PAGE, MREMAP_MAYMOVE);
  IS(copy != MAP_FAILED && copy != s);
  s[1] = 'd';
  say("%c", copy[1]);
  /* a large realloc goes through here */
  char *heap = malloc(1 << 20);
  memset(heap, 'h', 1 << 20);
  heap = realloc(heap, 4 << 20);
  say("%c%d", heap[(1 << 20) - 1], heap != NULL);
  return 0;
}
