/*
 * rseq(2) under threads, four times as many as CPUs: counters and lists for each CPU that only critical sections protect.
 * Nothing gets lost, and sections have been aborted.
 */
#include "rseq.h"
#include <pthread.h>
#include <stdatomic.h>

#define THREADS 8
#define CPUS 1024
#define ROUNDS 6000
#define DELAY "200"
#define NODES 64

struct node {
  struct node *next;
};

static struct {
  long count;
  struct node *list;
} __attribute__((aligned(128))) cpus[CPUS];

static atomic_long aborts;

/* What every section has: its descriptor, its begin on the CPU that was read, its abort. */
#define BEGIN                                                                                                          \
  ".pushsection __rseq_cs, \"aw\"\n"                                                                                   \
  ".balign 32\n"                                                                                                       \
  "3: .long 0, 0\n"                                                                                                    \
  ".quad 1f, 2f - 1f, 4f\n"                                                                                            \
  ".popsection\n"                                                                                                      \
  "lea 3b(%%rip), %%rax\n"                                                                                             \
  "mov %%rax, 8(%[area])\n"                                                                                            \
  "1: cmp %[cpu], 4(%[area])\n"                                                                                        \
  "jne %l[aborted]\n"
#define END                                                                                                            \
  "2:\n"                                                                                                               \
  ".pushsection __rseq_failure, \"ax\"\n"                                                                              \
  ".byte 0x0f, 0xb9, 0x3d\n"                                                                                           \
  ".long 0x53053053\n"                                                                                                 \
  "4: jmp %l[aborted]\n"                                                                                               \
  ".popsection\n"
/* Long enough to be preempted in. */
#define LINGER "mov $" DELAY ", %%ecx\n5: pause\ndec %%ecx\njnz 5b\n"

static bool add(struct area *area, uint32_t cpu) {
  __asm__ goto(BEGIN "mov (%[at]), %%rdx\n" LINGER "inc %%rdx\n"
                     "mov %%rdx, (%[at])\n" END
               :
               : [area] "r"(area), [cpu] "r"(cpu), [at] "r"(&cpus[cpu].count)
               : "memory", "cc", "rax", "rcx", "rdx"
               : aborted);
  return true;
aborted:
  return false;
}

static bool push(struct area *area, uint32_t cpu, struct node *node) {
  __asm__ goto(BEGIN "mov (%[at]), %%rdx\n"
                     "mov %%rdx, (%[node])\n" LINGER "mov %[node], (%[at])\n" END
               :
               : [area] "r"(area), [cpu] "r"(cpu), [at] "r"(&cpus[cpu].list), [node] "r"(node)
               : "memory", "cc", "rax", "rcx", "rdx"
               : aborted);
  return true;
aborted:
  return false;
}

static bool pop(struct area *area, uint32_t cpu, struct node **node) {
  struct node *taken = NULL;
  __asm__ goto(BEGIN "mov (%[at]), %%rdx\n"
                     "mov %%rdx, (%[taken])\n"
                     "test %%rdx, %%rdx\n"
                     "jz 2f\n" LINGER "mov (%%rdx), %%rdx\n"
                     "mov %%rdx, (%[at])\n" END
               :
               : [area] "r"(area), [cpu] "r"(cpu), [at] "r"(&cpus[cpu].list), [taken] "r"(&taken)
               : "memory", "cc", "rax", "rcx", "rdx"
               : aborted);
  *node = taken;
  return true;
aborted:
  return false;
}

static uint32_t start(const struct area *area) { return *(const volatile uint32_t *)&area->cpu_id_start; }

#define UNTIL(section)                                                                                                 \
  while (!(section)) aborts++

static void *count_up(void *yields) {
  struct area *area = library_area();
  for (int i = 0; i < ROUNDS; i++) {
    UNTIL(add(area, start(area)));
    if (yields != NULL && i % 16 == 0) sched_yield();
  }
  return NULL;
}

static void *shuffle(void *yields) {
  struct area *area = library_area();
  for (int i = 0; i < ROUNDS / 2; i++) {
    struct node *node;
    UNTIL(pop(area, start(area), &node));
    if (yields != NULL && i % 16 == 0) sched_yield();
    if (node != NULL) UNTIL(push(area, start(area), node));
  }
  return NULL;
}

static void with_threads(void *(*body)(void *), void *argument) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) NEED(-pthread_create(&threads[i], NULL, body, argument));
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void counters(void *yields) {
  memset(cpus, 0, sizeof cpus);
  aborts = 0;
  with_threads(count_up, yields);
  long sum = 0;
  for (int i = 0; i < CPUS; i++) sum += cpus[i].count;
  say("%s: %ld of %d", yields ? "yielding" : "without a call", sum, THREADS * ROUNDS);
  if (yields == NULL) IS(aborts > 0);
}

static void lists(void *yields) {
  static struct node nodes[NODES];
  memset(cpus, 0, sizeof cpus);
  struct area *area = library_area();
  for (int i = 0; i < NODES; i++) UNTIL(push(area, start(area), &nodes[i]));
  with_threads(shuffle, yields);
  int left = 0;
  bool seen[NODES] = {0};
  for (int i = 0; i < CPUS; i++)
    for (struct node *node = cpus[i].list; node != NULL; node = node->next, left++) {
      if (left > NODES || seen[node - nodes]) {
        say("a list has been torn");
        return;
      }
      seen[node - nodes] = true;
    }
  say("%d nodes of %d", left, NODES);
}

int main(void) {
  /* no more CPUs than will be waited for */
  cpu_set_t allowed, two;
  CPU_ZERO(&two);
  NEED(sched_getaffinity(0, sizeof allowed, &allowed));
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&two) < 2; cpu++)
    if (CPU_ISSET(cpu, &allowed)) CPU_SET(cpu, &two);
  NEED(sched_setaffinity(0, sizeof two, &two));
  static int yields;
  counters(NULL);
  counters(&yields);
  lists(NULL);
  lists(&yields);
  return 0;
}
