/*
 * What goes between the kernel and memory where somebody has changed that memory, or is about to: buffers of a call that waits,
 * guard pages, results that others wait for, a processor that checks alignment. From call sites that are hot.
 */
#include "guest.h"
#include <linux/aio_abi.h>
#include <pthread.h>
#include <sys/mman.h>
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define OFTEN 80

__attribute__((noinline)) static long call3(long nr, long a, long b, long c) {
  long result;
  if (nr == SYS_read)
    __asm__ volatile("mov $0, %%eax; syscall" : "=&a"(result) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  else if (nr == SYS_write)
    __asm__ volatile("mov $1, %%eax; syscall" : "=&a"(result) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  else
    __asm__ volatile("mov $209, %%eax; syscall" : "=&a"(result) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}

/* ---- a write that waits writes what its buffer has when there is room */

static char buffer[64];
static int ends[2];
static void *write_buffer(void *unused) {
  call3(SYS_write, ends[1], (long)buffer, 16);
  return unused;
}

static void waiting_write(void) {
  static char full[4096], got[8192];
  int null = NEED(open("/dev/null", O_WRONLY)), count = 0;
  pthread_t thread;
  memset(buffer, 'A', 16);
  for (int i = 0; i < OFTEN; i++) call3(SYS_write, null, (long)buffer, 16);
  NEED(pipe(ends));
  fcntl(ends[1], F_SETPIPE_SZ, 4096);
  if (write(ends[1], full, 4096) != 4096) return;
  pthread_create(&thread, NULL, write_buffer, NULL);
  usleep(300000);
  memset(buffer, 'B', 16);
  while (count < 4096 + 16) count += (int)NEED(read(ends[0], got + count, sizeof got - (size_t)count));
  pthread_join(thread, NULL);
  say("a write that waited: %.16s", got + 4096);
  close(null);
}

/* ---- guard pages: plain memory, says the map, and yet it can't be written */

static void guards(void) {
  char *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (madvise(memory + 8192, 4096, MADV_GUARD_INSTALL) != 0) {
    say("guards: all as expected"); /* a host that has none */
    return;
  }
  int failed = 0, worked = 0, left = 0, in_child = 0;
  NEED(pipe(ends));
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  for (int i = 0; i < OFTEN; i++) {
    char rest[16];
    if (write(ends[1], "x", 1) != 1) return;
    failed += call3(SYS_read, ends[0], (long)(memory + 8192 + i), 1) == -EFAULT;
    left += read(ends[0], rest, sizeof rest) == 1;
    if (write(ends[1], "x", 1) != 1) return;
    worked += call3(SYS_read, ends[0], (long)(memory + 8191), 1) == 1;
  }
  pid_t child = NEED(fork());
  if (child == 0) _exit(call3(SYS_write, ends[1], (long)(memory + 8192), 1) == -EFAULT ? 0 : 1);
  int status;
  waitpid(child, &status, 0);
  in_child = status == 0;
  say(failed == OFTEN && worked == OFTEN && left >= 0 && in_child ? "guards: all as expected" : "guards: %d %d %d %d", failed, worked,
      left, in_child);
}

/* ---- who reaps an operation finds its bytes */

#define SIZE 65536
static aio_context_t context;
static char *target;
static _Atomic int ready = 1;
static void *reap_operations(void *unused) {
  long bad = 0;
  for (int i = 0; i < 400; i++) {
    struct io_event event;
    while (syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1) continue;
    if (event.res != SIZE || target[SIZE - 1] != 'x' || target[0] != 'x') bad++;
    memset(target, 0, SIZE);
    ready = 1;
  }
  say("operations: %ld without their bytes", bad);
  return unused;
}

static void operations(void) {
  int file = NEED(open("operations", O_RDWR | O_CREAT | O_TRUNC, 0600));
  target = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(target, 'x', SIZE);
  if (write(file, target, SIZE) != SIZE) return;
  NEED(syscall(SYS_io_setup, 16, &context));
  pthread_t thread;
  pthread_create(&thread, NULL, reap_operations, NULL);
  for (int i = 0; i < 400; i++) {
    while (!ready) sched_yield();
    ready = 0;
    struct iocb block = {.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (unsigned)file, .aio_buf = (uint64_t)target, .aio_nbytes = SIZE};
    struct iocb *list = &block;
    if (call3(SYS_io_submit, (long)context, 1, (long)&list) != 1) say("not submitted");
  }
  pthread_join(thread, NULL);
  unlink("operations");
}

/* ---- alignment check */

__attribute__((noinline)) static long read_checked(int fd, void *to, long count) {
  long result;
  __asm__ volatile("pushfq; orq $0x40000, (%%rsp); popfq; mov $0, %%eax; syscall; pushfq; andq $~0x40000, (%%rsp); popfq"
                   : "=&a"(result)
                   : "D"((long)fd), "S"(to), "d"(count)
                   : "rcx", "r11", "memory", "cc");
  return result;
}

static void alignment(void) {
  char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int right = 0;
  NEED(pipe(ends));
  for (int i = 0; i < OFTEN; i++) {
    memset(memory, 0, 256);
    if (write(ends[1], "0123456789abcdef", 16) != 16) return;
    right += read_checked(ends[0], memory + 1, 16) == 16 && memcmp(memory + 1, "0123456789abcdef", 16) == 0;
  }
  say("with alignment checked: %d", right);
}

/* ---- memory whose protection a sibling changes all the time: what a read says that it has read is there */

#define PLACES 1500
static char *restless;
static _Atomic int done;
static void *protect(void *unused) {
  while (!done) {
    mprotect(restless, PLACES * 64, PROT_READ);
    mprotect(restless, PLACES * 64, PROT_READ | PROT_WRITE);
  }
  return unused;
}

static void protection(void) {
  int zero = NEED(memfd_create("ones", 0)), lost = 0, other = 0;
  char ones[64];
  memset(ones, 1, sizeof ones);
  if (write(zero, ones, sizeof ones) != sizeof ones) return;
  /* every place is read into once, so that what is there afterwards came then */
  restless = mmap(NULL, PLACES * 64, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_t thread;
  pthread_create(&thread, NULL, protect, NULL);
  for (int i = 0; i < PLACES; i++) {
    lseek(zero, 0, SEEK_SET);
    long n = call3(SYS_read, zero, (long)(restless + 64 * i), 64);
    if (n == 64) lost += memcmp(restless + 64 * i, ones, 64) != 0;
    else other += n != -EFAULT;
  }
  done = 1;
  pthread_join(thread, NULL);
  say("under changing protection: lost %d, other results %d", lost, other);
}

int main(void) {
  waiting_write();
  guards();
  operations();
  alignment();
  protection();
  return 0;
}
