/* mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2), msync(2), mincore(2), mlock(2): everything they refuse. */
#include "guest.h"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wrestrict"
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#define M(...) ({ void *p_ = mmap(__VA_ARGS__); say("mmap(" #__VA_ARGS__ "): %s", p_ == MAP_FAILED ? errname(errno) : "ok"); p_; })
static int P = 4096;
int main(void) {
  scratch();
  put("f", "0123456789");
  int r = NEED(open("f", O_RDONLY)), w = NEED(open("f", O_WRONLY)), rw = NEED(open("f", O_RDWR)), d = NEED(open(".", O_RDONLY)), pth = NEED(open("f", O_PATH));
  int ap = NEED(open("f", O_RDWR | O_APPEND));
  int pp[2]; pipe(pp);
  int n = NEED(open("/dev/null", O_RDWR)), z = NEED(open("/dev/zero", O_RDWR));
  M(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  M(NULL, P, PROT_READ, MAP_ANONYMOUS, -1, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE, -1, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE, 999, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE, r, 1);
  M(NULL, P, PROT_READ, MAP_PRIVATE, r, P);
  M(NULL, P, PROT_READ, MAP_PRIVATE, r, -P);
  M(NULL, P, PROT_READ, MAP_PRIVATE, w, 0);
  M(NULL, P, PROT_READ, MAP_SHARED, w, 0);
  M(NULL, P, PROT_WRITE, MAP_SHARED, r, 0);
  M(NULL, P, PROT_WRITE, MAP_PRIVATE, r, 0);
  M(NULL, P, PROT_NONE, MAP_PRIVATE, w, 0);
  M(NULL, P, PROT_WRITE, MAP_SHARED, ap, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE, d, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE, pth, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE, pp[0], 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE, pp[1], 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE, n, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE, z, 0);
  M(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, z, 0);
  M(NULL, -1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  M(NULL, 1ul << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  M((void *)1, P, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  M((void *)(1ul << 47), P, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  M(NULL, P, PROT_READ, 0x03 | 0x40000000, r, 0);
  M(NULL, P, PROT_READ, MAP_SHARED_VALIDATE, r, 0);
  M(NULL, P, PROT_READ, MAP_SHARED_VALIDATE | 0x1000000, r, 0);
  M(NULL, P, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, r, 0);
  M(NULL, P, 0x100, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, 999, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1);
  M(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
  M(NULL, P, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
  M(NULL, P, PROT_READ, MAP_SHARED | MAP_GROWSDOWN, r, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE | MAP_DENYWRITE | MAP_EXECUTABLE, r, 0);
  M(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | 0x08 /* droppable */, -1, 0);
  char *a = M(NULL, 10 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  M(a, P, PROT_READ, MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  M(a + 1, P, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  /* munmap */
  TRY(munmap(a + 1, P));
  TRY(munmap(a, 0));
  TRY(munmap((void *)(1ul << 47), P));
  TRY(munmap(a, 1ul << 47));
  TRY(munmap(a + 5 * P, P));
  TRY(munmap(a + 5 * P, P));
  TRY(munmap((void *)0x10000, P));
  /* mprotect: a hole at 5 */
  TRY(mprotect(a + 1, P, PROT_READ));
  TRY(mprotect(a, 0, PROT_READ));
  TRY(mprotect(a, 10 * P, PROT_READ));
  TRY(mprotect(a, P, 0x100));
  TRY(mprotect(a, P, PROT_READ | PROT_GROWSDOWN));
  TRY(mprotect(a, P, PROT_GROWSDOWN | PROT_GROWSUP));
  TRY(mprotect((void *)-4096, P, PROT_READ));
  TRY(mprotect(a + 9 * P, 2 * P, PROT_READ));
  TRY(mprotect((void *)0x10000, P, PROT_READ));
  char *s = M(NULL, P, PROT_READ, MAP_SHARED, r, 0);
  TRY(mprotect(s, P, PROT_READ | PROT_WRITE));
  TRY(mprotect(s, P, PROT_READ | PROT_EXEC));
  char *pv = M(NULL, P, PROT_READ, MAP_PRIVATE, r, 0); TRY(mprotect(pv, P, PROT_READ | PROT_WRITE));
  TRY(mprotect(a, 4 * P, PROT_READ | PROT_WRITE));
  /* msync */
  TRY(msync(a, P, MS_SYNC));
  TRY(msync(a, P, MS_ASYNC | MS_SYNC));
  TRY(msync(a, P, 0));
  TRY(msync(a, P, 8));
  TRY(msync(a + 1, P, MS_SYNC));
  TRY(msync(a, 10 * P, MS_SYNC));
  TRY(msync(a, 10 * P, MS_ASYNC));
  TRY(msync(a, 0, MS_SYNC));
  TRY(msync((void *)0x10000, P, MS_SYNC));
  TRY(msync((void *)0x10000, P, MS_ASYNC));
  TRY(msync(a, -1, MS_SYNC));
  TRY(msync(s, P, MS_INVALIDATE));
  TRY(mlock(s, P));
  TRY(msync(s, P, MS_INVALIDATE));
  TRY(msync(s, P, MS_SYNC | MS_INVALIDATE));
  TRY(munlock(s, P));
  /* mincore */
  unsigned char vec[16]; memset(vec, 7, 16);
  TRY(mincore(a + 1, P, vec));
  TRY(mincore(a, P, NULL));
  TRY(mincore(a, 10 * P, vec));
  TRY(mincore(a, 0, vec));
  TRY(mincore((void *)0x10000, P, vec));
  TRY(mincore((void *)(1ul << 47), P, vec));
  TRY(mincore(a, -P, vec));
  TRY(mincore(a, 0, NULL)); TRY(mincore(a, 4097, vec));
  /* mlock */
  TRY(mlock(a + 1, 10));
  TRY(mlock(a, 10 * P));
  TRY(mlock(a, 0));
  TRY(mlock((void *)0x10000, P));
  TRY(munlock(a, 10 * P));
  TRY(munlock(a, 4 * P));
  TRY(mlock(a, -1));
  TRY(munlock(a, -1));
  TRY(mlockall(0));
  TRY(mlockall(8));
  TRY(mlockall(MCL_ONFAULT));
  TRY(mlockall(MCL_CURRENT));
  TRY(munlockall());
  TRY(mlockall(MCL_FUTURE | MCL_ONFAULT));
  TRY(munlockall());
  TRY(mlock2(a, P, 0)); TRY(mlock2(a, P, 1)); TRY(mlock2(a, P, 2));
  /* madvise */
  for (int i = -1; i < 30; i++) { if (i == 9 || i == 11 || i == 10 || i == 18 || i == 19) { } errno = 0; int x = madvise(a, P, i); say("madvise anon %d: %s", i, x ? errname(errno) : "0"); }
  for (int i = 100; i < 105; i++) { if (i == 100 || i == 101) continue; int x = madvise(a, P, i); say("madvise anon %d: %s", i, x ? errname(errno) : "0"); }
  for (int i = 0; i < 28; i++) { int x = madvise(pv, P, i); say("madvise private file %d: %s", i, x ? errname(errno) : "0"); }
  s = M(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, rw, 0);
  for (int i = 0; i < 28; i++) { int x = madvise(s, P, i); say("madvise shared file %d: %s", i, x ? errname(errno) : "0"); }
  TRY(madvise(a + 1, P, MADV_NORMAL));
  TRY(madvise(a, 0, MADV_NORMAL));
  TRY(madvise(a, 0, 99));
  TRY(madvise(a, 10 * P, MADV_NORMAL));
  TRY(madvise((void *)0x10000, P, MADV_NORMAL));
  TRY(madvise(a, -1, MADV_NORMAL));
  TRY(madvise((void *)0x10000, P, MADV_DONTNEED));
  TRY(madvise(a, 10 * P, MADV_DONTNEED));
  TRY(madvise(a, 10 * P, MADV_POPULATE_READ));
  TRY(madvise(a, P, MADV_POPULATE_WRITE));
  char *ro = M(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TRY(madvise(ro, P, MADV_POPULATE_WRITE));
  TRY(madvise(ro, P, MADV_POPULATE_READ));
  char *no = M(NULL, P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TRY(madvise(no, P, MADV_POPULATE_READ));
  char *lk = M(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mlock(lk, P);
  TRY(madvise(lk, P, MADV_DONTNEED));
  TRY(madvise(lk, P, MADV_FREE));
  TRY(madvise(lk, P, MADV_PAGEOUT));
  TRY(madvise(lk, P, MADV_COLD));
  TRY(madvise(lk, P, 24 /* DONTNEED_LOCKED */));
  TRY(madvise(lk, P, MADV_REMOVE));
  /* mremap */
  a = M(NULL, 10 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); munmap(a + 5 * P, P);
#define R(...) ({ void *p_ = mremap(__VA_ARGS__); say("mremap(" #__VA_ARGS__ "): %s", p_ == MAP_FAILED ? errname(errno) : "ok"); p_; })
  R(a + 1, P, 2 * P, 0); R(a, P, 0, 0); R(a, P, 2 * P, 0); R(a, 10 * P, 11 * P, MREMAP_MAYMOVE); R(a, P, P, 77); R(a, P, P, MREMAP_FIXED, a); R(a, P, P, MREMAP_FIXED | MREMAP_MAYMOVE, a + 1); R(a, 2 * P, 2 * P, MREMAP_FIXED | MREMAP_MAYMOVE, a + P);
  R((void *)0x10000, P, 2 * P, 0); R((void *)0x10000, P, 2 * P, MREMAP_MAYMOVE); R(a, 0, P, MREMAP_MAYMOVE); R(s, 0, P, MREMAP_MAYMOVE); R(a, P, -1, MREMAP_MAYMOVE); R(a, P, P, MREMAP_DONTUNMAP); R(a, P, 2 * P, MREMAP_DONTUNMAP | MREMAP_MAYMOVE); R(a, P, P, MREMAP_DONTUNMAP | MREMAP_MAYMOVE); R(s, P, P, MREMAP_DONTUNMAP | MREMAP_MAYMOVE);
  R(a + 3 * P, 2 * P, 3 * P, 0); R(a + 3 * P, P, P, 0); R(a, 3 * P, P, 0); R(a, P, P, 8);
  return 0;
}
