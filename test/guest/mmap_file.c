#include "guest.h"
#include <sys/mman.h>

#define PAGE 4096
#define RW (PROT_READ | PROT_WRITE)
static void map(const char *name, void *p) { say("%s: %s", name, p == MAP_FAILED ? errname(errno) : "ok"); }
#define MAP(...) map(#__VA_ARGS__, mmap(__VA_ARGS__))

int main(void) {
  scratch();
  int fd = NEED(open("f", O_CREAT | O_RDWR, 0600));
  char page[PAGE];
  for (int i = 0; i < 3; i++) memset(page, 'a' + i, PAGE), (void)!write(fd, page, PAGE);
  (void)!write(fd, "tail", 4);
  char *shared = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
  char *private = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0);
  char *second = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
  say("%c%c%c%s %c", shared[0], shared[PAGE], private[2 * PAGE], private + 3 * PAGE, second[0]);
  shared[0] = 'S';
  private[1] = 'P';
  char buffer[3] = {0};
  TRY(pread(fd, buffer, 2, 0));
  say("file: %s", buffer);
  say("private sees: %c%c, shared sees %c%c", private[0], private[1], shared[0], shared[1]);
  TRY(pwrite(fd, "WX", 2, PAGE));
  say("after write: %c%c %c", shared[PAGE], second[1], private[PAGE]);
  TRY(pwrite(fd, "Q", 1, 2));
  say("own copy: %c, shared: %c", private[2], shared[2]);
  TRY(msync(shared, PAGE, MS_SYNC));
  close(fd); /* the mappings stay */
  shared[3] = 'C';
  fd = NEED(open("f", O_RDONLY));
  TRY(pread(fd, buffer, 1, 3));
  say("%c", buffer[0]);
  MAP(NULL, PAGE, RW, MAP_SHARED, fd, 0);
  MAP(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
  MAP(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1);
  MAP(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0);
  MAP(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100 * PAGE);
  int wo = NEED(open("f", O_WRONLY));
  MAP(NULL, PAGE, PROT_WRITE, MAP_SHARED, wo, 0);
  int dir = NEED(open(".", O_RDONLY));
  MAP(NULL, PAGE, PROT_READ, MAP_PRIVATE, dir, 0);
  int fds[2];
  NEED(pipe(fds));
  MAP(NULL, PAGE, PROT_READ, MAP_PRIVATE, fds[0], 0);
  int path = NEED(open("f", O_PATH));
  MAP(NULL, PAGE, PROT_READ, MAP_PRIVATE, path, 0);
  char *ro = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
  TRY(mprotect(ro, PAGE, RW));
  char *cow = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
  TRY(mprotect(cow, PAGE, RW));
  /* between processes */
  pid_t child = NEED(fork());
  if (child == 0) {
    shared[10] = 'K', private[10] = 'L';
    _exit(0);
  }
  reap("child", child);
  say("%c %c", shared[10], private[10] == 'a' || private[10] == 'K' ? '=' : private[10]);
  /* a file that grows under its mapping */
  int g = NEED(open("g", O_CREAT | O_RDWR, 0600));
  char *grow = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, g, 0);
  NEED(ftruncate(g, 2 * PAGE));
  grow[PAGE] = 'G';
  TRY(pread(g, buffer, 1, PAGE));
  say("%c", buffer[0]);
  TRY(unlink("g"));
  grow[0] = 'H';
  TRY(pread(g, buffer, 1, 0));
  say("%c", buffer[0]);
  /* an executed file keeps its content: ETXTBSY */
  char self[PATH_MAX] = {0};
  NEED(readlink("/proc/self/exe", self, sizeof self - 1));
  TRY(open(self, O_WRONLY));
  int mem = NEED(memfd_create("m", MFD_CLOEXEC));
  TRY(ftruncate(mem, PAGE));
  char *m1 = mmap(NULL, PAGE, RW, MAP_SHARED, mem, 0), *m2 = mmap(NULL, PAGE, RW, MAP_SHARED, mem, 0);
  m1[7] = 'M';
  say("memfd: %c", m2[7]);
  return 0;
}
