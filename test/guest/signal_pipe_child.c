/* SIGPIPE and the several meanings of ignoring SIGCHLD. */
#include "guest.h"

static volatile int pipes, chlds;
static void on_signal(int signo) {
  if (signo == SIGPIPE) pipes++;
  else chlds++;
}

int main(void) {
  int fds[2];
  NEED(pipe(fds));
  close(fds[0]);
  pid_t child = NEED(fork());
  if (child == 0) {
    (void)!write(fds[1], "x", 1);
    _exit(0);
  }
  reap("default", child);
  handle(SIGPIPE, on_signal, 0);
  TRY(write(fds[1], "x", 1));
  INT(pipes);
  signal(SIGPIPE, SIG_IGN);
  TRY(write(fds[1], "x", 1));
  TRY(write(fds[1], "", 0));

  signal(SIGCHLD, SIG_IGN);
  child = NEED(fork());
  if (child == 0) _exit(0);
  TRY(waitpid(child, NULL, 0));
  handle(SIGCHLD, on_signal, SA_NOCLDWAIT);
  child = NEED(fork());
  if (child == 0) _exit(0);
  TRY(waitpid(child, NULL, 0));
  handle(SIGCHLD, on_signal, SA_NOCLDSTOP | SA_RESTART);
  chlds = 0;
  child = NEED(fork());
  if (child == 0) for (;;) pause();
  kill(child, SIGSTOP);
  waitpid(child, NULL, WUNTRACED);
  INT(chlds);
  kill(child, SIGKILL);
  reap("killed while stopped", child);
  INT(chlds);
  return 0;
}
