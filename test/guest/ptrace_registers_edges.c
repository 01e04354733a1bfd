/* Edges of what a tracer may set and see of registers: flags, components that are absent, lengths, types and addresses
 * that are hardly right, areas and settings that few have; and of a signal's information. */
#include "ptrace.h"
#include <linux/audit.h>
#include <sys/mman.h>

#ifndef PTRACE_SET_SYSCALL_INFO
#define PTRACE_SET_SYSCALL_INFO 0x4212
#endif
#define GET_THREAD_AREA 25
#define SET_THREAD_AREA 26
#define SET_DISPATCH 0x4210
#define GET_DISPATCH 0x4211
#define NESTED_TASK 0x4000

static pid_t pid;
static char *edge; /* where what can be read ends */

static pid_t stopped_child(int (*body)(void)) {
  pid_t child = NEED(fork());
  if (child == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(body == NULL ? 0 : body());
  }
  NEED(waitpid(child, NULL, 0));
  return child;
}

static void end(void) {
  kill(pid, SIGKILL);
  waitpid(pid, NULL, __WALL);
}

static long wide(unsigned long request, unsigned long id, unsigned long address, unsigned long data) {
  return syscall(SYS_ptrace, request, id, address, data);
}

#define AT(name) offsetof(struct user, regs.name)

static unsigned long peek_user(unsigned long offset) {
  unsigned long value = 0x5a;
  NEED(trace(PTRACE_PEEKUSR, pid, offset, (unsigned long)&value));
  return value;
}

static void flags(void) {
  pid = stopped_child(NULL);
  unsigned long before = peek_user(AT(eflags));
  say("nested task: %d", (before & NESTED_TASK) != 0);
  TRY(trace(PTRACE_POKEUSR, pid, AT(eflags), before | NESTED_TASK));
  say("nested task: %d", (peek_user(AT(eflags)) & NESTED_TASK) != 0);
  TRY(trace(PTRACE_POKEUSR, pid, AT(eflags), 0xffffffffffffffff & ~0x100ul));
  say("everything: %lx", peek_user(AT(eflags)));
  TRY(trace(PTRACE_POKEUSR, pid, AT(eflags), 0));
  say("nothing: %lx", peek_user(AT(eflags)));
  end();
}

static int execute(void) {
  execl("/proc/self/exe", "guest", "nothing", NULL);
  return 1;
}

static void after_exec(void) {
  pid = stopped_child(execute);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("exec", pid);
  say("eflags %lx", peek_user(AT(eflags)));
  end();
}

/* What the tracee sees. */
static int tell_extended_state(void) {
  unsigned mxcsr;
  unsigned short fcw;
  unsigned long xmm;
  /* no call between the stop and here may use these */
  __asm__ volatile("syscall\n stmxcsr %0\n fnstcw %1\n movq %%xmm7, %2"
                   : "=m"(mxcsr), "=m"(fcw), "=r"(xmm)
                   : "a"(SYS_kill), "D"(getpid()), "S"(SIGSTOP)
                   : "rcx", "r11", "memory");
  unsigned initial = 0x1f80;
  __asm__ volatile("ldmxcsr %0\n fninit" : : "m"(initial));
  say("tracee: fcw %x mxcsr %x xmm7 %lx", fcw, mxcsr, xmm);
  return 0;
}

static unsigned char image[16384], again[16384];
static size_t image_length;

enum { FCW = 0, MXCSR = 24, MXCSR_MASK = 28, ST = 32, XMM7 = 160 + 7 * 16, UNUSED = 416, BV = 512 };
enum { YMM = 576, YMM_END = 832 };

static void place(unsigned at, uint64_t value, unsigned size) { memcpy(image + at, &value, size); }

static uint64_t seen(unsigned at, unsigned size) {
  uint64_t value = 0;
  memcpy(&value, again + at, size);
  return value;
}

static int nonzero(const unsigned char *bytes, size_t from, size_t to) {
  int count = 0;
  for (size_t i = from; i < to; i++) count += bytes[i] != 0;
  return count;
}

