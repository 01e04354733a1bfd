/* What survives execve(2) and what does not. */
#include "guest.h"
#include <sys/prctl.h>

static void on_signal(int signo) { (void)signo; }

static void second(void) {
  struct sigaction action;
  sigset_t set;
  sigaction(SIGUSR1, NULL, &action);
  IS(action.sa_handler == SIG_DFL);
  sigaction(SIGUSR2, NULL, &action);
  IS(action.sa_handler == SIG_IGN);
  sigprocmask(SIG_BLOCK, NULL, &set);
  IS(sigismember(&set, SIGHUP));
  IS(sigismember(&set, SIGINT));
  sigpending(&set);
  IS(sigismember(&set, SIGHUP));
  IS(fcntl(20, F_GETFD) == 0);
  TRY(fcntl(21, F_GETFD));
  TRY(fcntl(22, F_GETFD));
  say("umask: %03o", umask(0));
  char name[16];
  prctl(PR_GET_NAME, name);
  say("name: %s", name);
  stack_t stack;
  sigaltstack(NULL, &stack);
  IS(stack.ss_flags == SS_DISABLE);
  say("pid kept: %d", atoi(getenv("PID_BEFORE")) == getpid());
  INT(alarm(0) > 0);
}

int main(int argc, char **argv) {
  (void)argv;
  if (argc == 2) {
    second();
    return 0;
  }
  handle(SIGUSR1, on_signal, 0);
  signal(SIGUSR2, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGHUP);
  NEED(dup2(1, 20));
  NEED(dup3(1, 21, O_CLOEXEC));
  NEED(dup2(1, 22));
  NEED(fcntl(22, F_SETFD, FD_CLOEXEC));
  umask(027);
  prctl(PR_SET_NAME, "before");
  static char alternate[16384];
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  NEED(sigaltstack(&stack, NULL));
  char text[32], pid[32];
  snprintf(pid, sizeof pid, "PID_BEFORE=%d", getpid());
  alarm(100);
  snprintf(text, sizeof text, "second");
  char *args[] = {"x", text, NULL}, *env[] = {pid, NULL};
  execve("/proc/self/exe", args, env);
  say("execve: %s", errname(errno));
  return 1;
}
