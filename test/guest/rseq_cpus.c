/*
 * On which CPU rseq(2) says that a thread runs: it follows the affinity mask, whoever sets that, and everybody else says
 * the same. membarrier(2) aborts the sections of other threads.
 */
#include "rseq.h"
#include <linux/membarrier.h>
#include <pthread.h>

#ifndef MEMBARRIER_CMD_FLAG_CPU
#define MEMBARRIER_CMD_FLAG_CPU 1
#endif
#define RSEQ MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ
#define REGISTER_RSEQ MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ

static int membarrier(int command, unsigned flags, int cpu) { return syscall(SYS_membarrier, command, flags, cpu); }

static uint32_t now(const struct area *area) { return *(const volatile uint32_t *)&area->cpu_id; }

static int stat_processor(void) {
  char text[1024], *at = text;
  int fd = NEED(open("/proc/thread-self/stat", O_RDONLY));
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  text[length < 0 ? 0 : length] = 0;
  at = strrchr(text, ')') + 1;
  for (int field = 2; field < 38; field++) at = strchr(at + 1, ' ');
  return atoi(at + 1);
}

static void bind_to(pid_t tid, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  NEED(sched_setaffinity(tid, sizeof set, &set));
}

static void follow(const char *name, const cpu_set_t *allowed, struct area *area) {
  int cpus = 0, agreed = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, allowed)) continue;
    unsigned called = -1;
    bind_to(0, cpu);
    cpus++;
    NEED(syscall(SYS_getcpu, &called, NULL, NULL));
    if (now(area) == (uint32_t)cpu && area->cpu_id_start == (uint32_t)cpu && sched_getcpu() == cpu &&
        called == (unsigned)cpu && stat_processor() == cpu && area->node_id == 0)
      agreed++;
    else say("%d: %u %u %d %u %d", cpu, now(area), area->cpu_id_start, sched_getcpu(), called, stat_processor());
  }
  say("%s: %s", name, cpus == agreed ? "agreed" : "not agreed");
  NEED(sched_setaffinity(0, sizeof *allowed, allowed));
}

static volatile struct area *there;
static volatile pid_t tid;
static volatile int stop;

static void *watched(void *unused) {
  there = library_area();
  tid = gettid();
  while (!stop) __builtin_ia32_pause();
  return unused;
}

/* Another thread, which makes no call, is moved. */
static void move_other(const cpu_set_t *allowed) {
  pthread_t thread;
  NEED(-pthread_create(&thread, NULL, watched, NULL));
  while (tid == 0) sched_yield();
  int moved = 0, cpus = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, allowed)) continue;
    bind_to(tid, cpu);
    cpus++;
    for (int64_t end = now_ms() + 5000; there->cpu_id != (uint32_t)cpu && now_ms() < end;) sched_yield();
    if (there->cpu_id == (uint32_t)cpu) moved++;
  }
  say("another thread: %s", moved == cpus ? "moved" : "not moved");
  stop = 1;
  pthread_join(thread, NULL);
}

static volatile long begun, aborted;
static volatile int enough;
static volatile uint32_t runs_on = -1;

static void *sections(void *unused) {
  static struct section descriptor;
  struct area *area = library_area();
  descriptor = plain_section();
  while (!enough) {
    begun++;
    runs_on = now(area);
    aborted += run_section(area, &descriptor, &enough, UINT64_MAX);
  }
  return unused;
}

static void barrier(void) {
  int offered = RSEQ | REGISTER_RSEQ;
  IS((membarrier(MEMBARRIER_CMD_QUERY, 0, 0) & offered) == offered);
  TRY(membarrier(RSEQ, 0, 0));
  TRY(membarrier(REGISTER_RSEQ, 1, 0));
  TRY(membarrier(REGISTER_RSEQ, 0, 0));
  TRY(membarrier(512, 0, 0)); /* which ones it is registered for */
  TRY(membarrier(RSEQ, 2, 0));
  TRY(membarrier(RSEQ, 3, 0));
  TRY(membarrier(RSEQ, 0, 0));
  TRY(membarrier(RSEQ, 0, 1 << 20));
  TRY(membarrier(RSEQ, MEMBARRIER_CMD_FLAG_CPU, 0));
  TRY(membarrier(RSEQ, MEMBARRIER_CMD_FLAG_CPU, 1 << 20));
  TRY(membarrier(RSEQ, MEMBARRIER_CMD_FLAG_CPU, -1));
  TRY(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_FLAG_CPU, 0));
  pthread_t thread;
  NEED(-pthread_create(&thread, NULL, sections, NULL));
  int seen = 0;
  for (int i = 0; i < 100; i++) {
    long before = begun;
    for (int64_t end = now_ms() + 5000; begun == before && i == 0 && now_ms() < end;) sched_yield();
    before = begun;
    membarrier(RSEQ, i % 2, runs_on);
    for (int64_t end = now_ms() + 1000; begun == before && now_ms() < end;) {
      if (i % 2) membarrier(RSEQ, 1, runs_on); /* it may have moved */
      sched_yield();
    }
    seen += begun != before;
  }
  enough = 1;
  pthread_join(thread, NULL);
  say("sections aborted by others: %d", seen);
  IS(aborted >= seen);
}

int main(void) {
  cpu_set_t allowed;
  NEED(sched_getaffinity(0, sizeof allowed, &allowed));
  follow("the library's area", &allowed, library_area());
  move_other(&allowed);
  barrier();
  unregister_library();
  static struct area area;
  NEED(rseq(&area, 32, 0, SIGNATURE));
  follow("one of our own", &allowed, &area);
  return 0;
}
