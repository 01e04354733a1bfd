/* The default action of every signal, as the parent sees it. */
#include "guest.h"
#include <sys/resource.h>

int main(void) {
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  for (int signo = 1; signo <= SIGRTMAX; signo++) {
    if (signo == 32 || signo == 33 || (signo > SIGRTMIN + 1 && signo < SIGRTMAX)) continue;
    pid_t child = NEED(fork());
    if (child == 0) {
      /* an orphaned process group would ignore the terminal's stop signals: this one isn't */
      kill(getpid(), signo);
      _exit(0);
    }
    int status;
    NEED(waitpid(child, &status, WUNTRACED));
    say("%d: %s", signo, WIFSTOPPED(status) || WIFEXITED(status) || WTERMSIG(status) < 32 ? status_text(status) : "killed by a real-time signal");
    if (WIFSTOPPED(status)) {
      kill(child, SIGCONT);
      reap("  continued", child);
    }
  }
  return 0;
}