/* An image full of contents, that has some components only. */
static void set_image(const char *name, uint64_t components, unsigned mxcsr) {
  place(FCW, 0x77f, 2);
  place(MXCSR, mxcsr, 4);
  memset(image + ST, 0x33, 10);
  place(XMM7, 0x7777777777777777, 8);
  memset(image + UNUSED, 0x44, 48);
  place(BV, components, 8);
  if (image_length >= YMM_END) memset(image + YMM, 0x55, YMM_END - YMM);
  struct iovec vector = {image, image_length};
  long result = trace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (unsigned long)&vector);
  say("%s: %ld %s", name, result, result == -1 ? errname(errno) : "");
  if (result == -1) return;
  memset(again, 0x11, sizeof again);
  vector = (struct iovec){again, sizeof again};
  TRY(trace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, (unsigned long)&vector));
  say("fcw %lx mxcsr %lx st0 %lx xmm7 %lx components %lx", seen(FCW, 2), seen(MXCSR, 4), seen(ST, 8), seen(XMM7, 8),
      seen(BV, 8));
  say("mask %s, in the unused part %d, high halves %d", seen(MXCSR_MASK, 4) == 0 ? "none" : "some",
      nonzero(again, UNUSED, UNUSED + 48), nonzero(again, YMM, image_length < YMM_END ? YMM : YMM_END));
  struct user_fpregs_struct fp;
  TRY(trace(PTRACE_GETFPREGS, pid, 0, (unsigned long)&fp));
  say("fpregs: fcw %x mxcsr %x same %d", fp.cwd, fp.mxcsr, memcmp(&fp, again, UNUSED) == 0);
}

static void run_with_image(const char *name, uint64_t components) {
  pid = stopped_child(tell_extended_state);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("ready", pid);
  struct iovec vector = {image, sizeof image};
  NEED(trace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, (unsigned long)&vector));
  image_length = vector.iov_len;
  set_image(name, components, 0x1fa0);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop(name, pid);
}

static void extended_state(void) {
  run_with_image("no component", 0);
  run_with_image("x87 only", 1);
  run_with_image("SSE only", 2);
  run_with_image("x87 and SSE", 3);

  pid = stopped_child(NULL);
  struct iovec vector = {image, sizeof image};
  NEED(trace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, (unsigned long)&vector));
  set_image("no component, bad MXCSR", 0, 0xffffffff);
  set_image("x87, bad MXCSR", 1, 0xffffffff);
  set_image("SSE, bad MXCSR", 2, 0xffffffff);
  set_image("YMM, bad MXCSR", 4, 0xffffffff);
  set_image("unknown component", 1ul << 62, 0x1f80);
  end();
}

static void enter(int signo) { (void)signo; }

static int be_interrupted(void) {
  signal(SIGUSR1, enter);
  raise(SIGUSR1);
  return 0;
}

static void fpregs_of_handler(void) {
  pid = stopped_child(be_interrupted);
  struct user_fpregs_struct before, inside;
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("signal", pid);
  TRY(trace(PTRACE_GETFPREGS, pid, 0, (unsigned long)&before));
  trace(PTRACE_SINGLESTEP, pid, 0, SIGUSR1);
  await_stop("handler", pid);
  TRY(trace(PTRACE_GETFPREGS, pid, 0, (unsigned long)&inside));
  say("mxcsr %x, same mask %d", inside.mxcsr, before.mxcr_mask == inside.mxcr_mask);
  end();
}

static void fpregs(void) {
  pid = stopped_child(NULL);
  struct user_fpregs_struct fp, dirty;
  TRY(trace(PTRACE_GETFPREGS, pid, 0, (unsigned long)&fp));
  dirty = fp;
  memset((char *)&dirty + UNUSED, 0x5a, sizeof dirty - UNUSED);
  dirty.mxcr_mask = 0xffffffff;
  TRY(trace(PTRACE_SETFPREGS, pid, 0, (unsigned long)&dirty));
  TRY(trace(PTRACE_GETFPREGS, pid, 0, (unsigned long)&dirty));
  say("mask %x, in the unused part %d", dirty.mxcr_mask, nonzero((unsigned char *)&dirty, UNUSED, sizeof dirty));
  dirty.mxcsr = 0xffffffff; /* that mask is the tracer's word only */
  TRY(trace(PTRACE_SETFPREGS, pid, 0, (unsigned long)&dirty));
  dirty.mxcsr = 0x1fc0; /* denormals are zeros */
  dirty.mxcr_mask = 0x1234;
  TRY(trace(PTRACE_SETFPREGS, pid, 0, (unsigned long)&dirty));
  TRY(trace(PTRACE_GETFPREGS, pid, 0, (unsigned long)&dirty));
  say("mask %x mxcsr %x", dirty.mxcr_mask, dirty.mxcsr);
  end();
}

static void regset(const char *name, int request, unsigned long type, void *base, unsigned long length) {
  struct iovec vector = {base, length};
  long result = trace(request, pid, type, (unsigned long)&vector);
  say("%s: %ld %s length %zd", name, result, result == -1 ? errname(errno) : "", (ssize_t)vector.iov_len);
}

