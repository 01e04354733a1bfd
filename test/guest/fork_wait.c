#include "guest.h"
#include <sys/resource.h>

int main(void) {
  int status = -1;
  TRY(wait4(-1, &status, 0, NULL));
  TRY(waitpid(1, &status, WNOHANG));

  pid_t parent = getpid();
  pid_t child = NEED(fork());
  if (child == 0) {
    IS(getppid() == parent);
    IS(getpid() != parent);
    IS(getpgrp() == getpgid(parent));
    IS(getsid(0) == getsid(parent));
    _exit(5);
  }
  struct rusage usage;
  memset(&usage, 0xff, sizeof usage);
  IS(wait4(child, &status, 0, &usage) == child);
  say("status: %s", status_text(status));
  IS(usage.ru_utime.tv_sec == 0 && usage.ru_utime.tv_usec >= 0);
  IS(usage.ru_stime.tv_sec == 0 && usage.ru_stime.tv_usec >= 0);
  TRY(waitpid(child, &status, 0));

  /* WNOHANG: nothing yet, then something */
  int gate[2];
  NEED(pipe(gate));
  child = NEED(fork());
  if (child == 0) {
    char c;
    close(gate[1]);
    (void)!read(gate[0], &c, 1);
    _exit(6);
  }
  close(gate[0]);
  status = 1234;
  TRY(waitpid(child, &status, WNOHANG));
  INT(status);
  close(gate[1]);
  reap("released", child);

  /* children of several kinds, each by its pid, in reverse order */
  pid_t many[5];
  for (int i = 0; i < 5; i++)
    if ((many[i] = NEED(fork())) == 0) _exit(i + 10);
  for (int i = 4; i >= 0; i--) reap("reverse", many[i]);

  /* by process group */
  child = NEED(fork());
  if (child == 0) {
    setpgid(0, 0);
    _exit(1);
  }
  setpgid(child, child);
  IS(waitpid(-child, &status, 0) == child);
  TRY(waitpid(-child, &status, 0));
  TRY(waitpid(-1, &status, 0x40000));
  TRY(waitpid(INT_MIN, &status, 0));

  /* a grandchild is not a child */
  child = NEED(fork());
  if (child == 0) {
    pid_t grandchild = NEED(fork());
    if (grandchild == 0) _exit(0);
    reap("grandchild", grandchild);
    _exit(0);
  }
  reap("middle", child);
  /* a bad place for the status does not keep the child a zombie */
  child = NEED(fork());
  if (child == 0) _exit(0);
  TRY(syscall(SYS_wait4, child, (int *)8, 0, NULL));
  TRY(waitpid(child, NULL, 0));
  return 0;
}
