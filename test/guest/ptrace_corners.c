/* Corners of ptrace(2) that few tracers come to, each with what Linux does there. */
#include "ptrace.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif
#define REGISTER(name) offsetof(struct user, regs.name)

static siginfo_t caught;

static void handler(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)context;
  caught = *info;
}

static void catch_one(int signo) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
  sigaction(signo, &action, NULL);
}

static unsigned long peek(pid_t pid, unsigned long offset) {
  unsigned long value = 0;
  trace(PTRACE_PEEKUSR, pid, offset, (unsigned long)&value);
  return value;
}

/* With traced threads; there are no other children. */
static void kill_and_reap(pid_t pid) {
  kill(pid, SIGKILL);
  while (waitpid(-1, NULL, __WALL) > 0) {
  }
}

/* A program that sets its trap flag by popf keeps it, though it is stepped over that. */
static void popf_under_step(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    __asm__ volatile("int3; pushfq; orq $0x100, (%%rsp); popfq; nop; nop; pushfq; andq $~0x100, (%%rsp); popfq" : : : "memory", "cc");
    _exit(0);
  }
  await_stop("int3", pid);
  for (int i = 0; i < 3; i++) {
    trace(PTRACE_SINGLESTEP, pid, 0, 0);
    await_stop("step", pid);
    say("trap flag %d", (peek(pid, REGISTER(eflags)) & 0x100) != 0);
  }
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("its own trap", pid);
  kill_and_reap(pid);
}

static void filter_calls(unsigned traced) {
  struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, 0, 1),
                                 BPF_STMT(BPF_RET, SECCOMP_RET_ERRNO | 77),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
                                 BPF_STMT(BPF_RET, traced),
                                 BPF_STMT(BPF_RET, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static pid_t filtered(unsigned traced) {
  pid_t pid = NEED(fork());
  if (pid > 0) return pid;
  trace(PTRACE_TRACEME, 0, 0, 0);
  raise(SIGSTOP);
  filter_calls(traced);
  long result = syscall(SYS_getppid);
  say("its result: %ld %s", result, result == -1 ? errname(errno) : "");
  _exit(3);
}

/* A call that its tracer has made none is still judged by filters. */
static void no_call_is_filtered(void) {
  pid_t pid = filtered(SECCOMP_RET_ALLOW);
  await_stop("started", pid);
  do {
    trace(PTRACE_SYSCALL, pid, 0, 0);
    waitpid(pid, NULL, __WALL);
  } while (peek(pid, REGISTER(orig_rax)) != SYS_getppid);
  trace(PTRACE_POKEUSR, pid, REGISTER(orig_rax), -1ul);
  trace(PTRACE_POKEUSR, pid, REGISTER(rax), 1234);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("end", pid);

  pid = NEED(fork());
  if (pid == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    syscall(SYS_write, 1, "", 0);
    syscall(SYS_exit, 0);
  }
  await_stop("started", pid);
  do {
    trace(PTRACE_SYSCALL, pid, 0, 0);
    waitpid(pid, NULL, __WALL);
  } while (peek(pid, REGISTER(orig_rax)) != SYS_write);
  trace(PTRACE_POKEUSR, pid, REGISTER(orig_rax), -1ul);
  trace(PTRACE_CONT, pid, 0, 0);
  await_stop("strict", pid);
}

static void negative_after_seccomp_event(void) {
  for (long nr = -1; nr >= -3; nr--) {
    pid_t pid = filtered(SECCOMP_RET_TRACE | 9);
    await_stop("started", pid);
    trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP);
    trace(PTRACE_CONT, pid, 0, 0);
    await_stop("event", pid);
    trace(PTRACE_POKEUSR, pid, REGISTER(orig_rax), (unsigned long)nr);
    trace(PTRACE_POKEUSR, pid, REGISTER(rax), 1234);
    trace(PTRACE_CONT, pid, 0, 0);
    await_stop("end", pid);
  }
}

static long count_pending(pid_t pid, unsigned flags) {
  siginfo_t infos[4];
  struct ptrace_peeksiginfo_args args = {0, flags, 4};
  return trace(PTRACE_PEEKSIGINFO, pid, (unsigned long)&args, (unsigned long)infos);
}

/* A signal of the process that is passed on and blocked is pending for the process again. */
static void blocked_while_stopped(void) {
  for (int thread = 0; thread < 2; thread++) {
    pid_t pid = NEED(fork());
    if (pid == 0) {
      trace(PTRACE_TRACEME, 0, 0, 0);
      raise(SIGSTOP);
      for (;;) pause();
    }
    await_stop("started", pid);
    trace(PTRACE_CONT, pid, 0, 0);
    if (thread) syscall(SYS_tgkill, pid, pid, SIGUSR1);
    else kill(pid, SIGUSR1);
    await_stop("signal", pid);
    unsigned long mask = 1ul << (SIGUSR1 - 1);
    trace(PTRACE_SETSIGMASK, pid, 8, (unsigned long)&mask);
    trace(PTRACE_CONT, pid, 0, SIGUSR1);
    kill(pid, SIGHUP);
    await_stop("another", pid);
    INT(count_pending(pid, 0));
    INT(count_pending(pid, PTRACE_PEEKSIGINFO_SHARED));
    kill_and_reap(pid);
  }
}

