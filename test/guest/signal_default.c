/* The default action of every signal, as the parent sees it. */
#include "guest.h"
#include <sys/resource.h>

static void one(int signo, bool own_group) {
  int gate[2];
  NEED(pipe(gate));
  pid_t child = NEED(fork());
  if (child == 0) {
    char c;
    read(gate[0], &c, 1); /* until it is in its group */
    kill(getpid(), signo);
    _exit(0);
  }
  if (own_group) NEED(setpgid(child, child));
  write(gate[1], "x", 1);
  close(gate[0]), close(gate[1]);
  int status;
  NEED(waitpid(child, &status, WUNTRACED));
  bool is_realtime = WIFSIGNALED(status) && WTERMSIG(status) >= 32;
  say("%d: %s", signo, is_realtime ? "killed by a real-time signal" : status_text(status));
  if (WIFSTOPPED(status)) {
    kill(child, SIGCONT);
    reap("  continued", child);
  }
}

int main(void) {
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  pid_t leader = NEED(fork());
  if (leader == 0) {
    setsid();
    for (int signo = 1; signo <= SIGRTMAX; signo++)
      if (signo < 32 || signo == SIGRTMIN || signo == SIGRTMAX) one(signo, true);
    /* our own group is orphaned: nobody in the session could continue it, so the terminal's stop signals are ignored */
    say("orphaned group");
    one(SIGTSTP, false), one(SIGTTIN, false), one(SIGTTOU, false), one(SIGSTOP, false);
    _exit(0);
  }
  reap("leader", leader);
  return 0;
}
