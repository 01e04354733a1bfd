/*
 * Reads and writes that are larger than a page, of every alignment: again and again from the same place in the code, with
 * the direction flag set, into memory that ends or is a file's, and interrupted by a timer's signals all the while.
 */
#include "guest.h"
#include <sys/mman.h>
#include <sys/time.h>

enum { PAGE = 4096, MOST = 70000, OFTEN = 60 };
static unsigned char data[MOST + PAGE] = {1}, copy[MOST + PAGE]; /* begins in memory that is the file's */
static volatile sig_atomic_t alarms;

static void on_alarm(int signal) {
  (void)signal;
  alarms++;
}

static void fill(unsigned char *p, size_t size, unsigned seed) {
  for (size_t i = 0; i < size; i++) p[i] = (unsigned char)(i * 7 + (i >> 8) + seed);
}

/* The two calls, made from one place each. */
__attribute__((noinline)) static ssize_t store(int fd, const void *p, size_t n) { return pwrite(fd, p, n, 100); }
__attribute__((noinline)) static ssize_t load(int fd, void *p, size_t n) { return pread(fd, p, n, 100); }

static bool round_trip(int fd, unsigned char *from, unsigned char *to, size_t size, unsigned seed) {
  fill(from, size, seed);
  memset(to, 0, size + 1);
  return store(fd, from, size) == (ssize_t)size && load(fd, to, size) == (ssize_t)size && memcmp(from, to, size) == 0 &&
         to[size] == 0;
}

static ssize_t backwards(long nr, int fd, void *p, size_t n) {
  ssize_t result;
  register long offset __asm__("r10") = 100;
  __asm__ volatile("std\n\tsyscall\n\tcld" : "=a"(result) : "a"(nr), "D"((long)fd), "S"(p), "d"(n), "r"(offset) : "rcx", "r11", "memory");
  return result;
}
/* The form that libc has, with the number as a constant just before the instruction. */
static ssize_t backwards_pread(int fd, void *p, size_t n) {
  ssize_t result;
  register long offset __asm__("r10") = 100;
  __asm__ volatile("std\n\tmov $17, %%eax\n\tsyscall\n\tcld" : "=a"(result) : "D"((long)fd), "S"(p), "d"(n), "r"(offset) : "rcx", "r11", "memory");
  return result;
}
static ssize_t backwards_pwrite(int fd, const void *p, size_t n) {
  ssize_t result;
  register long offset __asm__("r10") = 100;
  __asm__ volatile("std\n\tmov $18, %%eax\n\tsyscall\n\tcld" : "=a"(result) : "D"((long)fd), "S"(p), "d"(n), "r"(offset) : "rcx", "r11", "memory");
  return result;
}

int main(void) {
  static const size_t sizes[] = {4095, 4096, 4097, 8192, 20000, 65535, 65536, 65537, MOST};
  scratch();
  int fd = NEED(open("f", O_CREAT | O_RDWR, 0600));
  unsigned char *heap = NEED(mmap(NULL, MOST + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    int good = 0;
    for (int i = 0; i < OFTEN; i++) good += round_trip(fd, data + i % 9, i % 2 ? copy + i % 7 : heap + i % 5, sizes[s], (unsigned)i);
    say("%zu bytes: %d", sizes[s], good);
  }

  int good = 0;
  for (int i = 0; i < OFTEN; i++) {
    fill(data, 50000, (unsigned)i);
    memset(heap, 0, 50000);
    good += backwards_pwrite(fd, data, 50000) == 50000 && backwards_pread(fd, heap, 50000) == 50000 && memcmp(heap, data, 50000) == 0;
  }
  say("backwards: %d", good);
  INT(backwards(SYS_pread64, fd, heap, 60000));

  /* the end of the buffer is missing, read-only, or a file's */
  unsigned char *hole = NEED(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  memset(hole, 5, 16 * PAGE);
  NEED(munmap(hole + 8 * PAGE, PAGE));
  NEED(mprotect(hole + 12 * PAGE, PAGE, PROT_READ));
  NEED(ftruncate(fd, 100 + 65536));
  for (int i = 0; i < OFTEN; i++) good += load(fd, hole, 8 * PAGE) == 8 * PAGE;
  say("%d", good);
  TRY(load(fd, hole, 65536));
  TRY(store(fd, hole, 65536));
  TRY(load(fd, hole + 9 * PAGE, 7 * PAGE));
  TRY(store(fd, hole + 9 * PAGE, 7 * PAGE));
  TRY(load(fd, hole + 8 * PAGE, 65536));
  TRY(store(fd, hole + 8 * PAGE, 65536));
  TRY(load(fd, (void *)-4096, 65536));
  TRY(load(-1, heap, 65536));
  TRY(store(-1, heap, 65536));
  unsigned char *shared = NEED(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  fill(data, 65536, 9);
  TRY(store(fd, data, 65436));
  TRY(load(fd, shared, 65436));
  IS(memcmp(shared, data, 65436) == 0);

  /* signals come at any moment */
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  NEED(sigaction(SIGALRM, &action, NULL));
  struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
  NEED(ftruncate(fd, 0));
  good = 1;
  NEED(setitimer(ITIMER_REAL, &often, NULL));
  for (int i = 0; alarms < 300 && good; i++) good = round_trip(fd, data, i % 2 ? copy : heap, 60000 + (size_t)i % 5000, (unsigned)i);
  NEED(setitimer(ITIMER_REAL, &never, NULL));
  say("interrupted: %d", good);

  /* a child of a thread that has used its window has one of its own */
  pid_t pid = NEED(fork());
  good = 0;
  for (int i = 0; i < OFTEN; i++) {
    int own = NEED(memfd_create("own", 0));
    good += round_trip(own, data, heap, 65000, (unsigned)i + (pid == 0 ? 77 : 0));
    close(own);
  }
  if (pid == 0) _exit(good);
  int status;
  NEED(waitpid(pid, &status, 0));
  say("%d, child: %s", good, status_text(status));
  return 0;
}