static void register_sets(void) {
  static unsigned long buffer[1024];
  void *kernel = (void *)0xffff888000000000, *limit = (void *)0x7ffffffff000;
  pid = stopped_child(NULL);
  regset("get ports", PTRACE_GETREGSET, 0x201, buffer, sizeof buffer);
  regset("get no ports", PTRACE_GETREGSET, 0x201, buffer, 0);
  regset("get half a port", PTRACE_GETREGSET, 0x201, buffer, 12);
  regset("set ports", PTRACE_SETREGSET, 0x201, buffer, 16);
  regset("set no ports", PTRACE_SETREGSET, 0x201, kernel, 0);
  regset("set half a port", PTRACE_SETREGSET, 0x201, buffer, 12);
  regset("wide type", PTRACE_GETREGSET, 0x100000001, buffer, 64);
  regset("wide type, set", PTRACE_SETREGSET, 0x100000001, buffer, 0);
  regset("length -1", PTRACE_GETREGSET, NT_PRSTATUS, buffer, -1);
  regset("length -8", PTRACE_GETREGSET, NT_PRSTATUS, buffer, -8);
  regset("get nothing, kernel", PTRACE_GETREGSET, NT_PRSTATUS, kernel, 0);
  regset("set nothing, kernel", PTRACE_SETREGSET, NT_PRSTATUS, kernel, 0);
  regset("set nothing, limit", PTRACE_SETREGSET, NT_PRSTATUS, limit, 0);
  regset("set nothing, beyond", PTRACE_SETREGSET, NT_PRSTATUS, limit + 1, 0);
  regset("set nothing, -1", PTRACE_SETREGSET, NT_PRSTATUS, (void *)-1, 0);
  regset("set short, kernel", PTRACE_SETREGSET, NT_PRFPREG, kernel, 8);
  regset("set short", PTRACE_SETREGSET, NT_PRFPREG, buffer, 8);
  regset("set short, kernel", PTRACE_SETREGSET, NT_X86_XSTATE, kernel, 8);
  end();
}

/* Registers of which only the first can be read. */
static void across_the_edge(void) {
  pid = stopped_child(NULL);
  struct user_regs_struct before = get_registers(pid), changed = before;
  changed.r15 = 0x1515;
  changed.r14 = 0x1414;
  changed.r13 = 0x1313;
  memcpy(edge - 20, &changed, 20);
  TRY(trace(PTRACE_SETREGS, pid, 0, (unsigned long)edge - 20));
  struct user_regs_struct after = get_registers(pid);
  say("r15 %d r14 %d r13 %d", after.r15 == 0x1515, after.r14 == 0x1414, after.r13 != before.r13);
  changed.r15 = 0xf;
  memcpy(edge - 8, &changed, 8);
  regset("across", PTRACE_SETREGSET, NT_PRSTATUS, edge - 8, 16);
  say("r15 %llx", get_registers(pid).r15);
  changed.fs_base = 1ul << 63;
  memcpy(edge - 176, &changed, 176); /* fs_base is the last */
  errno = 0;
  TRY(trace(PTRACE_SETREGS, pid, 0, (unsigned long)edge - 176));
  TRY(trace(PTRACE_SETREGS, pid, 0, (unsigned long)edge));
  TRY(trace(PTRACE_SETFPREGS, pid, 0, (unsigned long)edge - 8));
  end();
}

static void wide_arguments(void) {
  pid = stopped_child(NULL);
  static struct user_regs_struct regs;
  unsigned long at = (unsigned long)&regs;
  TRY(wide(1ul << 32 | PTRACE_GETREGS, pid, 0, at));
  TRY(wide(PTRACE_GETREGS, 1ul << 32 | pid, 0, at));
  TRY(wide(1ul << 32 | PTRACE_TRACEME, pid, 0, 0));
  TRY(wide(1ul << 32 | PTRACE_ATTACH, pid, 0, 0));
  TRY(wide(1ul << 63 | PTRACE_CONT, pid, 0, 0));
  TRY(wide(-1ul, pid, 0, 0));
  TRY(wide(1ul << 32 | PTRACE_TRACEME, 0, 0, 0));
  end();
}

struct desc {
  unsigned entry, base, limit, flags;
};

