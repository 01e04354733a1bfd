#include "guest.h"
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

static int64_t ns(clockid_t id) {
  struct timespec t;
  return clock_gettime(id, &t) == 0 ? t.tv_sec * 1000000000LL + t.tv_nsec : -1;
}

int main(void) {
  clockid_t ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
                     CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    int back = 0;
    int64_t last = ns(ids[i]);
    for (int n = 0; n < 2000; n++) {
      int64_t now = ns(ids[i]);
      back += now < last;
      last = now;
    }
    struct timespec res;
    int r = clock_getres(ids[i], &res);
    say("clock %d: works=%d backwards=%d resolution=%s", ids[i], last > 0, back,
        r != 0 ? errname(errno) : res.tv_sec == 0 && res.tv_nsec > 0 ? "positive" : "?");
  }
  TRY(clock_gettime(77, &(struct timespec){0}));
  TRY(syscall(SYS_clock_gettime, CLOCK_REALTIME, (void *)8));
  TRY(syscall(SYS_clock_getres, CLOCK_REALTIME, NULL));
  struct timeval tv;
  TRY(gettimeofday(&tv, NULL));
  IS(labs(tv.tv_sec - time(NULL)) <= 1);
  IS(llabs(ns(CLOCK_REALTIME) / 1000000000 - time(NULL)) <= 1);
  IS(syscall(SYS_time, NULL) >= tv.tv_sec);
  /* the system call and the library's shortcut agree */
  struct timespec a, b, c;
  clock_gettime(CLOCK_MONOTONIC, &a);
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &b);
  clock_gettime(CLOCK_MONOTONIC, &c);
  IS((a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec)));
  IS((b.tv_sec < c.tv_sec || (b.tv_sec == c.tv_sec && b.tv_nsec <= c.tv_nsec)));

  int64_t start = ns(CLOCK_MONOTONIC);
  TRY(nanosleep(&(struct timespec){0, 30000000}, NULL));
  int64_t slept = ns(CLOCK_MONOTONIC) - start;
  IS(slept >= 30000000 && slept < 1000000000);
  TRY(nanosleep(&(struct timespec){0, 1000000000}, NULL));
  TRY(nanosleep(&(struct timespec){-1, 0}, NULL));
  TRY(nanosleep(&(struct timespec){0, 0}, NULL));
  TRY(syscall(SYS_nanosleep, (void *)8, NULL));
  clock_gettime(CLOCK_MONOTONIC, &a);
  a.tv_nsec += 20000000;
  if (a.tv_nsec >= 1000000000) a.tv_sec++, a.tv_nsec -= 1000000000;
  TRY(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &a, NULL));
  clock_gettime(CLOCK_MONOTONIC, &b);
  IS((b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec)));
  a.tv_sec -= 100;
  TRY(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &a, NULL));
  TRY(clock_nanosleep(CLOCK_REALTIME, 0, &(struct timespec){0, 1000}, NULL));
  INT(clock_nanosleep(77, 0, &a, NULL));
  INT(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &a, NULL));
  /* processor time moves when we work */
  int64_t cpu = ns(CLOCK_PROCESS_CPUTIME_ID);
  for (volatile long i = 0; i < 30000000; i++) {
  }
  IS(ns(CLOCK_PROCESS_CPUTIME_ID) > cpu);
  struct rusage u;
  TRY(getrusage(RUSAGE_SELF, &u));
  IS(u.ru_utime.tv_sec * 1000000 + u.ru_utime.tv_usec > 0);
  IS(u.ru_maxrss > 100);
  TRY(getrusage(RUSAGE_CHILDREN, &u));
  INT(u.ru_utime.tv_sec);
  TRY(getrusage(RUSAGE_THREAD, &u));
  TRY(getrusage(55, &u));
  struct tms tms;
  IS(times(&tms) > 0);
  INT(sysconf(_SC_CLK_TCK));
  return 0;
}
