#include "guest.h"

static void show(const char *name, int result, const siginfo_t *info, pid_t child) {
  if (result == -1) {
    say("%s: %s", name, errname(errno));
    return;
  }
  say("%s: signo=%d code=%d status=%d pid=%s uid=%s", name, info->si_signo, info->si_code, info->si_status,
      info->si_pid == child ? "child" : info->si_pid == 0 ? "0" : "?", info->si_uid == getuid() ? "own" : "?");
}

int main(void) {
  siginfo_t info;
  memset(&info, 0xff, sizeof info);
  TRY(waitid(P_ALL, 0, &info, WEXITED));
  TRY(waitid(P_ALL, 0, &info, 0));
  TRY(waitid(99, 0, &info, WEXITED));

  pid_t child = NEED(fork());
  if (child == 0) _exit(300);
  memset(&info, 0, sizeof info);
  show("WNOWAIT", waitid(P_PID, child, &info, WEXITED | WNOWAIT), &info, child);
  memset(&info, 0, sizeof info);
  show("again", waitid(P_PID, child, &info, WEXITED), &info, child);
  show("gone", waitid(P_PID, child, &info, WEXITED), &info, child);

  child = NEED(fork());
  if (child == 0)
    for (;;) pause();
  memset(&info, 0xff, sizeof info);
  int result = waitid(P_PID, child, &info, WEXITED | WNOHANG);
  say("nothing yet: %d signo=%d pid=%d", result, info.si_signo, info.si_pid);
  kill(child, SIGSTOP);
  show("stopped", waitid(P_PID, child, &info, WSTOPPED), &info, child);
  show("stopped once", waitid(P_PID, child, &info, WSTOPPED | WNOHANG), &info, 0);
  kill(child, SIGCONT);
  show("continued", waitid(P_PID, child, &info, WCONTINUED), &info, child);
  kill(child, SIGKILL);
  show("killed", waitid(P_ALL, 0, &info, WEXITED), &info, child);

  child = NEED(fork());
  if (child == 0) {
    setpgid(0, 0);
    abort();
  }
  setpgid(child, child);
  int status;
  IS(waitpid(-child, &status, 0) == child);
  IS(WIFSIGNALED(status));
  INT(WTERMSIG(status));

  child = NEED(fork());
  if (child == 0)
    for (;;) pause();
  kill(child, SIGSTOP);
  IS(waitpid(child, &status, WUNTRACED) == child);
  say("WUNTRACED: %s", status_text(status));
  kill(child, SIGCONT);
  IS(waitpid(child, &status, WCONTINUED) == child);
  say("WCONTINUED: %s", status_text(status));
  kill(child, SIGTERM);
  reap("SIGTERM", child);
  return 0;
}
