/*
 * What the systrap platform keeps in a guest's address space: `fast_stub WHAT [SEED [CHILDREN]]`. Slots of shared memory, which
 * any thread can write; the page of orders; code, which anybody can jump to; records of patched call sites. Each ends
 * with "alive": whatever was forged harmed its own process at most, and that could still be killed.
 */
#include "hostile.h"
#include <asm/prctl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <ucontext.h>

/* native/systrap.h */
enum { PAGE = 4096, SLOT = 0x8000, CODE_SIZE = 0x4000, CODE_USED = 0x1020, RECORDS_SIZE = 0x10000 };
static const uint64_t WINDOWS = 0x7ffff0000000, SLOTS = 0x7ffff8000000, ORDERS = 0x7ffffc000000, CODE = 0x7fffffff0000, RECORDS = 0x050f0000;
static const uint64_t AT_RETURN = 0x7fffffff00c0, AT_CALL = 0x7fffffff0100;

static const char *name_of(long result) { return result < 0 && result > -4096 ? errname((int)-result) : "ok"; }

static uint64_t own_slot(void) {
  uint64_t base;
  __asm__ volatile("rdgsbase %0" : "=r"(base));
  return base;
}

/* Runs `children` of `body`, many at a time; each is killed after 150 ms and must soon be gone. */
static void in_children(void (*body)(uint64_t), uint64_t seed, int children) {
  enum { AT_ONCE = 8 };
  for (int first = 0; first < children; first += AT_ONCE) {
    pid_t pids[AT_ONCE];
    int count = 0;
    for (; count < AT_ONCE && first + count < children; count++) {
      pids[count] = NEED(fork());
      if (pids[count] > 0) continue;
      random_state = seed * 1000003 + (uint64_t)(first + count);
      setpgid(0, 0);
      /* one whose registers are forged can find itself in `main`, or in the C library's complaints, and say anything */
      close(1);
      close(2);
      body((uint64_t)(first + count));
      _exit(0);
    }
    sleep_ms(150);
    for (int i = 0; i < count; i++) kill(pids[i], SIGKILL);
    int64_t end = now_ms() + 40000;
    for (int i = 0; i < count;) {
      if (waitpid(pids[i], NULL, WNOHANG) != 0) i++;
      else if (now_ms() < end) sleep_ms(5);
      else {
        say("child %d of seed %lu can't be killed", first + i, seed);
        exit(1);
      }
    }
  }
}

static void patch_getppid(void) {
  for (int i = 0; i < 1000; i++) getppid();
}

static void change(const char *what, uint64_t at) {
  static char garbage[PAGE];
  int memory = open("/proc/self/mem", O_RDWR);
  struct {
    const char *name;
    long result;
  } tries[] = {
      {"munmap", raw(SYS_munmap, (long)at, PAGE, 0, 0, 0, 0)},
      {"mprotect", raw(SYS_mprotect, (long)at, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, 0, 0, 0)},
      {"mmap", raw(SYS_mmap, (long)at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)},
      {"noreplace", raw(SYS_mmap, (long)at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)},
      {"madvise", raw(SYS_madvise, (long)at, PAGE, MADV_DONTNEED, 0, 0, 0)},
      {"mremap away", raw(SYS_mremap, (long)at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 0x10000000, 0)},
      {"mremap onto", raw(SYS_mremap, (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE, PAGE,
                          MREMAP_MAYMOVE | MREMAP_FIXED, (long)at, 0)},
      {"read into", raw(SYS_read, open("/dev/zero", O_RDONLY), (long)at, 8, 0, 0, 0)},
      {"/proc/self/mem read", raw(SYS_pread64, memory, (long)garbage, 16, (long)at, 0, 0)},
      {"/proc/self/mem write", raw(SYS_pwrite64, memory, (long)garbage, 16, (long)at, 0, 0)},
  };
  close(memory);
  for (size_t i = 0; i < sizeof tries / sizeof *tries; i++)
    if (tries[i].result >= 0) say("%s: %s %s", what, tries[i].name, name_of(tries[i].result));
}

static void store(uint64_t at) { *(volatile char *)at = 0; }

static void pages(void) {
  patch_getppid();
  change("windows", WINDOWS);
  change("slots", SLOTS);
  change("own slot", own_slot());
  change("last slot", ORDERS - PAGE);
  change("orders", ORDERS);
  for (uint64_t at = CODE; at < CODE + CODE_SIZE; at += PAGE) change("code", at);
  change("records", RECORDS);
  change("end of records", RECORDS + RECORDS_SIZE - PAGE);
  say("store to orders: %s", status_text(in_child(store, ORDERS)));
  say("store to code: %s", status_text(in_child(store, CODE)));
  say("store to records: %s", status_text(in_child(store, RECORDS)));
  /* slots are the guest's, but not its code */
  int status = in_child((void (*)(uint64_t))(uintptr_t)own_slot(), 0);
  say("slot executed: %s", status_text(status));
  IS(getppid() > 0);
}

/* Whether a page that mmap gave is one that the kernel knows of. */
static bool is_listed(uint64_t at) {
  char line[512];
  FILE *maps = fopen("/proc/self/maps", "r");
  bool found = false;
  while (fgets(line, sizeof line, maps)) {
    unsigned long from, to;
    if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from <= at && at < to) found = true;
  }
  return found;
}

