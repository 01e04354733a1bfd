/* process_madvise(2) and process_mrelease(2): which advice about whose memory. */
#include "guest.h"
#include <grp.h>
#include <sys/mman.h>
#include <sys/uio.h>
#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

static long advise(int pidfd, const struct iovec *ranges, size_t count, int advice, unsigned flags) {
  return syscall(SYS_process_madvise, pidfd, ranges, count, advice, flags);
}

static long release(int pidfd, unsigned flags) { return syscall(SYS_process_mrelease, pidfd, flags); }

int main(void) {
  char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct iovec v[2] = {{m, 4096}, {m + 4096, 4096}};
  int self = NEED(syscall(SYS_pidfd_open, getpid(), 0));
  for (int advice = 0; advice < 25; advice++) {
    if (advice == 9) continue; /* a number that was given up */
    say("self %d: %s", advice, advise(self, v, 1, advice, 0) == -1 ? errname(errno) : "ok");
  }
  pid_t child = NEED(fork());
  if (child == 0) {
    pause();
    _exit(0);
  }
  int other = NEED(syscall(SYS_pidfd_open, child, 0));
  for (int advice = 0; advice < 25; advice++) {
    say("other %d: %s", advice, advise(other, v, 1, advice, 0) == -1 ? errname(errno) : "ok");
  }
  TRY(advise(other, v, 2, MADV_COLD, 0));
  TRY(advise(other, v, 0, MADV_COLD, 0));
  TRY(advise(other, v, 1, MADV_COLD, 1));
  TRY(advise(999, v, 1, MADV_COLD, 0));
  TRY(advise(1, v, 1, MADV_COLD, 0));
  TRY(advise(other, (void *)1, 1, MADV_COLD, 0));
  TRY(advise(other, v, 2000, MADV_COLD, 0));
  v[1].iov_base = (void *)0x1000;
  TRY(advise(other, v, 2, MADV_COLD, 0));
  TRY(advise(other, v + 1, 1, MADV_COLD, 0));
  v[0] = (struct iovec){m + 1, 100};
  TRY(advise(other, v, 1, MADV_COLD, 0));
  v[0] = (struct iovec){m, 100};
  TRY(advise(other, v, 1, MADV_COLD, 0));
  pid_t somebody = NEED(fork());
  if (somebody == 0) {
    setgroups(0, NULL);
    NEED(setgid(1000)), NEED(setuid(1000));
    TRY(advise(other, v, 1, MADV_COLD, 0));
    _exit(0);
  }
  reap("somebody", somebody);
  TRY(release(other, 0));
  TRY(release(other, 1));
  TRY(release(999, 0));
  TRY(release(1, 0));
  kill(child, SIGKILL);
  siginfo_t info;
  waitid(P_PID, child, &info, WEXITED | WNOWAIT);
  TRY(release(other, 0));
  TRY(advise(other, v, 1, MADV_COLD, 0));
  reap("child", child);
  TRY(release(other, 0));
  TRY(advise(other, v, 1, MADV_COLD, 0));
  return 0;
}
