/* What becomes of the signals of POSIX timers: ignored, blocked, set anew, deleted, overrun, to threads, through execve. */
#include "guest.h"
#include <pthread.h>
#include <sys/time.h>

static sigset_t set;
static int rt;

static timer_t make(clockid_t clock, int notify, int signo, int value) {
  timer_t id;
  struct sigevent event = {.sigev_notify = notify, .sigev_signo = signo};
  event.sigev_value.sival_int = value;
  NEED(timer_create(clock, &event, &id));
  return id;
}

static void arm(timer_t id, int flags, long ms, long every_ms) {
  struct itimerspec spec = {{every_ms / 1000, every_ms % 1000 * 1000000}, {ms / 1000, ms % 1000 * 1000000}};
  NEED(timer_settime(id, flags, &spec, NULL));
}

static siginfo_t last;

static int take_within(long ms) {
  struct timespec limit = {ms / 1000, ms % 1000 * 1000000};
  memset(&last, 0, sizeof last);
  return sigtimedwait(&set, &last, &limit);
}

static void taken(const char *name, long ms) {
  int got = take_within(ms);
  if (got == -1) say("%s: %s", name, errname(errno));
  else say("%s: %s code %d value %d", name, got == rt ? "signal" : "other", last.si_code, last.si_value.sival_int);
}

static const char *about(long n, long low, long high) {
  static char text[64];
  if (n >= low && n <= high) return "as expected";
  snprintf(text, sizeof text, "%ld", n);
  return text;
}

static volatile int handled, handled_overrun, handled_in_thread;
static void on_timer(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)context;
  handled++;
  handled_overrun = info->si_overrun;
  handled_in_thread = gettid() != getpid();
}

static void *thread_sleeps(void *tid) {
  *(volatile pid_t *)tid = gettid();
  sigset_t own;
  sigemptyset(&own);
  sigaddset(&own, rt);
  pthread_sigmask(SIG_UNBLOCK, &own, NULL);
  for (int i = 0; i < 400 && handled == 0; i++) sleep_ms(5);
  return NULL;
}

static void *thread_waits(void *tid) {
  *(volatile pid_t *)tid = gettid();
  for (int i = 0; i < 400 && handled == 0; i++) sleep_ms(5);
  return NULL;
}