/*
 * One call by the stub's `syscall` at `at`, which goes on by `ret`, by r15, or into the worker's loop with a list of orders that
 * ends in a fault. 0: if it was made, then by the sandbox's kernel.
 */
static void stub_call(uint64_t which) {
  static const long numbers[] = {SYS_uname, SYS_getpid, SYS_open, SYS_mmap};
  static struct utsname uts;
  static uint64_t stack[8192], orders[64] = {SYS_getppid};
  uint64_t at = CODE + (which >> 8);
  long nr = numbers[which & 0xff], result;
  uint64_t registers[] = {(uint64_t)nr,
                          nr == SYS_uname ? (uint64_t)&uts : nr == SYS_open ? (uint64_t)"/tmp/stub_was_here" : 0,
                          nr == SYS_open ? O_CREAT | O_RDWR : PAGE,
                          nr == SYS_open ? 0600 : PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS,
                          (uint64_t)orders,
                          (uint64_t)(stack + 4096),
                          at};
  __asm__ volatile("mov 0(%1), %%rax\n mov 8(%1), %%rdi\n mov 16(%1), %%rsi\n mov 24(%1), %%rdx\n mov 32(%1), %%r10\n mov $-1, %%r8\n"
                   "xor %%r9d, %%r9d\n mov 40(%1), %%r12\n mov %%r12, %%r13\n mov $1, %%r14d\n push %%rbp\n mov %%rsp, %%rbp\n"
                   "mov 48(%1), %%rsp\n lea 1f(%%rip), %%r15\n push %%r15\n jmp *56(%1)\n1: mov %%rbp, %%rsp\n pop %%rbp"
                   : "=a"(result)
                   : "b"(registers)
                   : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
  bool ours = true;
  if (nr == SYS_uname) ours = result == 0 && strstr(uts.release, "effect-sentry") != NULL;
  if (nr == SYS_getpid) ours = result == getpid();
  if (nr == SYS_open) ours = access("/tmp/stub_was_here", F_OK) == 0; /* the suite sees that the host has none */
  if (nr == SYS_mmap) ours = is_listed((uint64_t)result);
  if (!ours) say("syscall at %#lx: %ld is not the sandbox's: %#lx", at - CODE, nr, result);
  _exit(0);
}

static void calls(void) {
  enum { MOST = 64 };
  uint64_t found[MOST];
  int count = 0;
  const uint8_t *code = (const uint8_t *)CODE;
  for (uint64_t at = 0; at + 1 < CODE_USED && count < MOST; at++)
    if (code[at] == 0x0f && code[at + 1] == 0x05) found[count++] = at;
  say("several: %d", count > 5);
  for (int i = 0; i < count; i++)
    for (uint64_t nr = 0; nr < 4; nr++) {
      pid_t pid = NEED(fork());
      if (pid == 0) stub_call(found[i] << 8 | nr);
      int64_t end = now_ms() + 100;
      while (waitpid(pid, NULL, WNOHANG) == 0) {
        if (now_ms() > end) kill(pid, SIGKILL); /* it waits for orders, or for an answer */
        sleep_ms(1);
      }
    }
}

static uint64_t arena[8192];

static uint64_t interesting(void) {
  switch (below(12)) {
  case 0: return own_slot();
  case 1: return SLOTS + below(4) * SLOT + below(SLOT) / 8 * 8;
  case 2: return ORDERS + below(2) * 0xf00;
  case 3: return CODE + below(CODE_USED);
  case 4: return RECORDS + below(4) * 64;
  case 5: return below(470);
  case 6: return below(300);
  case 7: return ~below(3);
  case 8: return next();
  case 9: return AT_RETURN + 0x40 * below(5);
  default: return (uint64_t)(arena + below(7000));
  }
}

/* Into the code anywhere, with registers that could make something of it. */
static void jump(uint64_t which) {
  uint64_t at = which % 8 == 0 ? RECORDS + below(256) : CODE + below(CODE_USED), registers[15];
  for (size_t i = 0; i < sizeof arena / sizeof *arena; i++) arena[i] = interesting();
  for (int i = 0; i < 15; i++) registers[i] = interesting();
  for (int i = 0; i < 4; i++) getppid();
  registers[0] = below(2) ? registers[0] : below(470);
  registers[14] = at;
  __asm__ volatile("mov 0(%0), %%rax\n mov 16(%0), %%rcx\n mov 24(%0), %%rdx\n mov 32(%0), %%rsi\n mov 40(%0), %%rdi\n"
                   "mov 48(%0), %%rbp\n mov 56(%0), %%r8\n mov 64(%0), %%r9\n mov 72(%0), %%r10\n mov 80(%0), %%r11\n"
                   "mov 88(%0), %%r12\n mov 96(%0), %%r13\n mov 104(%0), %%r14\n mov 8(%0), %%rsp\n mov 64(%0), %%r15\n"
                   "jmp *112(%0)"
                   :
                   : "b"(registers)
                   : "memory");
}

/* The host's own rt_sigreturn, from a frame that says anything: stacks, masks, selectors, extended state. */
static void host_frame(uint64_t which) {
  static uint8_t memory[65536] __attribute__((aligned(64)));
  ucontext_t *frame = (ucontext_t *)(memory + 16384);
  (void)which;
  getcontext(frame);
  uint8_t *fpstate = memory + 32768 + (below(4) ? 0 : below(64));
  frame->uc_flags = below(2) ? 7 : interesting();
  /* where the host puts the next frame */
  frame->uc_stack.ss_sp = (void *)(below(2) ? (uint64_t)memory : interesting());
  frame->uc_stack.ss_size = below(2) ? 8192 : interesting();
  frame->uc_stack.ss_flags = (int)(below(2) ? 0 : below(2) ? SS_DISABLE : interesting());
  memset(&frame->uc_sigmask, below(2) ? 0xff : 0, 8);
  if (below(4) == 0) *(uint64_t *)&frame->uc_sigmask = interesting();
  greg_t *g = frame->uc_mcontext.gregs;
  g[REG_CSGSFS] = below(2) ? 0x002b000000000033 : below(2) ? 0x002b000000000023 : (greg_t)interesting();
  g[REG_EFL] = below(2) ? 0x202 : (greg_t)interesting();
  g[REG_RSP] = (greg_t)(below(2) ? (uint64_t)(memory + 8192) : interesting());
  g[REG_RIP] = (greg_t)(below(2) ? CODE + below(CODE_USED) : interesting());
  for (int i = 0; i < 15; i++)
    if (below(2)) g[i] = (greg_t)interesting();
  memset(fpstate, 0, 4096);
  *(uint32_t *)(fpstate + 24) = below(3) ? 0x1f80 : (uint32_t)next();
  *(uint32_t *)(fpstate + 464) = 0x46505853;
  *(uint32_t *)(fpstate + 468) = below(2) ? 2700 : (uint32_t)interesting();
  *(uint64_t *)(fpstate + 472) = below(2) ? 0x2e7 : interesting();
  *(uint32_t *)(fpstate + 480) = below(2) ? 2696 : (uint32_t)interesting();
  *(uint32_t *)(fpstate + 2696) = 0x46505845;
  *(uint64_t *)(fpstate + 512) = below(2) ? 7 : interesting();
  if (below(3) == 0) *(uint64_t *)(fpstate + 520) = interesting();
  frame->uc_mcontext.fpregs = (void *)(below(3) ? (uint64_t)fpstate : interesting());
  __asm__ volatile("mov %0, %%rsp\n jmp *%1" : : "r"(frame), "r"(AT_RETURN) : "memory");
}

static void *busy(void *argument) {
  uint64_t kind = (uint64_t)argument;
  for (uint64_t i = 0;; i++) {
    switch ((kind + i / 64) % 6) {
    case 0: getppid(); break;
    case 1: munmap(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE); break;
    case 2: raw(SYS_kill, getpid(), SIGUSR1, 0, 0, 0, 0); break;
    case 3: {
      pthread_t thread;
      if (pthread_create(&thread, NULL, (void *(*)(void *))(uintptr_t)getppid, NULL) == 0) pthread_join(thread, NULL);
      break;
    }
    case 4: {
      pid_t pid = fork();
      if (pid == 0) _exit(0);
      if (pid > 0) waitpid(pid, NULL, 0);
      break;
    }
    case 5: raw(SYS_futex, (long)&arena[0], FUTEX_WAIT, (long)arena[0], (long)&(struct timespec){0, 100000}, 0, 0); break;
    }
  }
  return NULL;
}

static void on_signal(int signo) { (void)signo; }

/* A word of a slot: whose turn it is, what stopped the thread, what it is to do, a register. */
static uint32_t slot_word(void) {
  static const uint32_t words[] = {0, 1, 2, 3, 11, 5, 7, 31, 23, 0x80, 0x81, 0xffffffff, 0x33, 0x2b, 0x202, 0x7fff, 0x8000};
  return below(3) ? words[below(sizeof words / sizeof *words)] : (uint32_t)interesting();
}

/* Threads that make calls of every kind, and one that writes into all their slots. */
static void scribble(uint64_t which) {
  handle(SIGUSR1, on_signal, 0);
  patch_getppid();
  pthread_t thread;
  for (uint64_t i = 0; i < 3; i++) pthread_create(&thread, NULL, busy, (void *)(which + 2 * i));
  uint64_t threads = 5, often = 1ull << below(12);
  for (;;) {
    volatile uint32_t *slot = (volatile uint32_t *)(SLOTS + below(threads) * SLOT);
    switch (below(8)) {
    case 0: /* registers */
      slot[below(54)] = slot_word();
      break;
    case 1: /* one thread's event as another's */
      memcpy((void *)slot, (void *)(SLOTS + below(threads) * SLOT), 260);
      break;
    case 2: /* its frames */
      slot[128 + below(3968)] = slot_word();
      break;
    default:
      slot[54 + below(33)] = slot_word();
    }
    for (uint64_t i = below(often); i > 0; i--) __asm__ volatile("pause");
  }
}

/* The worker's report of a mapping change, and the first reports of new threads, never get through. */
static void *unsay(void *argument) {
  uint64_t first = (uint64_t)argument;
  volatile uint32_t *slot = (volatile uint32_t *)(SLOTS + first * SLOT);
  for (;;) slot[54] = first == 0 ? 0xdeadbeef : 0;
  return NULL;
}

static void unheard(uint64_t which) {
  pthread_t thread;
  uint64_t own = (own_slot() - SLOTS) / SLOT;
  pthread_create(&thread, NULL, unsay, (void *)(which % 3 == 0 ? 0 : own + 1 + which % 3));
  for (;;) busy((void *)(which % 2 ? 3ul : 1ul));
}

/* The segment bases that lead the path of patched call sites elsewhere. */
static void *with_base(void *argument) {
  __asm__ volatile("wrgsbase %0" : : "r"(argument));
  for (int i = 0; i < 100; i++) getppid();
  raw(SYS_arch_prctl, ARCH_SET_GS, (long)argument, 0, 0, 0, 0);
  for (;;) {
    getppid();
    raw(SYS_getpid, 0, 0, 0, 0, 0, 0);
  }
  return NULL;
}

static void bases(uint64_t which) {
  const uint64_t own = own_slot(), others[] = {own,           own + SLOT,   own + 2 * SLOT, own + 8,     own + 4096,  SLOTS,        ORDERS - 8,
                                               ORDERS - 256,  ORDERS,       CODE,           0,           1,           own ^ 1,      (uint64_t)arena,
                                               RECORDS,       1ull << 47,   ~0ull,          SLOTS - 100, ORDERS - SLOT, own + 512, SLOTS + SLOT};
  patch_getppid();
  pthread_t thread;
  for (int i = 0; i < 3; i++)
    pthread_create(&thread, NULL, with_base, (void *)others[(which + (uint64_t)i * below(5)) % (sizeof others / sizeof *others)]);
  with_base((void *)others[which % (sizeof others / sizeof *others)]);
}

/* What a thread may do about the processor's counter without asking: have itself the fault. */
static long stub_prctl(long option, long value) {
  long result;
  long nr = SYS_prctl; /* (nr, a, b, c, d) in the order of a function's arguments */
  __asm__ volatile("sub $128, %%rsp\n call *%4\n add $128, %%rsp"
                   : "=a"(result), "+D"(nr), "+S"(option), "+d"(value)
                   : "b"(AT_CALL)
                   : "rcx", "r8", "r10", "r11", "memory");
  return result;
}

static uint64_t read_counter(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (uint64_t)high << 32 | low;
}

static void without_counter(uint64_t unused) {
  (void)unused;
  TRY(stub_prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
  read_counter();
  pid_t pid = fork();
  if (pid == 0) _exit(read_counter() != 0 ? 3 : 4);
  reap("its child", pid);
  read_counter();
}

static void counter(void) {
  say("without: %s", status_text(in_child(without_counter, 0)));
  IS(read_counter() != 0);
  TRY(stub_prctl(PR_SET_TSC, 77) < 0);
  TRY(stub_prctl(PR_SET_DUMPABLE, 77)); /* the sandbox's kernel answers */
  int mode = 0;
  TRY(stub_prctl(PR_GET_TSC, (long)&mode));
  INT(mode);
}

static const struct {
  const char *name;
  void (*run)(void);
  void (*child)(uint64_t);
} TABLE[] = {{"pages", pages, NULL}, {"calls", calls, NULL}, {"counter", counter, NULL}, {"jumps", NULL, jump}, {"frames", NULL, host_frame},
             {"scribble", NULL, scribble}, {"unheard", NULL, unheard}, {"bases", NULL, bases}};

int main(int argc, char **argv) {
  only_in_the_sandbox();
  patch_getppid();
  for (size_t i = 0; argc > 1 && i < sizeof TABLE / sizeof *TABLE; i++)
    if (strcmp(TABLE[i].name, argv[1]) == 0) {
      if (TABLE[i].run) TABLE[i].run();
      else in_children(TABLE[i].child, argc > 2 ? strtoull(argv[2], NULL, 0) : 1, argc > 3 ? atoi(argv[3]) : 16);
      say("alive");
      return 0;
    }
  say("fast_stub WHAT");
  return 2;
}
