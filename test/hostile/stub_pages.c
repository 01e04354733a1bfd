/* The stub's own pages at the top of user space: nothing changes them, jumping into them is no use. */
#include "hostile.h"

enum { PAGE = 4096 };
static const uint64_t FIRST = 0x7fffffffc000, CODE = 0x7fffffffe000, END = 0x7ffffffff000;

static const char *name_of(long result) { return result < 0 && result > -4096 ? errname((int)-result) : "ok"; }

static void change(uint64_t at) {
  say("page %lu", (at - FIRST) / PAGE);
  say(" munmap %s", name_of(raw(SYS_munmap, (long)at, PAGE, 0, 0, 0, 0)));
  say(" mprotect %s", name_of(raw(SYS_mprotect, (long)at, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, 0, 0, 0)));
  say(" mmap %s", name_of(raw(SYS_mmap, (long)at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
  say(" mmap noreplace %s", name_of(raw(SYS_mmap, (long)at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)));
  say(" madvise %s", name_of(raw(SYS_madvise, (long)at, PAGE, MADV_DONTNEED, 0, 0, 0)));
  say(" mremap away %s", name_of(raw(SYS_mremap, (long)at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 0x10000000, 0)));
  void *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  say(" mremap onto %s", name_of(raw(SYS_mremap, (long)own, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (long)at, 0)));
  say(" read into %s", name_of(raw(SYS_read, open("/dev/zero", O_RDONLY), (long)at, PAGE, 0, 0, 0)));
  say(" write from %s", name_of(raw(SYS_write, open("/tmp", O_TMPFILE | O_RDWR, 0600), (long)at, PAGE, 0, 0, 0)));
  int memory = open("/proc/self/mem", O_RDWR);
  char garbage[16] = {0};
  say(" /proc/self/mem read %s", name_of(raw(SYS_pread64, memory, (long)garbage, 16, (long)at, 0, 0)));
  say(" /proc/self/mem write %s", name_of(raw(SYS_pwrite64, memory, (long)garbage, 16, (long)at, 0, 0)));
}

static void store(uint64_t at) { *(volatile char *)at = 0; }

/* Into the stub's code at every offset, with registers that would make its system calls worth something. */
static void jump(uint64_t at) {
  static long orders[7 * 8];
  for (int i = 0; i < 8; i++) { /* open a host file, write to where it landed: what a list of orders would say */
    orders[i * 7] = i == 0 ? SYS_open : SYS_write;
    orders[i * 7 + 1] = i == 0 ? (long)"/tmp/stub_was_here" : 9;
    orders[i * 7 + 2] = i == 0 ? O_CREAT | O_RDWR : (long)"out\n";
    orders[i * 7 + 3] = i == 0 ? 0666 : 4;
  }
  __asm__ volatile("mov %0, %%r15\n mov $8, %%r14d\n mov $39, %%eax\n mov %1, %%rdi\n mov %%rdi, %%rsi\n jmp *%2"
                   :
                   : "r"(orders), "r"(orders), "b"(at)
                   : "rax", "rdi", "rsi", "r14", "r15", "memory");
}

int main(void) {
  only_in_the_sandbox();
  for (uint64_t at = FIRST; at < END; at += PAGE) change(at);
  say("across munmap %s", name_of(raw(SYS_munmap, (long)FIRST - PAGE, 3 * PAGE, 0, 0, 0, 0)));
  say("all munmap %s", name_of(raw(SYS_munmap, 0, (long)END, 0, 0, 0, 0)));
  say("store code: %s", status_text(in_child(store, CODE)));
  say("store orders: %s", status_text(in_child(store, CODE - PAGE)));
  int ended = 0;
  for (uint64_t at = CODE; at < CODE + 260; at++) {
    int status = in_child(jump, at);
    if (WIFSIGNALED(status)) ended++;
    else say("jump to %lu: %s", at - CODE, status_text(status));
  }
  say("jumps that ended badly: %d", ended);
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[512];
  while (fgets(line, sizeof line, maps))
    if (strncmp(line, "7fffffffc", 9) >= 0 && strncmp(line, "7ffffffff", 9) < 0) say("%s", line);
  return 0;
}
