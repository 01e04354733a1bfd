/* Every other way into a kernel: each fails like a call that doesn't exist, or is a fault. None is made by the host. */
#include "hostile.h"

static void show(const char *name, int status) { say("%s: %s", name, status_text(status)); }

static void int80(uint64_t nr) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(7), "c"(0), "d"(0) : "memory", "r8", "r9", "r10", "r11");
  _exit(result == -ENOSYS ? 38 : 1);
}

static void x32(uint64_t nr) {
  long result = raw((long)(nr | 0x40000000), 7, 0, 0, 0, 0, 0);
  _exit(result == -ENOSYS ? 38 : 1);
}

static void high_number(uint64_t nr) {
  /* only 32 bits of rax count, as on Linux */
  _exit(raw((long)(nr | 0xdead00000000), 0, 0, 0, 0, 0, 0) == getpid() ? 0 : 1);
}

static void sysenter(uint64_t nr) {
  long result;
  __asm__ volatile("mov %%rsp, %%rbp\n sysenter" : "=a"(result) : "a"(nr), "b"(7) : "memory", "rcx", "rdx");
  _exit(1);
}

/* The far jump into a 32-bit segment, and calls from there. */
static void compatibility(uint64_t variant) {
  static const uint8_t code[3][16] = {
      {0xb8, 0x01, 0, 0, 0, 0xbb, 0x07, 0, 0, 0, 0xcd, 0x80, 0x0f, 0x0b}, /* mov $1,%eax (exit of ia32); mov $7,%ebx; int $0x80; ud2 */
      {0xb8, 0x01, 0, 0, 0, 0xbb, 0x07, 0, 0, 0, 0x0f, 0x34, 0x0f, 0x0b}, /* sysenter */
      {0xb8, 0x01, 0, 0, 0, 0xbb, 0x07, 0, 0, 0, 0x0f, 0x05, 0x0f, 0x0b}, /* syscall */
  };
  uint8_t *low = mmap((void *)0x10000000, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (low == MAP_FAILED) _exit(99);
  memcpy(low, code[variant], 16);
  __asm__ volatile("mov $0x10001f00, %%rsp\n mov %%rsp, %%rbp\n pushq $0x23\n pushq $0x10000000\n lretq" : : : "memory");
}

static void vsyscall_time(uint64_t garbage) {
  long (*vsyscall)(long *) = (long (*)(long *))0xffffffffff600400;
  long now = vsyscall((long *)garbage);
  _exit(now > 1000000000 ? 0 : 1);
}

static void vsyscall_middle(uint64_t offset) { ((void (*)(void))(0xffffffffff600000 + offset))(); }

static void privileged(uint64_t which) {
  switch (which) {
  case 0: __asm__ volatile("hlt"); break;
  case 1: __asm__ volatile("mov %%cr0, %%rax" : : : "rax"); break;
  case 2: __asm__ volatile("mov %%rax, %%dr7" : : "a"(1)); break;
  case 3: __asm__ volatile("wrmsr" : : "a"(0), "d"(0), "c"(0xc0000082)); break;
  case 4: __asm__ volatile("in $0x60, %%al" : : : "rax"); break;
  case 5: __asm__ volatile("lidt (%%rsp)" : : : "memory"); break;
  case 6: __asm__ volatile("mov %%eax, %%ss" : : "a"(0)); break;
  case 7: __asm__ volatile("mov %%eax, %%gs" : : "a"(0x7fff)); break;
  case 8: __asm__ volatile("cli"); break;
  case 9: __asm__ volatile("invd"); break;
  }
}

/* iretq to the kernel's segments, to no segment, to an address that isn't one */
static void bad_iret(uint64_t which) {
  static const uint64_t selectors[][2] = {{0x10, 0x18}, {0x33, 0x18}, {0x33, 0}, {0x08, 0x2b}, {0x33, 0x2b}};
  uint64_t rip = which == 4 ? 0x8000000000000000 : (uint64_t)&_exit;
  __asm__ volatile("mov %%rsp, %%rax\n push %0\n push %%rax\n pushfq\n push %1\n push %2\n iretq"
                   :
                   : "r"(selectors[which][1]), "r"(selectors[which][0]), "r"(rip)
                   : "rax", "memory");
}

/* System calls with flags set that a kernel must not trip over. */
static void flags(uint64_t bits) {
  long result;
  __asm__ volatile("pushfq\n orq %2, (%%rsp)\n popfq\n syscall\n pushfq\n andq $~0x44500, (%%rsp)\n popfq"
                   : "=a"(result)
                   : "0"((long)SYS_getppid), "r"(bits)
                   : "rcx", "r11", "memory", "cc");
  _exit(result > 0 ? 0 : 1);
}

int main(int argc, char **argv) {
  bool sandbox = argc > 1 && strcmp(argv[1], "sandbox") == 0;
  if (sandbox) {
    /* the host may have 32-bit calls and x32; the sandbox has not */
    for (int nr = 0; nr < 6; nr++) show("int 0x80", in_child(int80, (uint64_t)nr));
    show("int 0x80 execve", in_child(int80, 11));
    for (int nr = 59; nr < 64; nr++) show("x32", in_child(x32, (uint64_t)nr));
    show("x32 own numbers", in_child(x32, 520));
    show("sysenter", in_child(sysenter, 1));
    show("32-bit int 0x80", in_child(compatibility, 0));
    show("32-bit sysenter", in_child(compatibility, 1));
    show("32-bit syscall", in_child(compatibility, 2));
    show("vsyscall", in_child(vsyscall_time, 0));
    show("vsyscall EFAULT", in_child(vsyscall_time, 0xffff800000000000));
  }
  show("high half", in_child(high_number, SYS_getpid));
  show("vsyscall + 8", in_child(vsyscall_middle, 8));
  show("vsyscall + 0xc00", in_child(vsyscall_middle, 0xc00));
  for (uint64_t i = 0; i < 10; i++) show("privileged", in_child(privileged, i));
  for (uint64_t i = 0; i < 5; i++) show("iretq", in_child(bad_iret, i));
  show("NT", in_child(flags, 0x4000));
  show("AC", in_child(flags, 0x40000));
  show("DF", in_child(flags, 0x400));
  show("ID", in_child(flags, 0x200000));
  show("TF", in_child(flags, 0x100));
  return 0;
}
