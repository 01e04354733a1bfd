#include "guest.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/personality.h>

int main(void) {
  TRY(sched_yield());
  cpu_set_t set;
  CPU_ZERO(&set);
  TRY(sched_getaffinity(0, sizeof set, &set));
  IS(CPU_COUNT(&set) >= 1);
  IS(syscall(SYS_sched_getaffinity, 0, sizeof set, &set) > 0);
  TRY(syscall(SYS_sched_getaffinity, 0, 1, &set));
  TRY(sched_setaffinity(0, sizeof set, &set));
  cpu_set_t none;
  CPU_ZERO(&none);
  TRY(sched_setaffinity(0, sizeof none, &none));
  TRY(sched_getaffinity(0x3ffffff, sizeof set, &set));
  IS(sched_getcpu() >= 0);
  unsigned cpu = 9999, node = 9999;
  TRY(syscall(SYS_getcpu, &cpu, &node, NULL));
  IS(cpu < 9999 && node < 9999);
  TRY(sched_getscheduler(0));
  struct sched_param param = {5};
  TRY(sched_getparam(0, &param));
  INT(param.sched_priority);
  TRY(sched_get_priority_max(SCHED_FIFO));
  TRY(sched_get_priority_min(SCHED_FIFO));
  TRY(sched_get_priority_max(SCHED_OTHER));
  TRY(sched_get_priority_max(99));
  char name[17] = {0};
  TRY(prctl(PR_SET_NAME, "fifteen chars ok and more"));
  TRY(prctl(PR_GET_NAME, name));
  say("%s", name);
  TRY(prctl(PR_SET_NAME, 8));
  int signo = -1;
  TRY(prctl(PR_SET_PDEATHSIG, SIGUSR1));
  TRY(prctl(PR_GET_PDEATHSIG, &signo));
  INT(signo);
  TRY(prctl(PR_SET_PDEATHSIG, 100));
  TRY(prctl(PR_GET_DUMPABLE));
  TRY(prctl(PR_SET_DUMPABLE, 0));
  TRY(prctl(PR_GET_DUMPABLE));
  TRY(prctl(PR_SET_DUMPABLE, 7));
  TRY(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  TRY(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  TRY(prctl(PR_SET_CHILD_SUBREAPER, 1));
  int sub = 0;
  TRY(prctl(PR_GET_CHILD_SUBREAPER, &sub));
  INT(sub);
  TRY(prctl(123456));
  TRY(personality(0xffffffff));
  /* the subreaper inherits orphans */
  pid_t child = NEED(fork());
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, 0);
    pid_t parent = getpid(), grandparent = getppid();
    if (fork() == 0) {
      while (getppid() == parent) sleep_ms(1);
      _exit(getppid() == grandparent ? 44 : 45);
    }
    _exit(0);
  }
  reap("child", child);
  int status;
  IS(wait(&status) > 0);
  say("orphan: %s", status_text(status));
  /* told of the parent's death */
  int fds[2];
  NEED(pipe(fds));
  child = NEED(fork());
  if (child == 0) {
    pid_t grandchild = NEED(fork());
    if (grandchild == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      write(fds[1], "x", 1);
      for (;;) pause();
    }
    char c;
    read(fds[0], &c, 1);
    _exit(0);
  }
  reap("child", child);
  IS(wait(&status) > 0);
  say("orphan: %s", status_text(status));
  return 0;
}
