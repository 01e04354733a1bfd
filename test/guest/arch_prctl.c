/* The segment bases, which belong to the program. */
#include "guest.h"
#include <asm/prctl.h>
#include <pthread.h>

static long in_gs[2] = {1234, 5678};

static long read_gs(void) {
  long value;
  __asm__ volatile("mov %%gs:8, %0" : "=r"(value));
  return value;
}

static void *other(void *arg) {
  unsigned long base = 1;
  syscall(SYS_arch_prctl, ARCH_GET_GS, &base);
  *(unsigned long *)arg = base;
  return NULL;
}

static volatile long in_handler;
static void on_signal(int signo) {
  (void)signo;
  in_handler = read_gs();
}

int main(void) {
  unsigned long base = 1;
  TRY(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
  INT(base);
  TRY(syscall(SYS_arch_prctl, ARCH_SET_GS, in_gs));
  INT(read_gs());
  TRY(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
  IS(base == (unsigned long)in_gs);
  TRY(syscall(SYS_arch_prctl, ARCH_GET_FS, &base));
  unsigned long self;
  __asm__("mov %%fs:0, %0" : "=r"(self));
  IS(base == self);
  TRY(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x8000000000000000));
  TRY(syscall(SYS_arch_prctl, ARCH_GET_GS, 8));
  TRY(syscall(SYS_arch_prctl, 0x9999, 0));
  handle(SIGUSR1, on_signal, 0);
  raise(SIGUSR1);
  INT(in_handler);
  sleep_ms(5);
  INT(read_gs());
  pid_t child = NEED(fork());
  if (child == 0) _exit(read_gs() == 5678 ? 0 : 1);
  reap("inherited by fork", child);
  pthread_t thread;
  pthread_create(&thread, NULL, other, &base);
  pthread_join(thread, NULL);
  say("a thread has %s", base == (unsigned long)in_gs ? "it too" : base == 0 ? "none" : "?");
  return 0;
}
