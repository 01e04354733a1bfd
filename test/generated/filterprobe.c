/*
 * What the kernel that it runs on says of seccomp(2) filters and calls. On standard input, cases:
 *
 *   f HEX                      a filter, 8 bytes an instruction; the filters of a case are stacked
 *   i NR A0 A1 A2 A3 A4 A5     a call, in hexadecimal
 *   .                          the end of a case
 *
 * For each case one line: the results of the installations, then for each call what it returned, "t" and the data of a
 * trap, or "k" and the signal of who was killed.
 *
 * A filter lets through what the probe itself needs: it is preceded by instructions that let all calls but getppid and
 * those that do not exist pass. Static and not position-independent: the instruction pointer is the same everywhere.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILTERS = 8, INSTRUCTIONS = 4096, CALLS = 64 };

static struct sock_filter filters[FILTERS][INSTRUCTIONS];
static int lengths[FILTERS], filter_count, call_count;
static unsigned long calls[CALLS][7];

/* What the child has found out. It makes no call to say so. */
struct result {
  long value;
  int data;
  char kind; /* 0: not made yet, 'r' returned, 't' trapped */
};
static struct shared {
  int installed[FILTERS];
  volatile int next;
  struct result results[CALLS];
} *shared;

static void on_trap(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)context;
  struct result *result = &shared->results[shared->next];
  result->kind = 't';
  result->data = info->si_errno;
}

static long call(const unsigned long *c) {
  register long r10 __asm__("r10") = c[4], r8 __asm__("r8") = c[5], r9 __asm__("r9") = c[6];
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(c[0]), "D"(c[1]), "S"(c[2]), "d"(c[3]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

static void child(void) {
  struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
  sigaction(SIGSYS, &action, NULL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (int i = 0; i < filter_count; i++) {
    struct sock_fprog program = {lengths[i], filters[i]};
    shared->installed[i] = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == -1 ? errno : 0;
  }
  for (; shared->next < call_count; shared->next++) {
    struct result *result = &shared->results[shared->next];
    long value = call(calls[shared->next]);
    if (result->kind == 0) {
      result->kind = 'r';
      result->value = value > 0 ? 1 : value; /* a process id */
    }
  }
  syscall(SYS_exit_group, 0);
}

static void finish(void) {
  memset(shared, 0, sizeof *shared);
  for (;;) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) child();
    if (pid == -1 || waitpid(pid, &status, 0) != pid) abort();
    if (WIFSIGNALED(status) && shared->next < call_count) {
      struct result *result = &shared->results[shared->next++];
      result->kind = 'k';
      result->value = WTERMSIG(status);
    } else break;
  }
  for (int i = 0; i < filter_count; i++) printf("%d ", shared->installed[i]);
  for (int i = 0; i < call_count; i++) {
    struct result *result = &shared->results[i];
    if (result->kind == 't') printf(" t%04x", result->data);
    else printf(" %c%ld", result->kind, result->value);
  }
  printf("\n");
  filter_count = call_count = 0;
}

/* After these the accumulator holds the number; the index register is as it was. */
static const struct sock_filter PRELUDE[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 1000, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static void read_filter(const char *hex) {
  struct sock_filter *filter = filters[filter_count];
  memcpy(filter, PRELUDE, sizeof PRELUDE);
  unsigned char *bytes = (unsigned char *)(filter + sizeof PRELUDE / sizeof *PRELUDE);
  int count = 0;
  for (; sscanf(hex, "%2hhx", &bytes[count]) == 1; hex += 2) count++;
  lengths[filter_count++] = sizeof PRELUDE / sizeof *PRELUDE + count / 8;
}

int main(void) {
  static char line[1 << 17];
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  while (fgets(line, sizeof line, stdin) != NULL) {
    switch (line[0]) {
    case 'f':
      if (filter_count < FILTERS) read_filter(line + 2);
      break;
    case 'i': {
      unsigned long *c = calls[call_count++ % CALLS];
      sscanf(line + 2, "%lx %lx %lx %lx %lx %lx %lx", &c[0], &c[1], &c[2], &c[3], &c[4], &c[5], &c[6]);
      break;
    }
    case '.':
      fflush(stdout);
      finish();
      break;
    }
  }
  return 0;
}
