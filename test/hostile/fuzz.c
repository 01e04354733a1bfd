/*
 * Random system calls with random arguments, in forked children. `fuzz SEED [CHILDREN [CALLS]]`.
 *
 * Nothing is expected of any call; what is expected is that the kernel outlives them all: this program ends with "done",
 * or with a signal that a child sent it. It refuses to run anywhere but in the sandbox.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARENA = 128 * 1024, LAST_CALL = 470 };

static uint64_t state;

static uint64_t next(void) {
  state += 0x9e3779b97f4a7c15u;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static uint64_t below(uint64_t n) { return next() % n; }

static uint8_t *arena, *locked, *gone;

static const char *const PATHS[] = {"",          ".",        "..",           "/",         "file",       "dir",
                                    "dir/a",     "link",     "loop",         "fifo",      "new",        "new/x",
                                    "/proc/self/mem", "/proc/self/fd/3", "/proc/self/exe", "/proc/self/root/..", "/proc/self/cwd/file",
                                    "/proc/1/status", "/proc/self/fd", "/proc/self/task", "/dev/null", "/dev/zero", "/dev/full",
                                    "/dev/tty",  "/dev/ptmx", "/dev/pts/0",  "/sys",      "/etc/passwd", "/bin/true",
                                    "dir/../dir/./a", "file/", "//file", "/tmp", "hard", "sock", "/proc/sys/kernel/hostname",
                                    "/proc/self/maps", "/proc/self/comm", "/dev/shm/x", "/proc/self/environ", "\xff\xfe", "user.x", "tmpfs", "proc"};

enum { PATH_COUNT = sizeof PATHS / sizeof *PATHS };

static uint64_t edge(void) {
  static const uint64_t edges[] = {0,          1,          2,          3,         7,          8,           15,        16,
                                   63,         64,         65,         127,       255,        256,         511,       512,
                                   1023,       1024,       1025,       4095,      4096,       4097,        65535,     65536,
                                   0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
                                   ~0ull,      ~1ull,      ~0ull - 99, -4095ull,  -4096ull,   1ull << 47,  (1ull << 47) - 4096,
                                   (1ull << 47) - 1, 1ull << 53, (1ull << 53) + 1, 1ull << 62, 0xfffffffffffff000, 0x8000000000001000,
                                   0xffffffffff600000, 1000000000, 999999999, 1ull << 40, 1ull << 44, 0x7ffffffff000};
  return edges[below(sizeof edges / sizeof *edges)];
}

static uint64_t pointer(void) {
  switch (below(12)) {
  case 0:
    return 0;
  case 1:
    return (uint64_t)locked + below(4096);
  case 2:
    return (uint64_t)gone + below(8192);
  case 3:
    return (uint64_t)arena + ARENA - below(64);
  case 4:
    return edge();
  case 5:
    return (uint64_t)arena + below(ARENA);
  default:
    return (uint64_t)arena + below(ARENA / 64) * 64;
  }
}

static uint64_t path(void) { return (uint64_t)arena + below(PATH_COUNT) * 64; }

static uint64_t small(void) { return below(24); }
static uint64_t fd(void) { return below(10) ? below(32) : below(2) ? (uint64_t)-100 : edge(); }

static uint64_t bits(void) {
  uint64_t value = 0;
  for (uint64_t n = below(5); n > 0; n--) value |= 1ull << below(below(4) ? 24 : 64);
  return value;
}

static uint64_t any(void) {
  switch (below(8)) {
  case 0:
  case 1:
    return small();
  case 2:
    return edge();
  case 3:
    return bits();
  case 4:
    return below(10) ? below(70000) : next();
  default:
    return pointer();
  }
}

/* What the kernel will find behind a pointer: paths first, then words that look like structures. */
static void refill(void) {
  for (int i = 0; i < PATH_COUNT; i++) strcpy((char *)arena + i * 64, PATHS[i]);
  for (size_t at = PATH_COUNT * 64; at + 64 <= ARENA; at += 64) {
    uint64_t *words = (uint64_t *)(arena + at);
    switch (below(8)) {
    case 0: /* iovecs, argument lists */
      for (int i = 0; i < 8; i++) words[i] = i % 2 ? below(3) ? below(5000) : edge() : pointer();
      break;
    case 1: /* timespecs */
      for (int i = 0; i < 8; i++) words[i] = below(3) ? 0 : below(2) ? below(2000000) : edge();
      break;
    case 2: /* 32-bit words: pollfds, ids */
      for (int i = 0; i < 16; i++) ((uint32_t *)words)[i] = (uint32_t)(below(4) ? small() : next());
      break;
    case 3:
      for (int i = 0; i < 8; i++) words[i] = pointer();
      break;
    case 4:
      for (int i = 0; i < 8; i++) words[i] = path();
      words[below(8)] = 0;
      break;
    case 5:
      for (int i = 0; i < 8; i++) words[i] = bits();
      break;
    case 6:
      memset(words, 0, 64);
      words[0] = small();
      break;
    default:
      for (int i = 0; i < 8; i++) words[i] = any();
    }
  }
  struct sockaddr_un *address = (struct sockaddr_un *)(arena + ARENA - 1024);
  address->sun_family = AF_UNIX;
  strcpy(address->sun_path, "sock");
}

/* One call. A child that it makes ends at once, whatever its stack. */
static long call(long nr, const uint64_t *a) {
  long result;
  register uint64_t r10 __asm__("r10") = a[3];
  register uint64_t r8 __asm__("r8") = a[4];
  register uint64_t r9 __asm__("r9") = a[5];
  __asm__ volatile("mov %%rax, %%rbx\n"
                   "syscall\n"
                   "test %%rax, %%rax\n"
                   "jnz 1f\n"
                   "cmp $56, %%rbx\n je 2f\n"
                   "cmp $57, %%rbx\n je 2f\n"
                   "cmp $58, %%rbx\n je 2f\n"
                   "cmp $435, %%rbx\n jne 1f\n"
                   "2: mov $60, %%eax\n xor %%edi, %%edi\n syscall\n"
                   "1:"
                   : "=a"(result)
                   : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "rbx", "memory", "cc");
  return result;
}

