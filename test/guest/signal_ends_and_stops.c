/*
 * Signals that end and signals that stop, unblocked at once: in the order of their numbers, and who has been killed does not
 * stop any more.
 */
#include "guest.h"

static void at_once(const char *name, int one, int other, bool is_hot) {
  pid_t child = NEED(fork());
  if (child == 0) {
    setpgid(0, 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, one);
    sigaddset(&set, other);
    for (int i = 0; is_hot && i < 60; i++) sigprocmask(SIG_BLOCK, &set, NULL), sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), other);
    kill(getpid(), one);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    _exit(7);
  }
  int status;
  for (;;) {
    NEED(waitpid(child, &status, WUNTRACED));
    say("%s%s: %s", name, is_hot ? ", hot" : "", status_text(status));
    if (WIFEXITED(status) || WIFSIGNALED(status)) return;
    if (WIFSTOPPED(status)) kill(child, SIGCONT);
  }
}

static void counted(int signo) { (void)signo; }

int main(void) {
  for (int hot = 0; hot < 2; hot++) {
    at_once("hang-up and stop", SIGHUP, SIGTSTP, hot);
    at_once("hang-up and SIGSTOP's own", SIGHUP, SIGTTIN, hot);
    at_once("stop and a later end", SIGTSTP, SIGVTALRM, hot);
    at_once("two stops", SIGTSTP, SIGTTOU, hot);
    at_once("abort and stop", SIGABRT, SIGTSTP, hot);
    handle(SIGUSR1, counted, 0);
    at_once("a handler and an end", SIGUSR1, SIGTERM, hot);
    at_once("an end and a handler", SIGHUP, SIGUSR1, hot);
    at_once("a handler and a stop", SIGUSR1, SIGTSTP, hot);
  }
  return 0;
}
