/* rseq(2): registering, unregistering, every error; who inherits a registration; what the auxiliary vector says. */
#include "rseq.h"
#include <linux/auxvec.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>

static struct area area, other;
static char bytes[256] __attribute__((aligned(64)));

static void show(const char *name, const struct area *at) {
  say("%s: cpu_id %s, same %d, rseq_cs %lx, flags %u, node %u, cid %s", name,
      at->cpu_id == (uint32_t)-1 ? "uninitialized" : at->cpu_id < 4096 ? "a cpu" : "?",
      at->cpu_id_start == at->cpu_id, (unsigned long)at->rseq_cs, at->flags, at->node_id,
      at->mm_cid < 4096 ? "small" : "?");
}

static void errors(void) {
  char *memory = NEED(mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  NEED(mprotect(memory + 4096, 4096, PROT_READ));
  NEED(munmap(memory + 2 * 4096, 4096));
  TRY(rseq(&area, 32, UNREGISTER, SIGNATURE));
  TRY(rseq(NULL, 32, UNREGISTER, SIGNATURE));
  TRY(rseq(&area, 32, 2, SIGNATURE));
  TRY(rseq(&area, 32, 3, SIGNATURE));
  TRY(rseq(&area, 32, -1, SIGNATURE));
  TRY(rseq(&area, 0, 0, SIGNATURE));
  TRY(rseq(&area, 20, 0, SIGNATURE));
  TRY(rseq(&area, 28, 0, SIGNATURE));
  TRY(rseq(&area, 31, 0, SIGNATURE));
  TRY(rseq(bytes + 4, 32, 0, SIGNATURE));
  TRY(rseq(bytes + 16, 32, 0, SIGNATURE));
  TRY(rseq(bytes + 16, 64, 0, SIGNATURE));
  TRY(rseq(NULL, 32, 0, SIGNATURE));
  TRY(rseq((void *)(1UL << 47), 32, 0, SIGNATURE));
  TRY(rseq((void *)-32L, 32, 0, SIGNATURE));
  TRY(rseq((void *)((1UL << 47) - 4096 - 32), 64, 0, SIGNATURE));
  TRY(rseq(memory + 2 * 4096, 32, 0, SIGNATURE));
  pid_t pid = NEED(fork());
  if (pid == 0) {
    TRY(rseq(memory + 4096, 32, 0, SIGNATURE)); /* is accepted, but on the way back nothing can be written */
    _exit(0);
  }
  reap("read-only", pid);
  memory[8] = 1;
  NEED(mprotect(memory, 4096, PROT_READ));
  TRY(rseq(memory, 32, 0, SIGNATURE));
}

static void register_sizes(void) {
  static const uint32_t sizes[] = {32, 33, 40, 64, 128, 4096};
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    say("size %u", sizes[i]);
    TRY(rseq(bytes, sizes[i], 0, SIGNATURE));
    TRY(rseq(bytes, sizes[i], UNREGISTER, SIGNATURE));
  }
}

static void again(void) {
  area.rseq_cs = 0x1234;
  TRY(rseq(&area, 32, 0, 17));
  show("registered", &area);
  IS(area.cpu_id == (uint32_t)sched_getcpu());
  TRY(rseq(&area, 32, 0, 17));
  TRY(rseq(&area, 32, 0, 18));
  TRY(rseq(&area, 64, 0, 17));
  TRY(rseq(&area, 64, 0, 18));
  TRY(rseq(&other, 32, 0, 17));
  TRY(rseq(&area, 32, 1 << 5, 17));
  TRY(rseq(&area, 32, UNREGISTER, 18));
  TRY(rseq(&area, 64, UNREGISTER, 17));
  TRY(rseq(&other, 32, UNREGISTER, 17));
  TRY(rseq(NULL, 32, UNREGISTER, 17));
  TRY(rseq(&area, 32, UNREGISTER | 2, 17));
  area.flags = 0;
  TRY(rseq(&area, 32, UNREGISTER, 17));
  show("unregistered", &area);
  say("start %d", (int)area.cpu_id_start);
  TRY(rseq(&area, 32, UNREGISTER, 17));
  TRY(rseq(&other, 32, 0, 17));
  TRY(rseq(&other, 32, UNREGISTER, 17));
}

static void *thread(void *unused) {
  unregister_library();
  static struct area mine;
  TRY(rseq(&mine, 32, UNREGISTER, SIGNATURE)); /* its parent's is not its own */
  TRY(rseq(&mine, 32, 0, SIGNATURE));
  IS(mine.cpu_id == (uint32_t)sched_getcpu());
  return unused;
}

static void inheritance(char *self) {
  NEED(rseq(&area, 32, 0, SIGNATURE));
  pid_t pid = NEED(fork());
  if (pid == 0) {
    show("forked", &area);
    TRY(rseq(&area, 32, 0, SIGNATURE));
    TRY(rseq(&other, 32, 0, SIGNATURE));
    TRY(rseq(&area, 32, UNREGISTER, SIGNATURE));
    TRY(rseq(&other, 32, 0, SIGNATURE));
    _exit(0);
  }
  reap("fork", pid);
  pid = NEED(vfork());
  if (pid == 0) {
    TRY(rseq(&area, 32, UNREGISTER, SIGNATURE)); /* shares the memory: has none */
    _exit(0);
  }
  reap("vfork", pid);
  TRY(rseq(&area, 32, 0, SIGNATURE));
  pthread_t id;
  NEED(-pthread_create(&id, NULL, thread, NULL));
  pthread_join(id, NULL);
  TRY(rseq(&area, 32, 0, SIGNATURE));
  fflush(stdout);
  NEED(execl("/proc/self/exe", self, "again", NULL));
}

int main(int argc, char **argv) {
  if (argc > 1) {
    say("after execve");
    IS(__rseq_size >= 20);
    unregister_library();
    TRY(rseq(&area, 32, UNREGISTER, SIGNATURE));
    TRY(rseq(&area, 32, 0, SIGNATURE));
    return 0;
  }
  IS(getauxval(27) >= 20); /* not everything that the host has */
  say("alignment %lu", getauxval(28));
  IS(__rseq_size >= 20);
  show("the library's", library_area());
  IS(library_area()->cpu_id == (uint32_t)sched_getcpu());
  unregister_library();
  errors();
  register_sizes();
  again();
  inheritance(argv[0]);
}
