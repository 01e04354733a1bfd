/* mseal(2): what is sealed can be neither unmapped, moved, replaced nor protected otherwise; and remap_file_pages(2). */
#include "guest.h"
#include <sys/mman.h>
#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#define PAGE 4096L
#define MAP(...) ({ void *at_ = mmap(__VA_ARGS__); say("mmap(" #__VA_ARGS__ "): %s", at_ == MAP_FAILED ? errname(errno) : "ok"); at_; })

static int seal(void *at, size_t length, long flags) { return syscall(SYS_mseal, at, length, flags); }

int main(void) {
  scratch();
  char *a = mmap(NULL, 6 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(a + 4 * PAGE, PAGE);
  TRY(seal(a, PAGE, 1));
  TRY(seal(a + 1, PAGE, 0));
  TRY(seal(a, 0, 0));
  TRY(seal(a, -1, 0));
  TRY(seal(a, 6 * PAGE, 0));
  TRY(mprotect(a, PAGE, PROT_READ | PROT_WRITE));
  TRY(seal((void *)0x10000, PAGE, 0));
  TRY(seal(a + PAGE, PAGE, 0));
  TRY(seal(a + PAGE, PAGE, 0));
  TRY(munmap(a + PAGE, PAGE));
  TRY(munmap(a, 3 * PAGE));
  TRY(mprotect(a + PAGE, PAGE, PROT_READ | PROT_WRITE));
  TRY(mprotect(a + PAGE, PAGE, PROT_READ));
  TRY(mprotect(a, 3 * PAGE, PROT_READ | PROT_WRITE));
  a[0] = 1;
  MAP(a + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  MAP(a, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  IS(mremap(a + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EPERM);
  IS(mremap(a + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + 3 * PAGE) == MAP_FAILED && errno == EPERM);
  IS(mremap(a + 2 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + PAGE) == MAP_FAILED && errno == EPERM);
  TRY(madvise(a + PAGE, PAGE, MADV_DONTNEED));
  TRY(madvise(a + PAGE, PAGE, MADV_NORMAL));
  TRY(madvise(a + PAGE, PAGE, MADV_DONTFORK));
  TRY(mlock(a + PAGE, PAGE));
  TRY(munlock(a + PAGE, PAGE));
  TRY(munmap(a + 2 * PAGE, PAGE));
  char *w = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  w[0] = 7;
  TRY(seal(w, PAGE, 0));
  TRY(madvise(w, PAGE, MADV_DONTNEED));
  INT(w[0]);
  pid_t child = NEED(fork());
  if (child == 0) {
    TRY(munmap(w, PAGE));
    _exit(0);
  }
  reap("child", child);
  /* remap_file_pages */
  int fd = NEED(memfd_create("m", 0));
  for (int i = 0; i < 4; i++) dprintf(fd, "%d%*s", i, (int)PAGE - 1, "");
  char *s = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  TRY(remap_file_pages(s, PAGE, 0, 2, 0));
  TRY(remap_file_pages(s + PAGE, 2 * PAGE, 0, 0, 0));
  say("%c %c %c %c", s[0], s[PAGE], s[2 * PAGE], s[3 * PAGE]);
  s[0] = 'x';
  char c;
  pread(fd, &c, 1, 2 * PAGE);
  say("%c", c);
  TRY(remap_file_pages(s + 1, PAGE, 0, 1, 0));
  TRY(remap_file_pages(s, PAGE, PROT_READ, 0, 0));
  TRY(remap_file_pages(s, 0, 0, 0, 0));
  TRY(remap_file_pages(w, PAGE, 0, 0, 0));
  TRY(remap_file_pages((void *)0x10000, PAGE, 0, 0, 0));
  return 0;
}
