/* PTRACE_O_*: events of fork, vfork, clone, exec, exit; tracers and tracees that die. */
#include "ptrace.h"
#include <pthread.h>
#include <sched.h>

static const char *self;

static pid_t traced(int (*body)(void), unsigned long options) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(body());
  }
  await_stop("start", pid);
  if (trace(PTRACE_SETOPTIONS, pid, 0, options) == -1) say("options: %s", errname(errno));
  return pid;
}

static pid_t expect_child(const char *name, pid_t pid) {
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop(name, pid);
  say_info(name, pid);
  pid_t child = (pid_t)event_message(pid);
  say("%s: rax %lld", name, get_registers(pid).rax);
  await_stop("its child", child);
  say_info("its child", child);
  say("its child: rax %lld", get_registers(child).rax);
  return child;
}

static int forks(void) {
  pid_t pid = fork();
  if (pid == 0) _exit(7);
  int status;
  waitpid(pid, &status, 0);
  say("forker: %s", status_text(status));
  pid = vfork();
  if (pid == 0) _exit(8);
  waitpid(pid, &status, 0);
  say("forker: %s", status_text(status));
  return 9;
}

static void forking(unsigned long extra) {
  pid_t pid = traced(forks, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE | extra);
  pid_t child = expect_child("fork", pid);
  trace(PTRACE_CONT, pid, 0, 0);
  trace(PTRACE_CONT, child, 0, 0);
  if (extra & PTRACE_O_TRACEEXIT) {
    await_stop("child", child);
    say("message %lx", event_message(child));
    trace(PTRACE_CONT, child, 0, 0);
  }
  await_stop("child", child);
  await_stop("SIGCHLD", pid);
  say_info("SIGCHLD", child);
  trace(PTRACE_CONT, pid, 0, 0); /* SIGCHLD suppressed */
  await_stop("vfork", pid);
  child = (pid_t)event_message(pid);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("its child", child);
  TRY(waitpid(pid, NULL, WNOHANG));
  TRY(trace(PTRACE_CONT, child, 0, 0));
  if (extra & PTRACE_O_TRACEEXIT) {
    await_stop("child", child);
    trace(PTRACE_CONT, child, 0, 0);
  }
  await_stop("vfork done", pid);
  IS((pid_t)event_message(pid) == child);
  await_stop("child", child);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("SIGCHLD", pid);
  trace(PTRACE_CONT, pid, 0, SIGCHLD);
  if (extra & PTRACE_O_TRACEEXIT) {
    await_stop("exit", pid);
    say_info("exit", pid);
    say("message %lx", event_message(pid));
    say("orig_rax %lld", get_registers(pid).orig_rax);
    trace(PTRACE_CONT, pid, 0, SIGUSR1);
  }
  await_stop("end", pid);
}

static void *thread(void *argument) {
  say("thread runs");
  return argument;
}

static int threads(void) {
  pthread_t id;
  pthread_create(&id, NULL, thread, NULL);
  pthread_join(id, NULL);
  return 2;
}

static void cloning(void) {
  pid_t pid = traced(threads, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT);
  pid_t tid = expect_child("clone", pid);
  TRY(waitpid(tid, NULL, WNOHANG));
  TRY(waitpid(tid, NULL, WNOHANG | __WCLONE));
  trace(PTRACE_CONT, tid, 0, 0); /* alone: the end of the process would be the thread's too */
  await_stop("thread exits", tid);
  say("message %lx", event_message(tid));
  trace(PTRACE_CONT, tid, 0, 0);
  await_stop("thread", tid);
  TRY(waitpid(tid, NULL, __WALL | WNOHANG));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("exit", pid);
  say("message %lx", event_message(pid));
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);
}

static int execs(void) {
  execl(self, self, "again", NULL);
  return 1;
}

static void executing(unsigned long options) {
  pid_t pid = traced(execs, options);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("exec", pid);
  say_info("exec", pid);
  IS((pid_t)event_message(pid) == pid);
  struct user_regs_struct regs = get_registers(pid);
  say("rax %lld rcx %lld rbx %lld orig_rax %lld", regs.rax, regs.rcx, regs.rbx, regs.orig_rax);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);
}

static void *exec_thread(void *argument) {
  execl(self, self, "again", NULL);
  return argument;
}

static int thread_execs(void) {
  pthread_t id;
  pthread_create(&id, NULL, exec_thread, NULL);
  pthread_join(id, NULL);
  return 1;
}

