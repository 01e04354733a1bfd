/* /proc/self/maps agrees with what was mapped. */
#include "guest.h"
#include <sys/mman.h>

struct found {
  int lines;
  unsigned long start, end, offset;
  char permissions[8], path[PATH_MAX];
};

/* The line that contains `address`. */
static struct found find(const void *address) {
  struct found f = {0};
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[PATH_MAX + 100];
  while (fgets(line, sizeof line, maps) != NULL) {
    unsigned long start, end, offset;
    char permissions[8], path[PATH_MAX] = "";
    if (sscanf(line, "%lx-%lx %7s %lx %*s %*d %[^\n]", &start, &end, permissions, &offset, path) < 4) say("bad line: %s", line);
    f.lines++;
    if ((unsigned long)address >= start && (unsigned long)address < end) {
      f.start = start, f.end = end, f.offset = offset;
      strcpy(f.permissions, permissions), strcpy(f.path, path);
    }
  }
  fclose(maps);
  return f;
}

static int global = 1;
static const char *base(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

static void show(const char *name, const void *address, const void *from) {
  struct found f = find(address);
  if (f.end == 0) say("%s: not there", name);
  else
    say("%s: %s %s%s%s", name, f.permissions, f.path[0] == '[' ? f.path : base(f.path), from != NULL ? " " : "",
        from == NULL ? "" : f.start == (unsigned long)from ? "begins there" : "begins elsewhere");
}

int main(void) {
  int local;
  show("main", (void *)main, NULL);
  show("global", &global, NULL);
  show("constant", "constant", NULL);
  show("stack", &local, NULL);
  show("heap", sbrk(4096), NULL);
  show("printf", (void *)write, NULL);
  char *area = mmap(NULL, 16 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *p = mmap(area + 4 * 4096, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  show("anonymous", p, p);
  struct found f = find(p);
  INT((f.end - f.start) / 4096);
  mprotect(p + 4096, 4096, PROT_READ | PROT_EXEC);
  show("changed", p + 4096, p + 4096);
  show("before", p, p);
  show("after", p + 2 * 4096, p + 2 * 4096);
  mprotect(p + 4096, 4096, PROT_READ | PROT_WRITE);
  f = find(p);
  INT((f.end - f.start) / 4096);
  munmap(p + 4096, 4096);
  show("hole", p + 4096, NULL);
  mmap(p + 4096, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  f = find(p);
  say("merged: %ld", (long)(f.end - f.start) / 4096);
  scratch();
  put("mapped file", "x");
  int fd = NEED(open("mapped file", O_RDWR));
  NEED(ftruncate(fd, 4 * 4096));
  char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 8192);
  show("shared file", m, m);
  INT(find(m).offset);
  unlink("mapped file");
  show("unlinked", m, m);
  return 0;
}
