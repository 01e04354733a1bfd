/* System calls often made from the same place in the C library, which a platform may rewrite: they must not change. */
#include "guest.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>

enum { OFTEN = 100 };

static int file;
static volatile int ticks;

static void on_tick(int signal) { ticks += signal == SIGALRM; }

static long read_often(void) {
  char bytes[8];
  long sum = 0;
  for (int i = 0; i < OFTEN; i++) sum += pread(file, bytes, sizeof bytes, 0) + (lseek(file, 2, SEEK_SET) == 2) + read(file, bytes, 3) + bytes[0];
  return sum;
}

static void *reader(void *result) {
  *(long *)result = read_often();
  return result;
}

/* read(2) that fails, among some that don't. */
static int failures(int fd) {
  char byte;
  int count = 0;
  for (int i = 0; i < OFTEN; i++) count += read(i % 2 == 0 ? fd : file, &byte, 1) < 0;
  return count;
}

static int system_calls(void) {
  int right = 0;
  for (int i = 0; i < OFTEN; i++) {
    right += syscall(SYS_getpid) == getpid();
    right += syscall(SYS_close, -1) == -1 && errno == EBADF;
    right += syscall(5555) == -1 && errno == ENOSYS;
    void *page = (void *)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
    right += page != MAP_FAILED && *(char *)page == 0;
    right += syscall(SYS_munmap, page, 4096) == 0;
  }
  return right;
}

/* Signals come while calls begin, wait and end. */
static int interrupted_reads(void) {
  struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
  struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
  int wrong = 0;
  char byte;
  NEED(sigaction(SIGALRM, &action, NULL));
  NEED(setitimer(ITIMER_REAL, &often, NULL));
  while (ticks < 200) wrong += read(-1, &byte, 1) != -1 || errno != EBADF || syscall(SYS_getpid) != getpid();
  NEED(setitimer(ITIMER_REAL, &never, NULL));
  return wrong;
}

int main(void) {
  long result = 0;
  pthread_t thread;
  file = NEED(memfd_create("bytes", 0));
  NEED(write(file, "0123456789", 10));
  say_result("read_often()", read_often());
  say_result("failures(-1)", failures(-1));
  say_result("system_calls()", system_calls());
  say_result("interrupted_reads()", interrupted_reads());
  NEED(pthread_create(&thread, NULL, reader, &result));
  pthread_join(thread, NULL);
  say_result("in a thread", result);
  say_result("read_often()", read_often());
  return 0;
}