static void executing_thread(unsigned long options) {
  pid_t pid = traced(thread_execs, options | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC);
  pid_t tid = expect_child("clone", pid);
  trace(PTRACE_CONT, pid, 0, 0);
  trace(PTRACE_CONT, tid, 0, 0);
  if (options & PTRACE_O_TRACEEXIT) {
    await_stop("leader exits", pid);
    trace(PTRACE_CONT, pid, 0, 0);
  }
  await_stop("exec", pid);
  IS((pid_t)event_message(pid) == tid);
  TRY(trace(PTRACE_CONT, tid, 0, 0));
  TRY(waitpid(tid, NULL, __WALL | WNOHANG));
  trace(PTRACE_CONT, pid, 0, 0);
  if (options & PTRACE_O_TRACEEXIT) {
    await_stop("exit", pid);
    trace(PTRACE_CONT, pid, 0, 0);
  }
  await_stop("end", pid);
}

static void *sleeping_thread(void *argument) {
  for (;;) pause();
  return argument;
}

static int thread_execs_beside(void) {
  pthread_t sleeping, executing;
  pthread_create(&sleeping, NULL, sleeping_thread, NULL);
  pthread_create(&executing, NULL, exec_thread, NULL);
  pthread_join(executing, NULL);
  return 1;
}

/* killed while its execve waits for a tracer to wait for another thread */
static void unreaped(void) {
  pid_t pid = traced(thread_execs_beside, PTRACE_O_TRACECLONE);
  pid_t sleeping = expect_child("clone", pid);
  trace(PTRACE_CONT, sleeping, 0, 0);
  pid_t executing = expect_child("clone", pid);
  trace(PTRACE_CONT, pid, 0, 0);
  trace(PTRACE_CONT, executing, 0, 0);
  siginfo_t info;
  TRY(waitid(P_PID, sleeping, &info, WEXITED | WNOWAIT | __WALL));
  TRY(waitpid(pid, NULL, WNOHANG | __WALL));
  kill(pid, SIGKILL);
  await_stop("executing thread", executing);
  await_stop("sleeping thread", sleeping);
  await_stop("process", pid);
}

/* a tracer that dies: its tracees are killed or let go */
static void tracer_death(unsigned long options) {
  int ends[2];
  NEED(pipe(ends));
  pid_t tracer = NEED(fork());
  if (tracer == 0) {
    pid_t pid = NEED(fork());
    if (pid == 0) {
      trace(PTRACE_TRACEME, 0, 0, 0);
      raise(SIGSTOP);
      say("tracee lives");
      _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    trace(PTRACE_SETOPTIONS, pid, 0, options);
    _exit(0);
  }
  close(ends[1]);
  char c;
  say("pipe closed: %zd", read(ends[0], &c, 1));
  reap("tracer", tracer);
  close(ends[0]);
}

/* the parent hears of an end when the tracer has */
static void two_steps(void) {
  int go[2];
  NEED(pipe(go));
  pid_t pid = NEED(fork());
  if (pid == 0) {
    char c;
    read(go[0], &c, 1);
    _exit(6);
  }
  int ready[2], taken[2];
  NEED(pipe(ready));
  NEED(pipe(taken));
  pid_t tracer = NEED(fork());
  if (tracer == 0) {
    char c;
    trace(PTRACE_SEIZE, pid, 0, 0);
    write(ready[1], "r", 1);
    siginfo_t info;
    waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
    say("tracer: end seen");
    write(ready[1], "e", 1);
    read(taken[0], &c, 1);
    await_stop("tracer", pid);
    write(ready[1], "d", 1);
    read(taken[0], &c, 1);
    _exit(0);
  }
  char c;
  read(ready[0], &c, 1);
  write(go[1], "g", 1);
  read(ready[0], &c, 1);
  TRY(waitpid(pid, NULL, WNOHANG));
  say("state %c", state_of(pid));
  write(taken[1], "t", 1);
  read(ready[0], &c, 1);
  reap("parent", pid);
  write(taken[1], "t", 1);
  reap("tracer", tracer);
}

int main(int argc, char **argv) {
  if (argc > 1) {
    say("executed");
    return 4;
  }
  self = argv[0];
  forking(0);
  forking(PTRACE_O_TRACEEXIT);
  cloning();
  executing(0);
  executing(PTRACE_O_TRACEEXEC);
  executing_thread(0);
  executing_thread(PTRACE_O_TRACEEXIT);
  unreaped();
  tracer_death(0);
  tracer_death(PTRACE_O_EXITKILL);
  two_steps();
  return 0;
}
