#include "guest.h"
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#define NOBODY 54321

int main(void) {
  struct utsname name;
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(setresuid(NOBODY, NOBODY, NOBODY));
    TRY(setdomainname("x", 1));
    TRY(sethostname("x", 1));
    struct timex set = {.modes = ADJ_OFFSET};
    TRY(adjtimex(&set));
    set.modes = ADJ_FREQUENCY;
    TRY(clock_adjtime(CLOCK_REALTIME, &set));
    set = (struct timex){.modes = ADJ_OFFSET_SS_READ};
    IS(adjtimex(&set) >= 0);
    struct timeval now = {1, 1};
    TRY(syscall(SYS_settimeofday, &now, NULL));
    now.tv_usec = 1000000;
    TRY(syscall(SYS_settimeofday, &now, NULL));
    TRY(syscall(SYS_settimeofday, 1, NULL));
    TRY(syscall(SYS_settimeofday, NULL, 1));
    _exit(0);
  }
  reap("nobody", child);

  struct timex t = {0};
  IS(adjtimex(&t) >= 0);
  struct timeval clock;
  gettimeofday(&clock, NULL);
  IS(t.time.tv_sec == clock.tv_sec || t.time.tv_sec + 1 == clock.tv_sec);
  INT(t.tick);
  INT(t.precision);
  INT(t.tolerance);
  INT(t.modes);
  t = (struct timex){0};
  IS(clock_adjtime(CLOCK_REALTIME, &t) >= 0);
  TRY(clock_adjtime(CLOCK_MONOTONIC, &t));
  TRY(clock_adjtime(CLOCK_BOOTTIME, &t));
  TRY(clock_adjtime(CLOCK_PROCESS_CPUTIME_ID, &t));
  TRY(clock_adjtime(99, &t));
  TRY(clock_adjtime(CLOCK_REALTIME, (void *)1));
  TRY(clock_adjtime(CLOCK_MONOTONIC, (void *)1));
  TRY(syscall(SYS_adjtimex, 1));

  uname(&name);
  char release[65];
  strcpy(release, name.release);
  say("%s", name.machine);
  TRY(personality(PER_LINUX32));
  uname(&name);
  say("%s", name.machine);
  IS(strcmp(release, name.release) == 0);
  TRY(personality(PER_LINUX | UNAME26));
  uname(&name);
  say("%s %.4s", name.machine, name.release);
  unsigned minor = 0;
  sscanf(release, "%*u.%u", &minor);
  unsigned shown = 0;
  sscanf(name.release, "2.6.%u", &shown);
  IS(shown == minor + 60);
  TRY(personality(PER_LINUX | READ_IMPLIES_EXEC));
  char *area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(area, "\xb8\x2a\0\0\0\xc3", 6);
  int (*function)(void) = (int (*)(void))area;
  INT(function());
  mprotect(area, 4096, PROT_READ);
  INT(function());
  TRY(personality(PER_LINUX));
  TRY(personality(0xffffffff));
  return 0;
}