static void on_alarm(int signo) { (void)signo; }

static int calls = 300;
static int verbose;

/* Open files of every kind, so that small numbers mean something. */
static void prepare(void) {
  int pair[2];
  if (!verbose)
    for (int i = 0; i < 3; i++) dup2(open("/dev/null", O_RDWR), i); /* what the parent says must stay readable */
  mkdir("dir", 0755);
  close(open("dir/a", O_CREAT | O_RDWR, 0644));
  int file = open("file", O_CREAT | O_RDWR, 0644);
  (void)!write(file, arena, 10000);
  (void)!symlink("file", "link");
  (void)!symlink("loop", "loop");
  (void)!link("file", "hard");
  mkfifo("fifo", 0644);
  (void)!pipe(pair);
  socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
  socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair);
  socket(AF_UNIX, SOCK_SEQPACKET, 0);
  int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event);
  eventfd(3, 0);
  timerfd_create(CLOCK_MONOTONIC, 0);
  memfd_create("m", MFD_ALLOW_SEALING);
  sigset_t set;
  sigfillset(&set);
  signalfd(-1, &set, SFD_NONBLOCK);
  (void)!open(".", O_RDONLY | O_DIRECTORY);
  (void)!open("/proc/self/stat", O_RDONLY);
  (void)!open("/proc/self/mem", O_RDWR);
  (void)!open("/dev/zero", O_RDWR);
  (void)!open("/dev/ptmx", O_RDWR | O_NOCTTY);
  (void)!open("/proc", O_RDONLY | O_DIRECTORY);
  (void)!open("/etc/passwd", O_RDWR);
  (void)!open("fifo", O_RDWR | O_NONBLOCK);
  (void)!open("file", O_PATH);
  inotify_init();
  struct sigaction action = {.sa_handler = on_alarm};
  sigaction(SIGALRM, &action, NULL);
}

static void child(void) {
  refill();
  prepare();
  struct itimerval timer = {{0, 5000}, {0, 5000}};
  setitimer(ITIMER_REAL, &timer, NULL);
  /* A few numbers each child, so that one call's state meets the next. */
  long favourites[12];
  for (int i = 0; i < 12; i++) favourites[i] = (long)below(LAST_CALL + 1);
  for (int i = 0; i < calls; i++) {
    long nr = below(3) ? favourites[below(12)] : (long)below(LAST_CALL + 1);
    if (nr == SYS_exit || nr == SYS_exit_group || nr == SYS_pause || nr == SYS_rt_sigreturn)
      if (below(20)) continue;
    uint64_t a[6];
    uint64_t shape = below(4);
    for (int j = 0; j < 6; j++) a[j] = any();
    if (shape == 0) a[0] = fd();
    if (shape == 1) a[0] = path();
    if (shape == 2) a[0] = fd(), a[1] = path();
    if (shape == 0 && below(2)) a[1] = pointer(), a[2] = below(2) ? edge() : below(300);
    if (nr == SYS_kill || nr == SYS_tkill) a[0] = below(3) ? (uint64_t)getpid() : 0x7000 + below(9);
    if (nr == SYS_setitimer || nr == SYS_alarm) continue;
    if (verbose) {
      char line[200];
      int n = snprintf(line, sizeof line, "%ld(%#lx, %#lx, %#lx, %#lx, %#lx, %#lx)\n", nr, a[0], a[1], a[2], a[3], a[4], a[5]);
      (void)!write(2, line, (size_t)n);
    }
    call(nr, a);
    if (below(16) == 0) refill();
  }
  _exit(0);
}

int main(int argc, char **argv) {
  struct utsname uts;
  uname(&uts);
  if (strstr(uts.release, "effect-sentry") == NULL) {
    fputs("only in the sandbox\n", stderr);
    return 2;
  }
  uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
  int children = argc > 2 ? atoi(argv[2]) : 20;
  if (argc > 3) calls = atoi(argv[3]);
  verbose = getenv("FUZZ_VERBOSE") != NULL;
  char directory[64];
  snprintf(directory, sizeof directory, "/tmp/fuzz.%d", (int)seed);
  mkdir(directory, 0755);
  if (chdir(directory) < 0) return 3;
  struct rlimit space = {1u << 30, 1u << 30}, file = {64u << 20, 64u << 20}, processes = {40, 40};
  setrlimit(RLIMIT_AS, &space);
  setrlimit(RLIMIT_FSIZE, &file);
  setrlimit(RLIMIT_NPROC, &processes);
  signal(SIGXFSZ, SIG_IGN);
  arena = mmap(NULL, ARENA + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(arena + ARENA, 4096, PROT_NONE);
  locked = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  gone = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(gone, 8192);
  for (int i = 0; i < children; i++) {
    state = (seed << 20) + (uint64_t)i;
    pid_t pid = fork();
    if (pid == 0) {
      setpgid(0, 0);
      child();
    }
    if (pid < 0) {
      printf("fork: %s\n", strerror(errno));
      return 1;
    }
    int status, waited = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
      usleep(2000);
      if (++waited > 300) kill(pid, SIGKILL); /* stopped, or waiting where no signal reaches */
      if (waited > 4000) {
        printf("child %d of seed %lu can't be killed\n", i, seed);
        return 1;
      }
    }
  }
  puts("done");
  return 0;
}
