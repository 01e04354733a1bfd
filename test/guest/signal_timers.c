#include "guest.h"
#include <sys/time.h>

static volatile int alarms, virtuals;

static void on_alarm(int signo) {
  if (signo == SIGALRM) alarms++;
  else virtuals++;
}

static void on_timer(int signo, siginfo_t *info, void *context) {
  (void)context;
  if (alarms++ == 0) say("timer: signo=%d code=%d value=%d", signo, info->si_code, info->si_value.sival_int);
}

int main(void) {
  handle(SIGALRM, on_alarm, 0), handle(SIGVTALRM, on_alarm, 0), handle(SIGPROF, on_alarm, 0);
  TRY(alarm(100));
  IS(alarm(50) >= 99);
  IS(alarm(0) >= 49);
  TRY(alarm(0));

  int64_t start = now_ms();
  struct itimerval timer = {.it_value = {0, 20000}, .it_interval = {0, 10000}}, old;
  TRY(setitimer(ITIMER_REAL, &timer, NULL));
  while (alarms < 5) pause();
  IS(now_ms() - start >= 60);
  getitimer(ITIMER_REAL, &old);
  IS(old.it_interval.tv_usec == 10000);
  IS(old.it_value.tv_sec == 0 && old.it_value.tv_usec <= 10000);
  memset(&timer, 0, sizeof timer);
  TRY(setitimer(ITIMER_REAL, &timer, &old));
  getitimer(ITIMER_REAL, &old);
  IS(old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0);

  timer.it_value.tv_usec = 20000;
  TRY(setitimer(ITIMER_VIRTUAL, &timer, NULL));
  start = now_ms();
  while (virtuals == 0 && now_ms() - start < 1500)
    for (volatile int i = 0; i < 100000; i++) {
    }
  INT(virtuals);

  TRY(setitimer(3, &timer, NULL));
  TRY(getitimer(-1, &old));
  timer.it_value.tv_usec = 1000000;
  TRY(setitimer(ITIMER_REAL, &timer, NULL));
  TRY(syscall(SYS_setitimer, ITIMER_REAL, (void *)8, NULL));
  TRY(syscall(SYS_getitimer, ITIMER_REAL, (void *)8));

  struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR1, &action, NULL);
  alarms = 0;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 88};
  timer_t id;
  TRY(timer_create(CLOCK_MONOTONIC, &event, &id));
  struct itimerspec spec = {.it_value = {0, 10000000}, .it_interval = {0, 5000000}};
  TRY(timer_settime(id, 0, &spec, NULL));
  while (alarms < 3) pause();
  TRY(timer_gettime(id, &spec));
  IS(spec.it_interval.tv_nsec == 5000000);
  IS(timer_getoverrun(id) >= 0);
  TRY(timer_delete(id));
  /* timers are not inherited */
  alarm(100);
  pid_t child = NEED(fork());
  if (child == 0) _exit(alarm(0));
  reap("child's alarm", child);
  return 0;
}
