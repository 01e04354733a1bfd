/* More stack than RLIMIT_STACK allows is a fault. */
#include "guest.h"
#include <sys/resource.h>

static long depth(long n) {
  volatile char frame[1024];
  frame[0] = (char)n;
  return n == 0 ? 0 : depth(n - 1) + 1 + (frame[0] - frame[0]);
}

int main(int argc, char **argv) {
  if (argc == 2) {
    struct rlimit limit;
    getrlimit(RLIMIT_STACK, &limit);
    INT(limit.rlim_cur);
    say("%ld", depth(atol(argv[1])));
    return 0;
  }
  for (int i = 0; i < 2; i++) {
    pid_t child = NEED(fork());
    if (child == 0) {
      struct rlimit limit;
      getrlimit(RLIMIT_STACK, &limit);
      limit.rlim_cur = 1 << 20;
      NEED(setrlimit(RLIMIT_STACK, &limit));
      execl("/proc/self/exe", "deep", i == 0 ? "500" : "3000", NULL);
      _exit(1);
    }
    reap(i == 0 ? "within" : "beyond", child);
  }
  return 0;
}
