/* Time namespaces and cgroup namespaces: time_namespaces(7), cgroup_namespaces(7). */
#include "guest.h"
#include <linux/futex.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static const clockid_t CLOCKS[] = {CLOCK_MONOTONIC,        CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE,
                                   CLOCK_BOOTTIME,         CLOCK_REALTIME,      CLOCK_TAI};
#define COUNT (int)(sizeof CLOCKS / sizeof *CLOCKS)

static double now(clockid_t clock) {
  struct timespec time;
  NEED(clock_gettime(clock, &time));
  return time.tv_sec + time.tv_nsec / 1e9;
}
static double now_by_call(clockid_t clock) {
  struct timespec time;
  NEED(syscall(SYS_clock_gettime, clock, &time));
  return time.tv_sec + time.tv_nsec / 1e9;
}

/* What the clocks show more than they did in the first namespace, in whole hundreds of seconds. */
static double first[COUNT];
static void shifts(const char *who) {
  char line[256] = "";
  for (int i = 0; i < COUNT; i++) {
    long shift = (long)((now(CLOCKS[i]) - first[i]) / 100), by_call = (long)((now_by_call(CLOCKS[i]) - first[i]) / 100);
    sprintf(line + strlen(line), " %ld%s", shift, shift == by_call ? "" : " (another by system call)");
  }
  say("%s:%s", who, line);
}

static ino_t number(const char *path) {
  struct stat st;
  NEED(stat(path, &st));
  return st.st_ino;
}
static bool same(const char *kind) {
  char mine[64], parents[64];
  snprintf(mine, sizeof mine, "/proc/self/ns/%s", kind);
  snprintf(parents, sizeof parents, "/proc/%d/ns/%s", getppid(), kind);
  return number(mine) == number(parents);
}

static int set(const char *text) {
  int fd = NEED(open("/proc/self/timens_offsets", O_WRONLY));
  int result = write(fd, text, strlen(text));
  int error = errno;
  close(fd);
  errno = error;
  return result;
}
static void show_offsets(const char *who) { say("%s offsets: %s", who, get("/proc/self/timens_offsets")); }

static void in_child(const char *name, void (*body)(void)) {
  pid_t child = NEED(fork());
  if (child == 0) {
    body();
    _exit(0);
  }
  reap(name, child);
}

/* Deadlines on the shifted clock; how long they took, in whole tenths of a second. */
static void deadlines(void) {
  struct timespec until;
  double start = now(CLOCK_REALTIME);
#define TOOK(name)                                                                                                     \
  say("%s: %d", name, (int)((now(CLOCK_REALTIME) - start) * 10 + 0.5) < 4);                                            \
  start = now(CLOCK_REALTIME);                                                                                         \
  clock_gettime(CLOCK_MONOTONIC, &until);                                                                              \
  until.tv_nsec += 50000000;                                                                                           \
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  TOOK("start");
  TRY(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
  IS(now(CLOCK_REALTIME) - start > 0.045);
  TOOK("absolute sleep");
  struct timespec relative = {0, 50000000};
  TRY(clock_nanosleep(CLOCK_MONOTONIC, 0, &relative, NULL));
  IS(now(CLOCK_REALTIME) - start > 0.045);
  TOOK("relative sleep");
  int word = 0;
  TRY(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &until, NULL, ~0));
  IS(now(CLOCK_REALTIME) - start > 0.045);
  TOOK("futex");
  int fd = NEED(timerfd_create(CLOCK_MONOTONIC, 0));
  struct itimerspec at = {.it_value = until};
  uint64_t count = 0;
  NEED(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL));
  INT(read(fd, &count, 8) == 8 && count == 1);
  IS(now(CLOCK_REALTIME) - start > 0.045);
  TOOK("timerfd");
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGALRM);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  timer_t timer;
  NEED(timer_create(CLOCK_MONOTONIC, NULL, &timer));
  at.it_value = until;
  NEED(timer_settime(timer, TIMER_ABSTIME, &at, NULL));
  INT(sigwaitinfo(&mask, NULL));
  IS(now(CLOCK_REALTIME) - start > 0.045);
  TOOK("timer");
}

/* What else goes by CLOCK_BOOTTIME, in whole hundreds of seconds. */
static double first_uptime;
static double uptime(void) {
  double result = 0;
  sscanf(get("/proc/uptime"), "%lf", &result);
  return result;
}
static void reports(void) {
  struct sysinfo info;
  sysinfo(&info);
  char *text = strrchr(get("/proc/self/stat"), ')') + 2;
  for (int i = 3; i < 22; i++) text = strchr(text, ' ') + 1;
  double started = atol(text) / (double)sysconf(_SC_CLK_TCK);
  INT((uptime() - first_uptime) / 100);
  INT((info.uptime + 1 - first_uptime) / 100);
  INT((started + 1 - first_uptime) / 100);
}

static const char *program;
static void run_program(const char *how) {
  char numbers[COUNT][32];
  for (int i = 0; i < COUNT; i++) snprintf(numbers[i], sizeof numbers[i], "%f", first[i]);
  execl(program, program, how, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], NULL);
}

static int original;
static void *wait_for_end(void *argument) {
  pause();
  return argument;
}