int main(int argc, char **argv) {
  rt = SIGRTMIN + 2;
  sigemptyset(&set);
  sigaddset(&set, rt);
  sigprocmask(SIG_BLOCK, &set, NULL);
  if (argc > 1) {
    struct itimerspec spec;
    timer_t id = (timer_t)(intptr_t)atoi(argv[1]);
    say("after execve: %s", timer_gettime(id, &spec) == -1 ? errname(errno) : "there");
    taken("its pending signal", 30);
    struct itimerval interval;
    getitimer(ITIMER_REAL, &interval);
    say("the interval timer goes on: %d", interval.it_value.tv_sec > 50);
    return 0;
  }

  timer_t id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, rt, 5);
  arm(id, 0, 5, 0);
  taken("once", 500);
  taken("not twice", 20);
  INT(timer_getoverrun(id));

  say("set anew while its signal is pending");
  arm(id, 0, 5, 0);
  sleep_ms(30);
  arm(id, 0, 60000, 0);
  sigset_t pending;
  sigpending(&pending);
  IS(sigismember(&pending, rt));
  taken("stale", 20);
  sigpending(&pending);
  IS(sigismember(&pending, rt));
  arm(id, 0, 5, 0);
  sleep_ms(30);
  arm(id, 0, 5, 0);
  sleep_ms(30);
  taken("the new one", 20);
  taken("only that", 20);
  say("disarmed while its signal is pending");
  arm(id, 0, 5, 0);
  sleep_ms(30);
  arm(id, 0, 0, 0);
  taken("stale", 20);
  say("deleted while its signal is pending");
  arm(id, 0, 5, 0);
  sleep_ms(30);
  TRY(timer_delete(id));
  taken("stale", 20);
  TRY(timer_delete(id));
  TRY(timer_getoverrun(id));

  say("overruns");
  id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, rt, 6);
  arm(id, 0, 10, 10);
  sleep_ms(205);
  INT(timer_getoverrun(id));
  taken("blocked for a while", 500);
  say("overruns: %s", about(last.si_overrun, 18, 60));
  say("getoverrun is the same: %d", timer_getoverrun(id) == last.si_overrun);
  taken("the next", 500);
  say("overruns: %s", about(last.si_overrun, 0, 5));
  struct itimerspec left;
  sleep_ms(50);
  timer_gettime(id, &left);
  say("time left of one that is pending: %s", about(left.it_value.tv_nsec / 1000, 1, 10000));
  arm(id, 0, 0, 0);
  INT(timer_getoverrun(id));
  taken("stale", 20);
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  struct itimerspec past = {{0, 100000000}, {now.tv_sec - 2, now.tv_nsec}};
  NEED(timer_settime(id, TIMER_ABSTIME, &past, NULL));
  taken("since two seconds", 500);
  say("overruns: %s", about(last.si_overrun, 20, 22));
  arm(id, 0, 0, 0);

  say("ignored");
  signal(rt, SIG_IGN);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  arm(id, 0, 10, 10);
  sleep_ms(105);
  sigprocmask(SIG_BLOCK, &set, NULL);
  struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
  sigaction(rt, &action, NULL);
  sigpending(&pending);
  IS(sigismember(&pending, rt));
  taken("periodic, once it is not ignored", 500);
  say("overruns: %s", about(last.si_overrun, 8, 40));
  arm(id, 0, 0, 0);
  signal(rt, SIG_IGN);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  arm(id, 0, 10, 0);
  sleep_ms(40);
  sigprocmask(SIG_BLOCK, &set, NULL);
  sigaction(rt, &action, NULL);
  sigpending(&pending);
  IS(sigismember(&pending, rt));
  say("pending, then ignored");
  arm(id, 0, 10, 10);
  sleep_ms(40);
  signal(rt, SIG_IGN);
  sigpending(&pending);
  IS(sigismember(&pending, rt));
  sigaction(rt, &action, NULL);
  sigpending(&pending);
  IS(sigismember(&pending, rt));
  taken("again", 100);
  arm(id, 0, 0, 0);
  taken("no more", 30);

  say("handler");
  arm(id, 0, 10, 10);
  sleep_ms(105);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  say("overruns: %s", about(handled_overrun, 0, 40));
  IS(handled >= 1);
  arm(id, 0, 0, 0);
  int count = handled;
  sleep_ms(40);
  IS(handled == count);
  sigprocmask(SIG_BLOCK, &set, NULL);

  say("threads");
  pthread_t thread;
  pid_t tid = 0;
  handled = 0;
  pthread_create(&thread, NULL, thread_sleeps, &tid);
  while (tid == 0) sleep_ms(1);
  arm(id, 0, 5, 0);
  pthread_join(thread, NULL);
  say("handled %d in a thread %d", handled, handled_in_thread);
  tid = 0;
  handled = 0;
  pthread_create(&thread, NULL, thread_waits, &tid);
  while (tid == 0) sleep_ms(1);
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = rt};
  event._sigev_un._tid = tid;
  timer_t to_thread;
  TRY(timer_create(CLOCK_MONOTONIC, &event, &to_thread));
  arm(to_thread, 0, 5, 0);
  sleep_ms(30);
  sigpending(&pending);
  IS(sigismember(&pending, rt));
  handled = 1;
  pthread_join(thread, NULL);
  arm(to_thread, 0, 5, 0);
  taken("to a thread that is gone", 40);
  event._sigev_un._tid = getppid();
  say("to another process: %s", timer_create(CLOCK_MONOTONIC, &event, &id) == -1 ? errname(errno) : "ok");
  event._sigev_un._tid = 0;
  say("to thread 0: %s", timer_create(CLOCK_MONOTONIC, &event, &id) == -1 ? errname(errno) : "ok");
  event.sigev_notify = SIGEV_NONE;
  event.sigev_signo = 99;
  say("none with a bad signal: %s", timer_create(CLOCK_MONOTONIC, &event, &id) == -1 ? errname(errno) : "ok");
  arm(id, 0, 10, 0);
  sleep_ms(30);
  timer_gettime(id, &left);
  say("none, expired: %ld", left.it_value.tv_sec * 1000000000 + left.it_value.tv_nsec);
  arm(id, 0, 10, 10);
  sleep_ms(30);
  timer_gettime(id, &left);
  say("none, periodic: %s", about(left.it_value.tv_nsec / 1000, 1, 10000));
  INT(timer_getoverrun(id));
  event.sigev_notify = 77;
  event.sigev_signo = rt;
  say("bad notify: %s", timer_create(CLOCK_MONOTONIC, &event, &id) == -1 ? errname(errno) : "ok");
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = 0;
  say("signal 0: %s", timer_create(CLOCK_MONOTONIC, &event, &id) == -1 ? errname(errno) : "ok");
  event.sigev_signo = SIGKILL;
  say("SIGKILL: %s", timer_create(CLOCK_MONOTONIC, &event, &id) == -1 ? errname(errno) : "ok");
  say("bad clock: %s", timer_create(77, NULL, &id) == -1 ? errname(errno) : "ok");
  for (int clock = 0; clock < 12; clock++) {
    timer_t made;
    int kernel_id;
    (void)made;
    int result = syscall(SYS_timer_create, clock, NULL, &kernel_id);
    say("clock %d: %s", clock, result == -1 ? errname(errno) : "ok");
    if (result == 0) syscall(SYS_timer_delete, kernel_id);
  }
  struct itimerspec bad = {{0, 1000000000}, {1, 0}};
  id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, rt, 9);
  TRY(timer_settime(id, 0, &bad, NULL));
  bad.it_interval.tv_nsec = -1;
  TRY(timer_settime(id, 0, &bad, NULL));
  bad.it_interval.tv_nsec = 0;
  bad.it_value.tv_sec = -1;
  TRY(timer_settime(id, 0, &bad, NULL));
  bad.it_value.tv_sec = 100;
  TRY(timer_settime(id, 0x40, &bad, NULL));
  TRY(timer_settime(id, 0, &bad, &left));
  say("left: %s", about(left.it_value.tv_sec, 99, 100));
  TRY(syscall(SYS_timer_settime, 12345, 0, &bad, NULL));
  TRY(syscall(SYS_timer_settime, 0, 0, NULL, NULL));
  TRY(syscall(SYS_timer_gettime, 12345, &left));
  arm(id, 0, 20, 20);

  say("fork");
  pid_t child = NEED(fork());
  if (child == 0) {
    say("the child has no timer: %s", timer_gettime(id, &left) == -1 ? errname(errno) : "there");
    taken("nor its signal", 50);
    _exit(0);
  }
  reap("child", child);
  sleep_ms(30);
  arm(id, 0, 0, 0);
  take_within(10);

  say("execve");
  arm(id, 0, 5, 0);
  sleep_ms(30);
  alarm(100);
  char number[16];
  snprintf(number, sizeof number, "%d", (int)(intptr_t)id);
  execl(argv[0], argv[0], number, NULL);
  return 1;
}
