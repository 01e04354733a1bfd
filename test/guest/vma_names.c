#include "guest.h"
#include <linux/prctl.h>
#include <sys/mman.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

/*
 * Names for memory. Linux has them only if it was built so (CONFIG_ANON_VMA_NAME): the program says itself what is
 * wrong, and nothing where there are none.
 */
static int result(void *address, long size, const char *name) {
  return syscall(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, address, size, name) == 0 ? 0 : errno;
}

static void expect(int line, int got, int wanted) {
  if (got != wanted) say("line %d: %s, not %s", line, errname(got), errname(wanted));
}
#define NAMED(address, size, name, wanted) expect(__LINE__, result(address, size, name), wanted)

static void shows(int line, void *address, const char *wanted) {
  char start[32], text[512], *got = "nothing";
  snprintf(start, sizeof start, "%lx-", (long)address);
  FILE *maps = fopen("/proc/self/maps", "r");
  while (fgets(text, sizeof text, maps))
    if (strncmp(text, start, strlen(start)) == 0) {
      text[strlen(text) - 1] = 0;
      got = strchr(text, '[');
      if (got == NULL) got = "";
      break;
    }
  fclose(maps);
  if (strcmp(got, wanted) != 0) say("line %d: %s, not %s", line, got, wanted);
}
#define SHOWS(address, wanted) shows(__LINE__, address, wanted)

int main(void) {
  char *area = mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(area, 4096);
  munmap(area + 4 * 4096, 4096);
  area += 4096;
  if (result(area, 4096, "x") == EINVAL) {
    say("done");
    return 0;
  }
  NAMED(area, 3 * 4096, "my memory", 0);
  SHOWS(area, "[anon:my memory]");
  NAMED(area + 4096, 4096, "middle", 0);
  SHOWS(area, "[anon:my memory]");
  SHOWS(area + 4096, "[anon:middle]");
  SHOWS(area + 8192, "[anon:my memory]");
  NAMED(area, 3 * 4096, NULL, 0);
  SHOWS(area, "");
  SHOWS(area + 4096, "nothing");
  NAMED(area + 1, 4096, "x", EINVAL);
  NAMED(area, 0, "x", 0);
  SHOWS(area, "");
  NAMED(area, 4 * 4096, "beyond", ENOMEM);
  SHOWS(area, "[anon:beyond]");
  NAMED(area - 4096, 4096, "absent", ENOMEM);
  NAMED(area, -1, "x", EINVAL);
  NAMED(area, 4096, (char *)1, EFAULT);
  NAMED(area, 4096, "new\nline", EINVAL);
  NAMED(area, 4096, "a\\b", EINVAL);
  NAMED(area, 4096, "a[b", EINVAL);
  NAMED(area, 4096, "a$b", EINVAL);
  NAMED(area, 4096, "\x80", EINVAL);
  char name[100];
  memset(name, 'n', 99);
  name[80] = 0;
  NAMED(area, 4096, name, EINVAL);
  name[79] = 0;
  NAMED(area, 4096, name, 0);
  int fd = NEED(open("/proc/self/exe", O_RDONLY));
  char *file = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
  NAMED(file, 4096, "file", EBADF);
  char *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  NAMED(shared, 4096, "shared", 0);
  SHOWS(shared, "[anon_shmem:shared]");
  NAMED(area, 3 * 4096, "forked", 0);
  pid_t child = NEED(fork());
  if (child == 0) {
    SHOWS(area, "[anon:forked]");
    _exit(0);
  }
  waitpid(child, NULL, 0);
  say("done");
  return 0;
}
