/* What a process ends with when its threads end one by one (Linux 6.0 and newer: the last one's code), and what its
 * parent hears of it. */
#include "guest.h"
#include <pthread.h>
#include <sys/prctl.h>

static int gate[2];

static void *leave_after_gate(void *code) {
  char byte;
  read(gate[0], &byte, 1);
  syscall(SYS_exit, (int)(intptr_t)code);
  return NULL;
}

static void *leave_at_once(void *code) {
  syscall(SYS_exit, (int)(intptr_t)code);
  return NULL;
}

static void start(void *(*run)(void *), int code) {
  pthread_t id;
  if (pthread_create(&id, NULL, run, (void *)(intptr_t)code) != 0) exit(98);
}

/* State of the leader of `pid`, as /proc says it. */
static char state_of(pid_t pid) {
  char path[64], *close;
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const char *text = get(path);
  close = strrchr(text, ')');
  return close == NULL ? '?' : close[2];
}

static void wait_for_state(pid_t pid, char state) {
  for (int i = 0; i < 2000 && state_of(pid) != state; i++) sleep_ms(2);
}

static pid_t child_with(void (*run)(void)) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    run();
    _exit(97);
  }
  return pid;
}

static void leader_first(void) {
  start(leave_after_gate, 3);
  syscall(SYS_exit, 2);
}

static void leader_last(void) {
  start(leave_at_once, 3);
  sleep_ms(50);
  syscall(SYS_exit, 2);
}

static void two_after_leader(void) {
  start(leave_after_gate, 7);
  start(leave_after_gate, 7);
  syscall(SYS_exit, 2);
}

static void killed_after_leader(void) {
  start(leave_after_gate, 7);
  syscall(SYS_exit, 2);
}

static void *exit_all(void *code) {
  char byte;
  read(gate[0], &byte, 1);
  exit((int)(intptr_t)code);
}

static void group_exit_after_leader(void) {
  start(exit_all, 9);
  syscall(SYS_exit, 2);
}

static void *exec_after_gate(void *path) {
  char byte;
  read(gate[0], &byte, 1);
  execl(path, path, "leaf", NULL);
  _exit(96);
}

static const char *self;

static void exec_after_leader(void) {
  pthread_t id;
  if (pthread_create(&id, NULL, exec_after_gate, (void *)self) != 0) exit(98);
  syscall(SYS_exit, 2);
}

static void open_gate(int n) {
  for (int i = 0; i < n; i++) NEED(write(gate[1], "x", 1));
}

static void dead_leader(const char *name, void (*run)(void), int gates, int signo) {
  pid_t pid = child_with(run);
  wait_for_state(pid, 'Z');
  int status = 0;
  say("%s: not yet: %d", name, (int)waitpid(pid, &status, WNOHANG));
  siginfo_t info = {.si_pid = 77};
  say("%s: waitid %d pid %d", name, waitid(P_PID, pid, &info, WEXITED | WNOHANG), info.si_pid);
  say("%s: waitid stopped only: %s", name, waitid(P_PID, pid, &info, WSTOPPED | WNOHANG) == -1 ? errname(errno) : "0");
  say("%s: kill 0: %d", name, kill(pid, 0));
  say("%s: tgkill leader: %d", name, (int)syscall(SYS_tgkill, pid, pid, 0));
  if (gates > 0) open_gate(gates);
  if (signo != 0) kill(pid, signo);
  reap(name, pid);
}

static int hears, heard_status, heard_code;

static void on_child(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)context;
  heard_status = info->si_status;
  heard_code = info->si_code;
  hears++;
}

int main(int argc, char **argv) {
  if (argc > 1) {
    say("leaf: leader %d", getpid() == gettid());
    return 11;
  }
  self = argv[0];
  NEED(pipe2(gate, O_CLOEXEC));
  dead_leader("leader first", leader_first, 1, 0);
  pid_t pid = child_with(leader_last);
  reap("leader last", pid);
  dead_leader("two after leader", two_after_leader, 2, 0);
  dead_leader("killed after leader", killed_after_leader, 0, SIGTERM);
  dead_leader("group exit after leader", group_exit_after_leader, 1, 0);
  dead_leader("exec after leader", exec_after_leader, 1, 0);

  struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART};
  NEED(sigaction(SIGCHLD, &action, NULL));
  pid = child_with(leader_first);
  wait_for_state(pid, 'Z');
  sleep_ms(20);
  say("heard of the leader: %d", hears);
  open_gate(1);
  while (hears == 0) sleep_ms(1);
  say("heard: %d code %d status %d", hears, heard_code, heard_status);
  reap("heard", pid);

  /* exit codes are a byte, for threads too */
  pid = NEED(fork());
  if (pid == 0) syscall(SYS_exit, 0x1234);
  reap("exit 0x1234", pid);
  pid = NEED(fork());
  if (pid == 0) syscall(SYS_exit_group, -1);
  reap("exit_group -1", pid);
  return 0;
}