static void traceme_needs_capabilities(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    int gate[2];
    char byte;
    NEED(pipe(gate));
    pid_t child = NEED(fork());
    if (child == 0) {
      NEED(read(gate[0], &byte, 1));
      TRY(trace(PTRACE_TRACEME, 0, 0, 0));
      _exit(0);
    }
    NEED(setresuid(1000, 1000, 1000));
    NEED(write(gate[1], "", 1));
    waitpid(child, NULL, 0);
    _exit(0);
  }
  waitpid(pid, NULL, 0);
}

static int in_namespace(void *unused) {
  (void)unused;
  catch_one(SIGUSR2);
  trace(PTRACE_TRACEME, 0, 0, 0);
  raise(SIGUSR1);
  say("in a namespace: code %d pid %d", caught.si_code, caught.si_pid);
  for (;;) *(volatile int *)8 = 1;
  return 0;
}

static void *trace_child(void *unused) {
  (void)unused;
  pid_t pid = fork();
  if (pid == 0) {
    catch_one(SIGUSR2);
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGUSR1);
    say("from the tracer's %s", caught.si_pid == getppid() ? "process" : "thread");
    _exit(0);
  }
  await_stop("started", pid);
  trace(PTRACE_CONT, pid, 0, SIGUSR2);
  await_stop("end", pid);
  return NULL;
}

/* Whom a signal is from that the tracer gives in place of another; and that a namespace's init outlives its faults. */
static void given_signal(void) {
  pthread_t thread;
  static char stack[65536] __attribute__((aligned(16)));
  NEED(-pthread_create(&thread, NULL, trace_child, NULL));
  pthread_join(thread, NULL);
  pid_t pid = NEED(clone(in_namespace, stack + sizeof stack, CLONE_NEWPID | SIGCHLD, NULL));
  await_stop("started", pid);
  trace(PTRACE_CONT, pid, 0, SIGUSR2);
  for (int i = 0; i < 3; i++) {
    await_stop("fault", pid);
    trace(PTRACE_CONT, pid, 0, SIGSEGV);
  }
  kill_and_reap(pid);
}

static int told[2];

static void *tell_and_wait(void *ends) {
  pid_t tid = gettid();
  NEED(write(told[1], &tid, sizeof tid));
  if (ends) {
    sleep_ms(100);
    syscall(SYS_exit, 7);
  }
  for (;;) pause();
  return NULL;
}

static pid_t process_with_thread(bool ends, bool leader_ends, pid_t *tid) {
  NEED(pipe(told));
  pid_t pid = NEED(fork());
  if (pid == 0) {
    pthread_t thread;
    pthread_create(&thread, NULL, tell_and_wait, ends ? told : NULL);
    sleep_ms(leader_ends ? 100 : 0);
    if (leader_ends) syscall(SYS_exit, 5);
    for (;;) pause();
  }
  NEED(read(told[0], tid, sizeof *tid));
  close(told[0]);
  close(told[1]);
  return pid;
}

static void say_waitid(const char *what, idtype_t type, id_t id, pid_t wanted, int options) {
  siginfo_t info = {0};
  int result = waitid(type, id, &info, options | WNOHANG);
  if (result != 0) say("%s: %s", what, errname(errno));
  else say("%s: %s code %d status %#x", what, info.si_pid == wanted ? "it" : info.si_pid == 0 ? "nobody" : "another", info.si_code, info.si_status);
}

/* What waitid(2) says by the pidfd of a traced thread that has been stopped, or has ended. */
static void wait_for_thread(const char *what, bool ends) {
  pid_t tid, pid = process_with_thread(ends, false, &tid);
  NEED(trace(PTRACE_SEIZE, tid, 0, 0));
  int fd = syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
  if (!ends) NEED(trace(PTRACE_INTERRUPT, tid, 0, 0));
  sleep_ms(200);
  say_waitid(what, P_PIDFD, fd, tid, ends ? WEXITED : WSTOPPED);
  close(fd);
  kill_and_reap(pid);
}

/* waitid(2) by a thread's pidfd, and of a leader that its threads survive. */
static void waiting(void) {
  wait_for_thread("stopped thread", false);
  wait_for_thread("ended thread", true);

  pid_t tid, pid = process_with_thread(false, true, &tid);
  NEED(trace(PTRACE_SEIZE, pid, 0, 0));
  sleep_ms(200);
  say_waitid("leader, stops", P_PID, pid, pid, WSTOPPED);
  say_waitid("leader, ends", P_PID, pid, pid, WEXITED);
  say_waitid("leader, stops and continuations", P_PID, pid, pid, WSTOPPED | WCONTINUED);
  kill_and_reap(pid);
}

/* What SIGCHLD says of a stop that PTRACE_INTERRUPT brought about. */
static void status_of_interrupt(void) {
  sigset_t set;
  siginfo_t info = {0};
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  while (sigtimedwait(&set, &info, &(struct timespec){0, 0}) > 0) {
  }
  pid_t pid = NEED(fork());
  if (pid == 0)
    for (;;) pause();
  NEED(trace(PTRACE_SEIZE, pid, 0, 0));
  NEED(trace(PTRACE_INTERRUPT, pid, 0, 0));
  NEED(sigwaitinfo(&set, &info));
  say("SIGCHLD: code %d status %d", info.si_code, info.si_status);
  await_stop("interrupted", pid);
  kill_and_reap(pid);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int main(void) {
  popf_under_step();
  no_call_is_filtered();
  negative_after_seccomp_event();
  blocked_while_stopped();
  traceme_needs_capabilities();
  given_signal();
  waiting();
  status_of_interrupt();
  return 0;
}
