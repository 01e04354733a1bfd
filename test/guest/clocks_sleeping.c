/* clock_nanosleep(2) on each clock: what can be slept on, absolute and relative, interrupted, restarted; CPU-time clocks. */
#include "guest.h"
#include <pthread.h>
#include <sys/time.h>

static volatile int handled;
static void on_signal(int signo) { (void)signo, handled++; }

static long sleep_on(int clock, int flags, const struct timespec *request, struct timespec *remain) {
  return syscall(SYS_clock_nanosleep, clock, flags, request, remain) == -1 ? -errno : 0;
}

static void result(const char *name, long code) { say("%s: %s", name, errname(-code)); }

static struct timespec plus(clockid_t clock, long ms) {
  struct timespec at;
  clock_gettime(clock, &at);
  long long nanos = at.tv_sec * 1000000000LL + at.tv_nsec + ms * 1000000LL;
  return (struct timespec){nanos / 1000000000, nanos % 1000000000};
}

static void shortly(int ms) {
  struct itimerval soon = {.it_value = {0, ms * 1000}};
  setitimer(ITIMER_REAL, &soon, NULL);
}

static volatile int stop;
static void *spin(void *unused) {
  (void)unused;
  while (!stop) {
  }
  return NULL;
}

int main(void) {
  struct timespec short_time = {0, 1000000}, left = {7, 7};
  for (int clock = 0; clock < 12; clock++) {
    if (clock == CLOCK_PROCESS_CPUTIME_ID) continue;
    char name[32];
    snprintf(name, sizeof name, "clock %d", clock);
    result(name, sleep_on(clock, 0, &short_time, NULL));
  }
  result("clock 77", sleep_on(77, 0, &short_time, NULL));
  result("bad pointer", sleep_on(CLOCK_MONOTONIC, 0, (void *)8, NULL));
  result("bad clock before bad pointer", sleep_on(77, 0, (void *)8, NULL));
  struct timespec bad = {0, 1000000000};
  result("too many nanoseconds", sleep_on(CLOCK_MONOTONIC, 0, &bad, NULL));
  bad = (struct timespec){0, -1};
  result("negative nanoseconds", sleep_on(CLOCK_MONOTONIC, 0, &bad, NULL));
  bad = (struct timespec){-1, 0};
  result("negative seconds", sleep_on(CLOCK_MONOTONIC, 0, &bad, NULL));
  result("negative, absolute", sleep_on(CLOCK_MONOTONIC, TIMER_ABSTIME, &bad, NULL));
  result("unknown flags", sleep_on(CLOCK_MONOTONIC, 0x70, &short_time, NULL));
  bad = (struct timespec){0, 0};
  result("nothing", sleep_on(CLOCK_MONOTONIC, 0, &bad, NULL));
  result("long ago", sleep_on(CLOCK_REALTIME, TIMER_ABSTIME, &bad, NULL));

  int64_t start = now_ms();
  const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI};
  for (int i = 0; i < 4; i++) {
    struct timespec at = plus(clocks[i], 20);
    result("until", sleep_on(clocks[i], TIMER_ABSTIME, &at, NULL));
    struct timespec now;
    clock_gettime(clocks[i], &now);
    say("it was: %d", now.tv_sec > at.tv_sec || (now.tv_sec == at.tv_sec && now.tv_nsec >= at.tv_nsec));
  }
  say("took long enough: %d", now_ms() - start >= 70);

  handle(SIGALRM, on_signal, 0);
  struct timespec a_while = {50, 0};
  shortly(20);
  result("interrupted", sleep_on(CLOCK_MONOTONIC, 0, &a_while, &left));
  say("left: %d", left.tv_sec == 49);
  shortly(20);
  result("interrupted, nothing told", sleep_on(CLOCK_MONOTONIC, 0, &a_while, NULL));
  shortly(20);
  result("interrupted, told to a bad place", sleep_on(CLOCK_MONOTONIC, 0, &a_while, (void *)8));
  left = (struct timespec){7, 7};
  struct timespec at = plus(CLOCK_MONOTONIC, 50000);
  shortly(20);
  result("absolute, interrupted", sleep_on(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, &left));
  say("left as it was: %d", left.tv_sec == 7 && left.tv_nsec == 7);
  handle(SIGALRM, on_signal, SA_RESTART);
  shortly(20);
  result("relative, SA_RESTART", sleep_on(CLOCK_MONOTONIC, 0, &a_while, &left));
  shortly(20);
  result("absolute, SA_RESTART", sleep_on(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, &left));
  INT(handled);

  say("stopped and continued");
  pid_t child = NEED(fork());
  if (child == 0) {
    start = now_ms();
    struct timespec time = {0, 150000000};
    long code = sleep_on(CLOCK_MONOTONIC, 0, &time, &left);
    long took = now_ms() - start;
    say("relative: %s %d", errname(-code), took >= 150 && took < 1500);
    at = plus(CLOCK_REALTIME, 150);
    code = sleep_on(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL);
    say("absolute: %s", errname(-code));
    _exit(0);
  }
  for (int i = 0; i < 4; i++) {
    sleep_ms(35);
    kill(child, SIGSTOP);
    sleep_ms(10);
    kill(child, SIGCONT);
  }
  reap("sleeper", child);

  say("CPU time");
  pthread_t thread;
  pthread_create(&thread, NULL, spin, NULL);
  struct timespec before, after;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  struct timespec cpu = {0, 60000000};
  result("of the process", sleep_on(CLOCK_PROCESS_CPUTIME_ID, 0, &cpu, NULL));
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  long used = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
  say("used: %d", used >= 59 && used < 1000);
  at = plus(CLOCK_PROCESS_CPUTIME_ID, 50);
  result("of the process, absolute", sleep_on(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &at, NULL));
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  say("it was: %d", after.tv_sec > at.tv_sec || (after.tv_sec == at.tv_sec && after.tv_nsec >= at.tv_nsec));
  clockid_t of_thread;
  pthread_getcpuclockid(thread, &of_thread);
  at = plus(of_thread, 50);
  result("of another thread, absolute", sleep_on(of_thread, TIMER_ABSTIME, &at, NULL));
  clock_gettime(of_thread, &after);
  say("it was: %d", after.tv_sec > at.tv_sec || (after.tv_sec == at.tv_sec && after.tv_nsec >= at.tv_nsec));
  clockid_t own;
  pthread_getcpuclockid(pthread_self(), &own);
  result("of the own thread", sleep_on(own, 0, &cpu, NULL));
  stop = 1;
  pthread_join(thread, NULL);
  /* nobody uses CPU time now */
  handle(SIGALRM, on_signal, 0);
  shortly(80);
  cpu = (struct timespec){0, 500000000};
  result("idle, interrupted", sleep_on(CLOCK_PROCESS_CPUTIME_ID, 0, &cpu, &left));
  say("most is left: %d", left.tv_sec == 0 && left.tv_nsec > 300000000 && left.tv_nsec <= 500000000);
  at = plus(CLOCK_PROCESS_CPUTIME_ID, 500);
  shortly(80);
  result("idle, absolute, interrupted", sleep_on(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &at, &left));

  say("resolution and setting");
  for (int clock = 0; clock < 12; clock++) {
    if (clock == 8 || clock == 9) continue; /* there if the machine has an alarm clock */
    struct timespec resolution = {9, 9};
    long code = syscall(SYS_clock_getres, clock, &resolution);
    say("clock %d: %s %ld", clock, code == -1 ? errname(errno) : "ok", code == -1 ? 0 : resolution.tv_nsec);
  }
  struct timespec new_time = {1, 0};
  for (int clock = 1; clock < 12; clock++) {
    if (clock == 8 || clock == 9) continue;
    long code = syscall(SYS_clock_settime, clock, &new_time);
    say("setting clock %d: %s", clock, code == -1 ? errname(errno) : "ok");
  }
  return 0;
}