static void areas(void) {
  pid = stopped_child(NULL);
  struct desc desc;
  static const int indices[] = {-1, 0, 11, 12, 13, 14, 15, 0x10000};
  for (unsigned i = 0; i < sizeof indices / sizeof *indices; i++) {
    memset(&desc, 0x5a, sizeof desc);
    long result = wide(GET_THREAD_AREA, pid, indices[i], (unsigned long)&desc);
    say("area %d: %ld %s, %x %x %x %x", indices[i], result, result == -1 ? errname(errno) : "", desc.entry, desc.base,
        desc.limit, desc.flags);
    desc = (struct desc){.flags = 0x28};
    TRY(wide(SET_THREAD_AREA, pid, indices[i], (unsigned long)&desc));
    desc = (struct desc){.entry = 5};
    TRY(wide(SET_THREAD_AREA, pid, indices[i], (unsigned long)&desc));
    desc = (struct desc){.base = 5};
    TRY(wide(SET_THREAD_AREA, pid, indices[i], (unsigned long)&desc));
  }
  TRY(wide(GET_THREAD_AREA, pid, 1ul << 32 | 12, (unsigned long)&desc));
  TRY(wide(GET_THREAD_AREA, pid, 12, 16));
  TRY(wide(SET_THREAD_AREA, pid, 12, 16));
  TRY(wide(SET_THREAD_AREA, pid, 16, 16));

  uint64_t config[5];
  memset(config, 0x5a, sizeof config);
  TRY(trace(GET_DISPATCH, pid, 24, (unsigned long)config));
  TRY(trace(GET_DISPATCH, pid, 40, (unsigned long)config));
  TRY(trace(GET_DISPATCH, pid, 32, 16));
  TRY(trace(GET_DISPATCH, pid, 32, (unsigned long)config));
  say("dispatch %lx %lx %lx %lx", config[0], config[1], config[2], config[3]);
  TRY(trace(SET_DISPATCH, pid, 32, (unsigned long)config));
  TRY(trace(SET_DISPATCH, pid, 24, (unsigned long)config));
  TRY(trace(SET_DISPATCH, pid, 32, 16));
  config[3] = 1;
  TRY(trace(SET_DISPATCH, pid, 32, (unsigned long)config));
  config[3] = 0;
  config[0] = 9;
  TRY(trace(SET_DISPATCH, pid, 32, (unsigned long)config));
  end();
}

static int call_something(void) {
  syscall(SYS_getppid);
  return 0;
}

/* The result of a call that a tracer says to have failed is an int. */
static void results(void) {
  static const struct {
    int64_t rval;
    unsigned char is_error;
  } given[] = {{0x100000005, 1},  {0x100000005, 0}, {0x1ffffffff, 2}, {0x1ffffffff, 0},
               {0x80000001, 1},   {0x80000001, 0},  {-5, 1},          {-5, 0},
               {0x100000000, 1}};
  pid = stopped_child(call_something);
  trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
  do {
    trace(PTRACE_SYSCALL, pid, 0, 0);
    NEED(waitpid(pid, NULL, 0));
  } while (peek_user(AT(orig_rax)) != SYS_getppid);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  await_stop("exit of getppid", pid);
  for (unsigned i = 0; i < sizeof given / sizeof *given; i++) {
    unsigned char info[88] = {0};
    trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, (unsigned long)info);
    memcpy(info + 24, &given[i].rval, 8);
    info[32] = given[i].is_error;
    long result = trace(PTRACE_SET_SYSCALL_INFO, pid, sizeof info, (unsigned long)info);
    const char *kind = given[i].is_error ? "error" : "result";
    say("%s %lx: %ld, rax %lx", kind, (long)given[i].rval, result, peek_user(AT(rax)));
  }
  end();
}

static void signal_information(void) {
  pid = stopped_child(NULL);
  unsigned char bytes[128] = {0};
  siginfo_t *info = (siginfo_t *)bytes;
  info->si_signo = SIGUSR2;
  info->si_code = 12345;
  bytes[100] = 1;
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)info));
  say_info("kept", pid);
  info->si_code = SI_QUEUE;
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)info));
  unsigned char got[128];
  TRY(trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)got));
  say("code %d, byte 100 %d", ((siginfo_t *)got)->si_code, got[100]);
  memcpy(edge - 48, bytes, 48);
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)edge - 48));
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)edge - 47));
  TRY(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, edge - 48));
  TRY(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, edge - 47));
  info->si_code = 12345;
  memcpy(edge - 48, bytes, 48);
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)edge - 48));
  TRY(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, edge - 48));
  bytes[100] = 0;
  TRY(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)info));
  say_info("set", pid);
  end();
}

int main(int argc, char **argv) {
  (void)argv;
  if (argc > 1) return 0;
  edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  NEED(mprotect(edge + 4096, 4096, PROT_NONE));
  edge += 4096;
  flags();
  after_exec();
  extended_state();
  fpregs_of_handler();
  fpregs();
  register_sets();
  across_the_edge();
  wide_arguments();
  areas();
  results();
  signal_information();
  return 0;
}
