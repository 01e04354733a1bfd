/* What madvise(2) leaves behind in lists of memory: where areas are split, and their VmFlags in proc_pid_smaps(5). */
#include "guest.h"
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 6 };

/* The areas of `PAGES` pages from `base` on, with the flags that advice sets. */
static void list(const char *what, const char *base) {
  char line[512];
  FILE *smaps = fopen("/proc/self/smaps", "r");
  unsigned long start = (unsigned long)base, from = 0, to = 0;
  say("%s:", what);
  while (fgets(line, sizeof line, smaps)) {
    unsigned long first, last;
    if (sscanf(line, "%lx-%lx ", &first, &last) == 2) from = first, to = last;
    if (to <= start || from >= start + PAGES * PAGE || strncmp(line, "VmFlags:", 8) != 0) continue;
    char flags[128] = "";
    for (char *word = strtok(line + 8, " \n"); word; word = strtok(NULL, " \n"))
      if (strstr("sr rr dc wf dd hg nh mg", word)) strcat(strcat(flags, " "), word);
    long end = (long)(to - start) / PAGE; /* it may be one with what is behind */
    say("  %ld-%ld%s", from < start ? 0 : (long)(from - start) / PAGE, end > PAGES ? PAGES : end, flags);
  }
  fclose(smaps);
}

static void advise_each(const char *what, int flags) {
  static const struct {
    const char *name;
    int advice;
  } all[] = {{"random", MADV_RANDOM},         {"sequential", MADV_SEQUENTIAL}, {"normal", MADV_NORMAL},     {"willneed", MADV_WILLNEED},
             {"mergeable", MADV_MERGEABLE},   {"unmergeable", MADV_UNMERGEABLE}, {"hugepage", MADV_HUGEPAGE}, {"nohugepage", MADV_NOHUGEPAGE},
             {"dontfork", MADV_DONTFORK},     {"dontdump", MADV_DONTDUMP}};
  /* holes around it, so that it is an area of its own */
  char *room = NEED(mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  NEED(munmap(room, (PAGES + 2) * PAGE));
  char *base = NEED(mmap(room + PAGE, PAGES * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
  say("== %s", what);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    say_result(all[i].name, madvise(base + PAGE, (PAGES - 2) * PAGE, all[i].advice));
    list(all[i].name, base);
  }
  TRY(mremap(base, 2 * PAGE, 3 * PAGE, 0));
  NEED(munmap(base, PAGES * PAGE));
}

int main(void) {
  advise_each("private", MAP_PRIVATE);
  advise_each("shared", MAP_SHARED);
  char *base = NEED(mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  say("== a duplicate in its own place");
  TRY(mremap(base, 0, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, base));
  TRY(mremap(base + PAGE, 0, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, base + PAGE));
  list("what is left", base);
  return 0;
}
