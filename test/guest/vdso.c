/* The vdso(7): found by the auxiliary vector, named and versioned as C libraries want it, telling the same time as the
 * system calls. */
#include "guest.h"
#include <elf.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>

static const char *image;

struct object {
  const Elf64_Sym *symbols;
  const char *strings;
  const uint16_t *versions;
  const Elf64_Verdef *definitions;
  uint32_t count;
};

static struct object parse(void) {
  const Elf64_Ehdr *header = (const void *)image;
  const Elf64_Phdr *segments = (const void *)(image + header->e_phoff);
  const Elf64_Dyn *dynamic = NULL;
  struct object object = {0};
  for (int i = 0; i < header->e_phnum; i++)
    if (segments[i].p_type == PT_DYNAMIC) dynamic = (const void *)(image + segments[i].p_offset);
  for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
    const void *at = image + dynamic->d_un.d_ptr;
    if (dynamic->d_tag == DT_SYMTAB) object.symbols = at;
    if (dynamic->d_tag == DT_STRTAB) object.strings = at;
    if (dynamic->d_tag == DT_VERSYM) object.versions = at;
    if (dynamic->d_tag == DT_VERDEF) object.definitions = at;
    if (dynamic->d_tag == DT_HASH) object.count = ((const uint32_t *)at)[1];
  }
  return object;
}

static const char *version_of(struct object object, uint32_t symbol) {
  const Elf64_Verdef *definition = object.definitions;
  if (!definition) return "none";
  for (;;) {
    if ((definition->vd_ndx & 0x7fff) == (object.versions[symbol] & 0x7fff))
      return object.strings + ((const Elf64_Verdaux *)((const char *)definition + definition->vd_aux))->vda_name;
    if (definition->vd_next == 0) return "unknown";
    definition = (const void *)((const char *)definition + definition->vd_next);
  }
}

static void *find(const char *name) {
  struct object object = parse();
  for (uint32_t i = 0; i < object.count; i++)
    if (strcmp(object.strings + object.symbols[i].st_name, name) == 0) {
      say("%s@%s, a function: %d", name, version_of(object, i), ELF64_ST_TYPE(object.symbols[i].st_info) == STT_FUNC);
      return (void *)(image + object.symbols[i].st_value);
    }
  say("%s: none", name);
  _exit(1);
}

static int64_t nanos(struct timespec at) { return at.tv_sec * 1000000000 + at.tv_nsec; }

static int (*vdso_gettime)(clockid_t, struct timespec *);

static int64_t by_vdso(clockid_t clock) {
  struct timespec at;
  return vdso_gettime(clock, &at) == 0 ? nanos(at) : -1;
}

static int64_t by_call(clockid_t clock) {
  struct timespec at;
  return syscall(SYS_clock_gettime, clock, &at) == 0 ? nanos(at) : -1;
}

/* Whichever way one asks, time does not go back. */
static bool is_one_time(clockid_t clock) {
  int64_t last = 0;
  for (int i = 0; i < 300; i++) {
    int64_t vdso = by_vdso(clock), call = by_call(clock);
    if (vdso < last || call < vdso) return false;
    last = call;
  }
  return true;
}

static void check_times(const char *when) {
  say("%s", when);
  IS(is_one_time(CLOCK_MONOTONIC));
  IS(is_one_time(CLOCK_REALTIME));
  IS(is_one_time(CLOCK_BOOTTIME));
}

int main(void) {
  image = (const char *)getauxval(AT_SYSINFO_EHDR);
  IS(image != NULL && memcmp(image, ELFMAG, SELFMAG) == 0);
  vdso_gettime = (int (*)(clockid_t, struct timespec *))find("__vdso_clock_gettime");
  IS((void *)vdso_gettime == find("clock_gettime"));
  int (*getres)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))find("__vdso_clock_getres");
  int (*of_day)(struct timeval *, struct timezone *) = (int (*)(struct timeval *, struct timezone *))find("__vdso_gettimeofday");
  time_t (*vdso_time)(time_t *) = (time_t(*)(time_t *))find("__vdso_time");
  long (*vdso_getcpu)(unsigned *, unsigned *, void *) = (long (*)(unsigned *, unsigned *, void *))find("__vdso_getcpu");

  check_times("at once");
  sleep_ms(50);
  check_times("soon");
  sleep_ms(1500);
  check_times("later");
  int64_t late = 0;
  for (int i = 0; i < 20; i++) {
    int64_t before = by_call(CLOCK_MONOTONIC), vdso = by_vdso(CLOCK_MONOTONIC);
    late += vdso - before < 1000000;
  }
  IS(late > 10); // but for pauses of the machine they show the same
  struct timespec at;
  for (int clock = -1; clock < 13; clock++)
    say("clock %d: %d, resolution %d", clock, vdso_gettime(clock, &at), getres(clock, NULL));
  for (int clock = 0; clock < 8; clock++) {
    struct timespec vdso = {0}, call = {0};
    getres(clock, &vdso);
    syscall(SYS_clock_getres, clock, &call);
    IS(nanos(vdso) == nanos(call));
  }
  IS(by_vdso(CLOCK_REALTIME_COARSE) <= by_vdso(CLOCK_REALTIME));
  IS(by_vdso(CLOCK_MONOTONIC_COARSE) <= by_vdso(CLOCK_MONOTONIC));
  IS(by_vdso(CLOCK_MONOTONIC) - by_vdso(CLOCK_MONOTONIC_COARSE) < 1000000000);

  struct timeval tv;
  struct timezone zone = {7, 7};
  say("gettimeofday: %d, %d", of_day(&tv, &zone), of_day(NULL, NULL));
  say("zone %d %d", zone.tz_minuteswest, zone.tz_dsttime);
  IS(by_call(CLOCK_REALTIME) / 1000 >= tv.tv_sec * 1000000 + tv.tv_usec);
  time_t stored, now = vdso_time(&stored);
  IS(now == stored && time(NULL) - now <= 1);

  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(1, &set);
  unsigned cpu = 9, node = 9;
  say("getcpu: %ld", vdso_getcpu(&cpu, &node, NULL));
  IS(cpu < 1024);
  say("node %u", node);
  if (sched_setaffinity(0, sizeof set, &set) == 0) {
    vdso_getcpu(&cpu, NULL, NULL);
    say("on %u", cpu);
  } else say("on 1");

  // where it is, and that nobody can change the page below it
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[512], permissions[8];
  uintptr_t start, page = 0;
  while (fgets(line, sizeof line, maps)) {
    if (sscanf(line, "%lx-%*x %7s", &start, permissions) != 2) continue;
    if (strstr(line, "[vdso]")) say("[vdso] %s, there: %d", permissions, start == (uintptr_t)image);
    if (strstr(line, "[vvar]")) page = start, say("[vvar] %s", permissions);
  }
  fclose(maps);
  TRY(mprotect((void *)page, 4096, PROT_READ | PROT_WRITE));

  pid_t child = NEED(fork());
  if (child == 0) {
    check_times("in a child");
    TRY(prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
    signal(SIGSEGV, SIG_DFL);
    __builtin_ia32_rdtsc();
    _exit(0);
  }
  reap("child", child);
  IS(__builtin_ia32_rdtsc() <= __builtin_ia32_rdtsc());
  return 0;
}
