/* Policies of where memory comes from, on a machine with one node: set_mempolicy(2), get_mempolicy(2), mbind(2),
 * migrate_pages(2), move_pages(2), set_mempolicy_home_node(2). */
#include "guest.h"
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450
#endif

static unsigned long nodes[20000];
static char *memory;

/* A mask with one word. */
static unsigned long *mask(unsigned long word) {
  memset(nodes, 0, 512);
  nodes[0] = word;
  return nodes;
}

static long set(int mode, unsigned long word, long maxnode) { return syscall(SYS_set_mempolicy, mode, mask(word), maxnode); }

static void show(void *address, int flags) {
  int mode = -7;
  unsigned long got[16];
  memset(got, 0xff, sizeof got);
  long result = syscall(SYS_get_mempolicy, &mode, got, 64, address, flags);
  if (result < 0) say("  get %d: %s", flags, errname(errno));
  else say("  get %d: mode %x, nodes %lx, next %lx", flags, mode, got[0], got[1]);
}

static void policies(void) {
  static const int flags[] = {0, MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES, MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES,
                              1 << 13};
  static const unsigned long words[] = {0, 1, 2, 3};
  for (int mode = -1; mode <= 8; mode++)
    for (unsigned f = 0; f < sizeof flags / sizeof *flags; f++)
      for (unsigned w = 0; w < 4; w++) {
        long result = set(mode | flags[f], words[w], 64);
        say("mode %d flags %x nodes %lx: %s", mode, flags[f], words[w], result == 0 ? "ok" : errname(errno));
        if (result == 0) {
          show(NULL, 0);
          show(NULL, MPOL_F_NODE);
        }
      }
}

static void masks(void) {
  for (int maxnode = 0; maxnode < 4; maxnode++) say("maxnode %d: %ld", maxnode, set(MPOL_BIND, 3, maxnode));
  TRY(set(MPOL_BIND, 1, 1024));
  TRY(set(MPOL_BIND, 1, 32768));
  TRY(set(MPOL_BIND, 1, 32769));
  TRY(set(MPOL_BIND, 1, 32770));
  TRY(set(MPOL_BIND, 1, -1));
  nodes[16] = 1;
  TRY(syscall(SYS_set_mempolicy, MPOL_BIND, nodes, 1200));
  nodes[16] = 0;
  nodes[1] = 1;
  TRY(syscall(SYS_set_mempolicy, MPOL_BIND, nodes, 200));
  TRY(syscall(SYS_set_mempolicy, MPOL_BIND, (void *)8, 64));
  TRY(syscall(SYS_set_mempolicy, MPOL_BIND, NULL, 64));
  TRY(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
  int mode;
  TRY(syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0));
  TRY(syscall(SYS_get_mempolicy, &mode, nodes, 0, NULL, 0));
  TRY(syscall(SYS_get_mempolicy, (void *)8, NULL, 0, NULL, 0));
  TRY(syscall(SYS_get_mempolicy, NULL, (void *)8, 64, NULL, 0));
  memset(nodes, 0xff, 256);
  TRY(syscall(SYS_get_mempolicy, NULL, nodes, 700, NULL, MPOL_F_MEMS_ALLOWED));
  say("%lx %lx %lx %lx", nodes[0], nodes[1], nodes[10], nodes[11]);
  TRY(syscall(SYS_get_mempolicy, NULL, nodes, 64, NULL, MPOL_F_MEMS_ALLOWED | MPOL_F_ADDR));
  TRY(syscall(SYS_get_mempolicy, NULL, nodes, 64, NULL, 8));
  TRY(syscall(SYS_get_mempolicy, &mode, NULL, 0, &mode, 0));
  TRY(syscall(SYS_get_mempolicy, &mode, NULL, 0, (void *)8, MPOL_F_ADDR));
}

static long bind(int mode, unsigned long word, long offset, long length, int flags) {
  return syscall(SYS_mbind, memory + offset, length, mode, mask(word), 64, flags);
}

