/* What getrusage(2), times(2), wait4(2), SIGCHLD and proc_pid_stat(5) say was used: user and system time, faults, switches. */
#include "guest.h"
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

static int64_t ns(struct timeval time) { return time.tv_sec * 1000000000LL + time.tv_usec * 1000; }
static struct rusage usage(int who) {
  struct rusage result;
  NEED(getrusage(who, &result));
  return result;
}
static int64_t used(int who) {
  struct rusage now = usage(who);
  return ns(now.ru_utime) + ns(now.ru_stime);
}
static int64_t clock_ns(clockid_t clock) {
  struct timespec now;
  NEED(clock_gettime(clock, &now));
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Uses so much CPU time, ms: all in the program itself, or most of it in the kernel. */
static void compute(int ms) {
  int64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + ms * 1000000LL;
  do
    for (volatile int i = 0; i < 300000; i++) {
    }
  while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end);
}
static void fault(int ms) {
  int64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + ms * 1000000LL;
  const int size = 1 << 20;
  char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  madvise(area, size, MADV_NOHUGEPAGE);
  do {
    for (int at = 0; at < size; at += 4096) area[at] = 1;
    madvise(area, size, MADV_DONTNEED);
  } while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end);
  munmap(area, size);
}

static long stat_field(int number) {
  char text[1024], *at;
  int fd = NEED(open("/proc/self/stat", O_RDONLY));
  text[NEED(read(fd, text, sizeof text - 1))] = 0;
  close(fd);
  at = strrchr(text, ')') + 2; /* field 3 */
  for (int i = 3; i < number; i++) at = strchr(at, ' ') + 1;
  return atol(at);
}

/* So many page faults. */
static void touch(int pages) {
  char *area = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  madvise(area, pages * 4096, MADV_NOHUGEPAGE);
  for (int i = 0; i < pages; i++) area[i * 4096] = 1;
  munmap(area, pages * 4096);
}

static volatile sig_atomic_t virtual_rings, profile_rings, virtual_first;
static void on_virtual(int signo) {
  (void)signo;
  virtual_rings++;
  if (profile_rings == 0) virtual_first = 1;
}
static void on_profile(int signo) {
  (void)signo;
  profile_rings++;
}

static void times_of_both_kinds(void) {
  struct rusage before = usage(RUSAGE_SELF), after;
  struct tms tms;
  compute(130);
  after = usage(RUSAGE_SELF);
  IS(ns(after.ru_utime) - ns(before.ru_utime) > 60000000);
  before = after;
  fault(100);
  after = usage(RUSAGE_SELF);
  IS(ns(after.ru_stime) - ns(before.ru_stime) > 10000000);
  times(&tms);
  IS(tms.tms_utime >= 5);
  IS(tms.tms_stime >= 1);
  IS(stat_field(14) >= 5);
  IS(stat_field(15) >= 1);
  int64_t sum = used(RUSAGE_SELF), process = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  IS(process >= sum - 20000000 && process <= sum + 50000000);
  sum = used(RUSAGE_THREAD), process = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  IS(process >= sum - 20000000 && process <= sum + 50000000);
  int64_t in_user_mode = clock_ns(~getpid() << 3 | 1);
  IS(in_user_mode > 20000000 && in_user_mode < clock_ns(CLOCK_PROCESS_CPUTIME_ID));
  bool backwards = false;
  before = usage(RUSAGE_SELF);
  for (int i = 0; i < 20; i++) {
    if (i % 2 == 0) compute(2);
    else fault(2);
    after = usage(RUSAGE_SELF);
    backwards |= ns(after.ru_utime) < ns(before.ru_utime) || ns(after.ru_stime) < ns(before.ru_stime);
    before = after;
  }
  IS(backwards);
}

static void children(void) {
  sigset_t set;
  sigemptyset(&set), sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  pid_t child = NEED(fork());
  if (child == 0) {
    IS(used(RUSAGE_SELF) < 50000000);
    IS(used(RUSAGE_CHILDREN) == 0);
    touch(400);
    compute(130);
    fault(100);
    _exit(0);
  }
  siginfo_t info;
  struct rusage of_child, all;
  int status;
  NEED(sigwaitinfo(&set, &info));
  IS(info.si_utime > 5);
  IS(info.si_stime >= 1);
  IS(used(RUSAGE_CHILDREN) == 0);
  NEED(wait4(child, &status, 0, &of_child));
  all = usage(RUSAGE_CHILDREN);
  IS(ns(of_child.ru_utime) > 60000000 && ns(of_child.ru_stime) > 10000000);
  IS(ns(of_child.ru_utime) == ns(all.ru_utime) && ns(of_child.ru_stime) == ns(all.ru_stime));
  IS(of_child.ru_minflt >= 400 && of_child.ru_minflt == all.ru_minflt);
  struct tms tms;
  times(&tms);
  IS(tms.tms_cutime > 5 && tms.tms_cstime >= 1);
  IS(stat_field(16) > 5 && stat_field(17) >= 1);
  IS(stat_field(11) == all.ru_minflt);
}

static void faults(void) {
  struct rusage before = usage(RUSAGE_SELF), after;
  long field = stat_field(10);
  touch(500);
  after = usage(RUSAGE_SELF);
  IS(after.ru_minflt - before.ru_minflt >= 500 && after.ru_minflt - before.ru_minflt < 700);
  IS(stat_field(10) - field >= 500);
  INT(after.ru_majflt - before.ru_majflt);
  INT(after.ru_nswap + after.ru_ixrss + after.ru_idrss + after.ru_isrss + after.ru_msgsnd + after.ru_msgrcv + after.ru_nsignals);
}

static void switches(void) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  NEED(sched_setaffinity(0, sizeof one, &one));
  pid_t child = NEED(fork());
  if (child == 0)
    for (;;) {
    }
  struct rusage before = usage(RUSAGE_SELF), after;
  int64_t end = now_ms() + 300;
  while (now_ms() < end) {
  }
  after = usage(RUSAGE_SELF);
  IS(after.ru_nivcsw > before.ru_nivcsw);
  char text[4096], *at;
  int fd = NEED(open("/proc/self/status", O_RDONLY));
  text[NEED(read(fd, text, sizeof text - 1))] = 0;
  at = strstr(text, "\nnonvoluntary_ctxt_switches:\t");
  IS(at != NULL && atol(at + 29) >= after.ru_nivcsw);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

static void interval_timers(void) {
  handle(SIGVTALRM, on_virtual, SA_RESTART);
  handle(SIGPROF, on_profile, SA_RESTART);
  struct itimerval once = {.it_value = {0, 80000}};
  NEED(setitimer(ITIMER_VIRTUAL, &once, NULL));
  NEED(setitimer(ITIMER_PROF, &once, NULL));
  while (profile_rings == 0) fault(5);
  IS(virtual_first);
  while (virtual_rings == 0) compute(5);
  INT(profile_rings);
  INT(virtual_rings);
  struct itimerval left;
  NEED(getitimer(ITIMER_VIRTUAL, &left));
  INT(left.it_value.tv_sec * 1000000 + left.it_value.tv_usec);
}

int main(void) {
  faults();
  times_of_both_kinds();
  children();
  interval_timers();
  switches();
  return 0;
}
