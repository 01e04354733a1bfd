/* What the hostile guests share: raw system calls, and running something terrible in a child. */
#ifndef HOSTILE_H
#define HOSTILE_H
#include "guest.h"
#include <sys/mman.h>
#include <sys/utsname.h>

/* The call itself, by the syscall instruction, errors negative. */
static inline long raw(long nr, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}

/* Runs `body` in a child and gives its wait status. It has five seconds. */
static inline int in_child(void (*body)(uint64_t), uint64_t argument) {
  int status = 0;
  pid_t pid = fork();
  if (pid < 0) return -1;
  if (pid == 0) {
    alarm(5);
    body(argument);
    _exit(0);
  }
  while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
  }
  return status;
}

/* Some programs would harm a host. */
static inline void only_in_the_sandbox(void) {
  struct utsname uts;
  uname(&uts);
  if (strstr(uts.release, "effect-sentry") != NULL) return;
  say("only in the sandbox");
  exit(2);
}

static uint64_t random_state = 1;
static inline uint64_t next(void) {
  uint64_t z = random_state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
static inline uint64_t below(uint64_t n) { return next() % n; }

#endif