static void ranges(void) {
  memory = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(memory, 1, 8 * 4096);
  munmap(memory + 6 * 4096, 4096);
  show(memory, MPOL_F_ADDR);
  show(memory, MPOL_F_ADDR | MPOL_F_NODE);
  TRY(bind(MPOL_BIND, 1, 0, 4096, 0));
  show(memory, MPOL_F_ADDR);
  show(memory + 4096, MPOL_F_ADDR);
  TRY(bind(MPOL_INTERLEAVE, 1, 4096, 1, MPOL_MF_MOVE | MPOL_MF_STRICT));
  show(memory + 4096, MPOL_F_ADDR);
  show(memory + 8192, MPOL_F_ADDR);
  TRY(bind(MPOL_BIND, 1, 0, 8 * 4096, 0));
  TRY(bind(MPOL_BIND, 1, 6 * 4096, 4096, 0));
  TRY(bind(MPOL_BIND, 1, 1, 4096, 0));
  TRY(bind(MPOL_BIND, 1, 0, 0, 0));
  TRY(bind(MPOL_BIND, 2, 0, 4096, 0));
  TRY(bind(MPOL_BIND, 1, 0, -4096, 0));
  TRY(bind(MPOL_BIND, 1, 0, -1, 0));
  TRY(bind(MPOL_BIND, 1, 0, 4096, 32));
  TRY(bind(MPOL_DEFAULT, 0, 0, 8192, 0));
  show(memory, MPOL_F_ADDR);
  TRY(bind(MPOL_DEFAULT, 1, 0, 8192, 0));
  TRY(bind(MPOL_PREFERRED, 0, 0, 8192, 0));
  show(memory, MPOL_F_ADDR);
  TRY(syscall(SYS_set_mempolicy_home_node, memory, 8192, 0, 0));
  TRY(bind(MPOL_BIND, 1, 0, 8192, 0));
  TRY(syscall(SYS_set_mempolicy_home_node, memory, 8192, 0, 0));
  TRY(syscall(SYS_set_mempolicy_home_node, memory, 8192, 1, 0));
  TRY(syscall(SYS_set_mempolicy_home_node, memory, 8192, 0, 1));
  TRY(syscall(SYS_set_mempolicy_home_node, memory + 1, 8192, 0, 0));
  TRY(syscall(SYS_set_mempolicy_home_node, memory + 7 * 4096, 4096, 0, 0));
  TRY(syscall(SYS_set_mempolicy_home_node, memory, 0, 0, 0));
}

static void pages(void) {
  void *list[3] = {memory, memory + 5 * 4096 + 7, memory + 6 * 4096};
  int wanted[3] = {0, 0, 0}, status[3] = {99, 99, 99};
  TRY(syscall(SYS_move_pages, 0, 3, list, NULL, status, MPOL_MF_MOVE));
  say("%d %d %d", status[0], status[1], status[2]);
  TRY(syscall(SYS_move_pages, 0, 2, list, wanted, status, MPOL_MF_MOVE));
  say("%d %d", status[0], status[1]);
  wanted[0] = 1;
  TRY(syscall(SYS_move_pages, 0, 2, list, wanted, status, MPOL_MF_MOVE));
  wanted[0] = -1;
  TRY(syscall(SYS_move_pages, 0, 2, list, wanted, status, MPOL_MF_MOVE));
  TRY(syscall(SYS_move_pages, 0, 3, list, NULL, status, 1));
  TRY(syscall(SYS_move_pages, 0, 3, (void *)8, NULL, status, 0));
  TRY(syscall(SYS_move_pages, 0, 3, list, NULL, (void *)8, 0));
  TRY(syscall(SYS_move_pages, 999999, 3, list, NULL, status, 0));
  TRY(syscall(SYS_migrate_pages, 0, 64, mask(1), nodes));
  TRY(syscall(SYS_migrate_pages, 0, 64, mask(0), nodes));
  TRY(syscall(SYS_migrate_pages, 999999, 64, mask(1), nodes));
  TRY(syscall(SYS_migrate_pages, 0, 64, (void *)8, nodes));
}

int main(void) {
  policies();
  masks();
  ranges();
  pages();
  NEED(set(MPOL_BIND, 1, 64) + 1);
  pid_t child = NEED(fork());
  if (child == 0) {
    show(NULL, 0);
    show(memory, MPOL_F_ADDR);
    _exit(0);
  }
  reap("child", child);
  return 0;
}