static void shifted(void) {
  shifts("child");
  say("time %d, for children %d", same("time"), same("time_for_children"));
  show_offsets("child");
  TRY(set("monotonic 5 0\n"));
  deadlines();
  reports();
  in_child("grandchild", reports);
  pid_t child = NEED(fork());
  if (child == 0) {
    run_program("executed");
    _exit(1);
  }
  reap("program", child);
  TRY(unshare(CLONE_NEWTIME));
  show_offsets("nested");
  TRY(set("monotonic 9000 0\n"));
  shifts("unchanged");
  child = NEED(fork());
  if (child == 0) {
    shifts("nested");
    TRY(setns(original, CLONE_NEWTIME));
    shifts("back");
    show_offsets("back");
    TRY(set("monotonic 5 0\n"));
    _exit(0);
  }
  reap("nested", child);
  child = vfork();
  if (child == 0) {
    shifts("vfork");
    run_program("executed after vfork");
    _exit(1);
  }
  reap("vfork", child);
  pthread_t thread;
  pthread_create(&thread, NULL, wait_for_end, NULL);
  TRY(setns(original, CLONE_NEWTIME));
}

static void bad_offsets(void) {
  TRY(unshare(CLONE_NEWTIME));
  show_offsets("new");
  const char *texts[] = {"",
                         "\n",
                         "monotonic\n",
                         "monotonic 1\n",
                         "realtime 1 0\n",
                         "0 1 0\n",
                         "monotonic x 0\n",
                         "monotonic 1 1000000000\n",
                         "monotonic 1 -1\n",
                         "monotonic -9000000000 0\n",
                         "monotonic 9000000000 0\n",
                         "monotonic 99999999999 0\n",
                         "boottime -100000000 0\n",
                         "1 10 20",
                         "7   30 40\n",
                         "monotonic 1 2\nboottime 3 4\n",
                         "monotonic 5 6\nmonotonic 7 8\n",
                         "monotonic 1 2\nboottime 3 4\nmonotonic 5 6\n",
                         "monotonic 1 2\n\n",
                         "monotonic 50 0 rest\n",
                         "monotonicmonotonic 5 0\n"};
  for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
    int result = set(texts[i]);
    say("%u: %d %s", i, result, result == -1 ? errname(errno) : get("/proc/self/timens_offsets"));
  }
}

static void unprivileged(void) {
  ino_t time_number = number("/proc/self/ns/time"), cgroup_number = number("/proc/self/ns/cgroup");
  NEED(setresuid(65534, 65534, 65534));
  TRY(unshare(CLONE_NEWTIME));
  TRY(unshare(CLONE_NEWCGROUP));
  TRY(setns(original, 0));
  TRY(unshare(CLONE_NEWUSER | CLONE_NEWTIME | CLONE_NEWCGROUP));
  say("time_for_children %d, cgroup %d", number("/proc/self/ns/time_for_children") == time_number,
      number("/proc/self/ns/cgroup") == cgroup_number);
  TRY(setns(original, 0));
}

static void by_clone(void) {
  struct clone_args args = {.flags = CLONE_NEWTIME, .exit_signal = SIGCHLD};
  pid_t child = NEED(syscall(SYS_clone3, &args, sizeof args));
  if (child == 0) {
    say("time %d, for children %d", same("time"), same("time_for_children"));
    shifts("cloned");
    TRY(set("monotonic 5 0\n"));
    _exit(0);
  }
  reap("cloned", child);
  TRY(unshare(CLONE_NEWTIME));
  NEED(set("boottime 2000 0\n"));
  args.flags = CLONE_VM | CLONE_VFORK;
  child = vfork();
  if (child == 0) {
    say("time %d, for children %d", same("time"), same("time_for_children"));
    _exit(0);
  }
  reap("vfork", child);
  NEED(set("boottime 3000 0\n"));
  pthread_t thread;
  say("thread: %s", errname(pthread_create(&thread, NULL, wait_for_end, NULL)));
  run_program("the same process");
}

static void cgroups(void) {
  IS(same("cgroup"));
  int before = NEED(open("/proc/self/ns/cgroup", O_RDONLY));
  TRY(unshare(CLONE_NEWCGROUP));
  IS(same("cgroup"));
  IS(strstr(get("/proc/self/cgroup"), "0::/\n") != NULL);
  pid_t child = NEED(fork());
  if (child == 0) {
    IS(same("cgroup"));
    TRY(setns(before, CLONE_NEWTIME));
    TRY(setns(before, CLONE_NEWCGROUP));
    IS(same("cgroup"));
    _exit(0);
  }
  reap("in it", child);
  struct clone_args args = {.flags = CLONE_NEWCGROUP, .exit_signal = SIGCHLD};
  child = NEED(syscall(SYS_clone3, &args, sizeof args));
  if (child == 0) {
    IS(same("cgroup"));
    _exit(0);
  }
  reap("cloned", child);
}

int main(int argc, char **argv) {
  program = argv[0];
  if (argc > 1) {
    for (int i = 0; i < COUNT; i++) first[i] = atof(argv[2 + i]);
    shifts(argv[1]);
    return 0;
  }
  for (int i = 0; i < COUNT; i++) first[i] = now(CLOCKS[i]);
  first_uptime = uptime();
  original = NEED(open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC));
  show_offsets("first");
  TRY(set("monotonic 5 0\n"));
  in_child("bad offsets", bad_offsets);
  in_child("unprivileged", unprivileged);
  in_child("by clone", by_clone);
  in_child("cgroups", cgroups);
  TRY(unshare(CLONE_NEWTIME));
  say("one namespace %d", number("/proc/self/ns/time") == number("/proc/self/ns/time_for_children"));
  TRY(set("monotonic 1000 500\nboottime 5000 0\n"));
  show_offsets("parent");
  shifts("parent");
  in_child("shifted", shifted);
  TRY(set("monotonic 5 0\n"));
  return 0;
}
