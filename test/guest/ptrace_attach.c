/* PTRACE_ATTACH, SEIZE, INTERRUPT, LISTEN, DETACH, KILL; group-stops of tracees; waitid for tracers. */
#include "ptrace.h"

static pid_t sleeper(void) {
  pid_t pid = NEED(fork());
  if (pid == 0)
    for (;;) pause();
  await_state(pid, 'S');
  return pid;
}

static pid_t spinner(void) {
  pid_t pid = NEED(fork());
  if (pid == 0)
    for (;;) __asm__ volatile("pause");
  return pid;
}

static void finish(pid_t pid) {
  kill(pid, SIGKILL);
  await_stop("killed", pid);
}

static void try_waitid(const char *name, pid_t pid, int options) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  int result = waitid(P_PID, pid, &info, options | __WALL);
  if (result == -1) say("%s: waitid %s", name, errname(errno));
  else
    say("%s: waitid signo %d code %d status %#x %s", name, info.si_signo, info.si_code, info.si_status,
        info.si_pid == pid ? "pid" : info.si_pid == 0 ? "none" : "other");
}

static void attach_and_detach(pid_t pid) {
  TRY(trace(PTRACE_ATTACH, pid, 0, 0));
  TRY(trace(PTRACE_ATTACH, pid, 0, 0));
  TRY(trace(PTRACE_SEIZE, pid, 0, 0));
  await_stop("attached", pid);
  say_info("attached", pid);
  say("state %c", state_of(pid));
  TRY(trace(PTRACE_DETACH, pid, 0, 100));
  TRY(trace(PTRACE_DETACH, pid, 0, 0));
  TRY(trace(PTRACE_DETACH, pid, 0, 0));
  TRY(trace(PTRACE_CONT, pid, 0, 0));
}

int main(void) {
  pid_t pid = sleeper();
  TRY(trace(PTRACE_CONT, pid, 0, 0));
  TRY(trace(PTRACE_ATTACH, getpid(), 0, 0));
  TRY(trace(PTRACE_ATTACH, 1999999, 0, 0));
  attach_and_detach(pid);
  await_state(pid, 'S');
  attach_and_detach(pid);
  finish(pid);

  pid = spinner();
  attach_and_detach(pid);
  TRY(trace(PTRACE_ATTACH, pid, 0, 0));
  await_stop("again", pid);
  TRY(trace(PTRACE_DETACH, pid, 0, SIGTERM));
  await_stop("detached with SIGTERM", pid);

  /* seized */
  pid = sleeper();
  TRY(trace(PTRACE_SEIZE, pid, 1, 0));
  TRY(trace(PTRACE_SEIZE, pid, 0, 0x1000));
  TRY(trace(PTRACE_SEIZE, pid, 0, 1));
  TRY(waitpid(pid, NULL, WNOHANG));
  TRY(trace(PTRACE_LISTEN, pid, 0, 0));
  TRY(trace(PTRACE_CONT, pid, 0, 0));
  TRY(trace(PTRACE_INTERRUPT, pid, 0, 0));
  try_waitid("interrupted, left", pid, WSTOPPED | WNOWAIT);
  try_waitid("interrupted, exits only", pid, WEXITED);
  try_waitid("interrupted, no more", pid, WSTOPPED | WNOHANG);
  say_info("interrupted", pid);
  INT(event_message(pid));
  struct user_regs_struct regs = get_registers(pid);
  say("rax %lld orig_rax %lld", regs.rax, regs.orig_rax);
  TRY(trace(PTRACE_INTERRUPT, pid, 0, 0));
  TRY(trace(PTRACE_CONT, pid, 0, 0));
  await_stop("interrupted in the stop", pid);
  TRY(trace(PTRACE_CONT, pid, 0, 0));

  /* a group-stop of a seized task; LISTEN until it goes on */
  kill(pid, SIGSTOP);
  await_stop("SIGSTOP", pid);
  TRY(trace(PTRACE_LISTEN, pid, 0, 0));
  TRY(trace(PTRACE_CONT, pid, 0, SIGSTOP));
  await_stop("group-stop", pid);
  say_info("group-stop", pid);
  say("state %c", state_of(pid));
  TRY(trace(PTRACE_LISTEN, pid, 0, 0));
  TRY(trace(PTRACE_LISTEN, pid, 0, 0));
  TRY(trace(PTRACE_CONT, pid, 0, 0));
  TRY(waitpid(pid, NULL, WNOHANG | __WALL));
  TRY(trace(PTRACE_INTERRUPT, pid, 0, 0));
  await_stop("interrupted while listening", pid);
  TRY(trace(PTRACE_LISTEN, pid, 0, 0));
  kill(pid, SIGCONT);
  await_stop("no longer stopped", pid);
  say_info("no longer stopped", pid);
  TRY(trace(PTRACE_CONT, pid, 0, 0));
  await_stop("SIGCONT", pid);
  TRY(trace(PTRACE_CONT, pid, 0, SIGCONT));
  try_waitid("continued", pid, WCONTINUED);

  /* CONT out of a group-stop: it runs although its process is stopped; detached, it stops again */
  kill(pid, SIGTSTP);
  await_stop("SIGTSTP", pid);
  TRY(trace(PTRACE_CONT, pid, 0, SIGSTOP));
  await_stop("group-stop", pid);
  TRY(trace(PTRACE_CONT, pid, 0, 0));
  await_state(pid, 'S');
  say("state %c", state_of(pid));
  TRY(trace(PTRACE_INTERRUPT, pid, 0, 0));
  await_stop("interrupted", pid);
  TRY(trace(PTRACE_DETACH, pid, 0, 0));
  await_state(pid, 'T');
  say("state %c", state_of(pid));
  kill(pid, SIGCONT);
  await_state(pid, 'S');
  finish(pid);

  /* attached to a process that is stopped */
  pid = sleeper();
  kill(pid, SIGSTOP);
  int status;
  NEED(waitpid(pid, &status, WUNTRACED));
  say("stopped: %s", status_text(status));
  TRY(trace(PTRACE_ATTACH, pid, 0, 0));
  await_stop("attached to a stopped one", pid);
  say_info("attached to a stopped one", pid);
  TRY(trace(PTRACE_LISTEN, pid, 0, 0));
  TRY(trace(PTRACE_CONT, pid, 0, 0));
  await_stop("its SIGSTOP", pid);
  TRY(trace(PTRACE_CONT, pid, 0, SIGSTOP));
  await_stop("group-stop of an attached one", pid);
  say_info("group-stop of an attached one", pid);
  kill(pid, SIGCONT);
  TRY(waitpid(pid, NULL, WNOHANG | __WALL));
  TRY(trace(PTRACE_CONT, pid, 0, 0));
  await_stop("SIGCONT", pid);
  TRY(trace(PTRACE_CONT, pid, 0, 0));
  TRY(trace(PTRACE_KILL, pid, 0, 0));
  await_stop("PTRACE_KILL", pid);

  pid = sleeper();
  kill(pid, SIGSTOP);
  NEED(waitpid(pid, &status, WUNTRACED));
  TRY(trace(PTRACE_SEIZE, pid, 0, 0));
  await_stop("seized a stopped one", pid);
  say_info("seized a stopped one", pid);
  TRY(trace(PTRACE_DETACH, pid, 0, 0));
  await_state(pid, 'T');
  say("state %c", state_of(pid));
  finish(pid);

  /* killed in a stop */
  pid = sleeper();
  TRY(trace(PTRACE_ATTACH, pid, 0, 0));
  await_stop("attached", pid);
  finish(pid);
  return 0;
}
