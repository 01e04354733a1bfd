/* wait4(2), waitid(2): every option, what is written where, clone children, threads, pidfds, usage, errors. */
#include "guest.h"
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static long raw_waitid(int type, int id, siginfo_t *info, int options, struct rusage *usage) {
  return syscall(SYS_waitid, type, id, info, options, usage) == -1 ? -errno : 0;
}

static void waited(const char *name, int type, int id, int options) {
  siginfo_t info;
  memset(&info, 0x55, sizeof info);
  long code = raw_waitid(type, id, &info, options, NULL);
  int is_child = info.si_pid != 0 && info.si_pid != 0x55555555;
  say("%s: %s signo %#x code %#x pid %s status %#x uid %s", name, errname(-code), info.si_signo, info.si_code,
      is_child ? "child" : info.si_pid == 0 ? "0" : "untouched", info.si_status,
      info.si_uid == getuid() ? "own" : info.si_uid == 0x55555555 ? "untouched" : "?");
}

static pid_t child_that_exits(int code, unsigned long flags) {
  pid_t pid = NEED(syscall(SYS_clone, flags, 0, 0, 0, 0));
  if (pid == 0) _exit(code);
  return pid;
}

static pid_t sleeper(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    for (;;) pause();
  }
  return pid;
}

static int pidfd(pid_t pid, int flags) { return NEED(syscall(SYS_pidfd_open, pid, flags)); }

/* Waits until it is a zombie, and leaves it. */
static void ended(pid_t pid) { raw_waitid(P_PID, pid, NULL, WEXITED | WNOWAIT | __WALL, NULL); }

static void settle(void) { sleep_ms(30); }

static void four(const char *name, pid_t pid, int options) {
  int status = 0x5a5a;
  long got = syscall(SYS_wait4, pid, &status, options, NULL);
  say("%s: %s status %#x", name, got == -1 ? errname(errno) : got == 0 ? "0" : "child", status);
}

static void *wait_in_thread(void *unused) {
  (void)unused;
  four("other thread, __WNOTHREAD", -1, WNOHANG | __WNOTHREAD);
  four("other thread", -1, WNOHANG);
  return NULL;
}

static pid_t made_by_thread;
static void *fork_in_thread(void *unused) {
  (void)unused;
  made_by_thread = child_that_exits(21, SIGCHLD);
  return NULL;
}

static int pipe_ends[2];
static void *fork_and_stay(void *unused) {
  (void)unused;
  char byte;
  made_by_thread = child_that_exits(22, SIGCHLD);
  read(pipe_ends[0], &byte, 1);
  return NULL;
}

int main(void) {
  say("nobody to wait for");
  four("wait4", -1, 0);
  four("wait4 of nobody", 999999, WNOHANG);
  four("wait4 of a group", -999999, 0);
  four("wait4 INT_MIN", INT_MIN, 0);
  four("wait4, bad option", -1, 0x10);
  four("wait4, WNOWAIT", -1, WNOWAIT);
  four("wait4, WEXITED", -1, WEXITED);
  waited("waitid", P_ALL, 0, WEXITED);
  waited("waitid, nothing asked", P_ALL, 0, WNOHANG);
  waited("waitid, bad option", P_ALL, 0, WEXITED | 0x10000);
  waited("waitid, bad type", 77, 0, WEXITED);
  waited("waitid, P_PID 0", P_PID, 0, WEXITED);
  waited("waitid, P_PID -1", P_PID, -1, WEXITED);
  waited("waitid, P_PGID -1", P_PGID, -1, WEXITED);
  waited("waitid, P_PGID 0", P_PGID, 0, WEXITED);
  waited("waitid, P_PIDFD -1", P_PIDFD, -1, WEXITED);
  waited("waitid, P_PIDFD of something else", P_PIDFD, 1, WEXITED);
  waited("waitid, P_PIDFD closed", P_PIDFD, 200, WEXITED);
  int own = pidfd(getpid(), 0);
  waited("waitid, own pidfd", P_PIDFD, own, WEXITED);
  say("bad pointer: %ld", raw_waitid(P_ALL, 0, (void *)8, WEXITED, NULL));

  say("a child that sleeps");
  pid_t pid = sleeper();
  four("WNOHANG", -1, WNOHANG);
  waited("WNOHANG", P_ALL, 0, WEXITED | WNOHANG);
  say("WNOHANG without info: %ld", raw_waitid(P_ALL, 0, NULL, WEXITED | WNOHANG, NULL));
  say("WNOHANG, bad info: %ld", raw_waitid(P_ALL, 0, (void *)8, WEXITED | WNOHANG, NULL));
  struct rusage usage;
  memset(&usage, 0x55, sizeof usage);
  say("WNOHANG, usage: %ld untouched %d", raw_waitid(P_ALL, 0, NULL, WEXITED | WNOHANG, &usage),
      usage.ru_utime.tv_sec == 0x5555555555555555);
  int fd = pidfd(pid, 0), lazy = pidfd(pid, O_NONBLOCK);
  waited("P_PIDFD, WNOHANG", P_PIDFD, fd, WEXITED | WNOHANG);
  waited("P_PIDFD, nonblocking", P_PIDFD, lazy, WEXITED);
  waited("P_PIDFD, nonblocking, WNOHANG", P_PIDFD, lazy, WEXITED | WNOHANG);
  kill(pid, SIGSTOP);
  waited("stopped, kept", P_PID, pid, WSTOPPED | WNOWAIT);
  waited("stopped, kept, continued too", P_PID, pid, WSTOPPED | WCONTINUED | WNOWAIT);
  four("stopped, WNOHANG only", pid, WNOHANG);
  four("stopped", pid, WUNTRACED);
  four("stopped, once", pid, WUNTRACED | WNOHANG);
  kill(pid, SIGCONT);
  raw_waitid(P_PID, pid, NULL, WCONTINUED | WNOWAIT, NULL);
  four("continued, only stops asked", pid, WUNTRACED | WNOHANG);
  waited("continued, kept", P_PIDFD, fd, WCONTINUED | WNOWAIT);
  four("continued", pid, WCONTINUED);
  four("continued, once", pid, WCONTINUED | WNOHANG);
  kill(pid, SIGSTOP);
  raw_waitid(P_PID, pid, NULL, WSTOPPED | WNOWAIT, NULL);
  kill(pid, SIGCONT);
  raw_waitid(P_PID, pid, NULL, WCONTINUED | WNOWAIT, NULL);
  four("stop that is over", pid, WUNTRACED | WNOHANG);
  waited("continued", P_PID, pid, WCONTINUED | WNOHANG);
  kill(pid, SIGSTOP);
  raw_waitid(P_PID, pid, NULL, WSTOPPED | WNOWAIT, NULL);
  kill(pid, SIGTERM);
  settle();
  four("stopped and to be killed", pid, WUNTRACED | WNOHANG);
  kill(pid, SIGCONT);
  ended(pid);
  waited("killed, nonblocking pidfd", P_PIDFD, lazy, WEXITED | WNOWAIT);
  waited("killed, kept", P_PID, pid, WEXITED | WNOWAIT);
  waited("killed, not asked", P_PID, pid, WSTOPPED | WCONTINUED | WNOHANG);
  four("killed, all options", pid, WUNTRACED | WCONTINUED);
  four("killed, gone", pid, 0);
  waited("gone, pidfd", P_PIDFD, fd, WEXITED);
  say("gone, send: %d", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == -1 ? errno == ESRCH : -1);

  say("clone children");
  signal(SIGUSR2, SIG_IGN);
  pid = child_that_exits(3, 0);
  ended(pid);
  four("no signal, plain", pid, WNOHANG);
  four("no signal, __WCLONE", pid, WNOHANG | __WCLONE);
  pid = child_that_exits(4, SIGUSR2);
  ended(pid);
  four("SIGUSR2, plain", pid, WNOHANG);
  four("SIGUSR2, __WALL", pid, WNOHANG | __WALL);
  pid = child_that_exits(5, SIGCHLD);
  ended(pid);
  four("SIGCHLD, __WCLONE", pid, WNOHANG | __WCLONE);
  four("SIGCHLD, __WCLONE | __WALL", pid, WNOHANG | __WCLONE | __WALL);
  pid = child_that_exits(6, 0);
  ended(pid);
  waited("waitid, plain", P_PID, pid, WEXITED | WNOHANG);
  waited("waitid, __WCLONE", P_PID, pid, WEXITED | WNOHANG | __WCLONE);
  pid_t odd = syscall(SYS_clone, 77ul, 0, 0, 0, 0);
  if (odd == 0) _exit(7);
  say("clone with signal 77: %s", odd == -1 ? errname(errno) : "ok");
  if (odd > 0) four("its end", odd, __WCLONE);

  say("a child whose end kills its parent");
  pid = NEED(fork());
  if (pid == 0) {
    child_that_exits(0, SIGKILL);
    for (;;) pause();
  }
  four("parent", pid, 0);

  say("threads");
  pthread_t thread;
  pid = child_that_exits(9, SIGCHLD);
  ended(pid);
  pthread_create(&thread, NULL, wait_in_thread, NULL);
  pthread_join(thread, NULL);
  four("gone", -1, WNOHANG);
  pthread_create(&thread, NULL, fork_in_thread, NULL);
  pthread_join(thread, NULL);
  ended(made_by_thread);
  four("of a thread that is gone, __WNOTHREAD", made_by_thread, WNOHANG | __WNOTHREAD);
  NEED(pipe(pipe_ends));
  made_by_thread = 0;
  pthread_create(&thread, NULL, fork_and_stay, NULL);
  while (made_by_thread == 0) sleep_ms(1);
  ended(made_by_thread);
  four("of another thread, __WNOTHREAD", made_by_thread, WNOHANG | __WNOTHREAD);
  four("of another thread", made_by_thread, WNOHANG);
  NEED(write(pipe_ends[1], "x", 1));
  pthread_join(thread, NULL);

  say("process groups");
  pid_t first = sleeper(), second = sleeper();
  setpgid(first, first);
  setpgid(second, first);
  kill(-first, SIGTERM);
  ended(first);
  ended(second);
  four("own group", 0, WNOHANG);
  waited("their group", P_PGID, first, WEXITED);
  four("their group", -first, 0);
  four("nobody left", -first, 0);

  say("ignored children");
  signal(SIGCHLD, SIG_IGN);
  pid = child_that_exits(1, SIGCHLD);
  four("waits until all are gone", -1, 0);
  pid = child_that_exits(1, 0);
  ended(pid);
  four("one without a signal stays", pid, __WALL);
  signal(SIGCHLD, SIG_DFL);
  struct sigaction action = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
  sigaction(SIGCHLD, &action, NULL);
  pid = child_that_exits(1, SIGCHLD);
  four("SA_NOCLDWAIT", pid, 0);
  signal(SIGCHLD, SIG_DFL);

  say("usage");
  pid = NEED(fork());
  if (pid == 0) {
    struct timespec used = {0, 0};
    while (used.tv_sec == 0 && used.tv_nsec < 60000000) {
      for (volatile int i = 0; i < 2000000; i++) {
      }
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    }
    _exit(0);
  }
  memset(&usage, 0, sizeof usage);
  siginfo_t info;
  say("kept: %ld", raw_waitid(P_PID, pid, &info, WEXITED | WNOWAIT, &usage));
  long kept = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec + 1000000 * usage.ru_utime.tv_sec;
  say("told: %d", kept > 10000);
  getrusage(RUSAGE_CHILDREN, &usage);
  long before = usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec;
  struct rusage of_child;
  int status;
  say("wait4: %d", wait4(pid, &status, 0, &of_child) == pid);
  say("as told before: %d", of_child.ru_utime.tv_usec + of_child.ru_stime.tv_usec + 1000000 * of_child.ru_utime.tv_sec == kept);
  getrusage(RUSAGE_CHILDREN, &usage);
  say("counted: %d", usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec > before);
  pid = child_that_exits(1, SIGCHLD);
  say("bad status address: %s", syscall(SYS_wait4, pid, (void *)8, 0, NULL) == -1 ? errname(errno) : "ok");
  four("it is gone all the same", pid, 0);
  pid = child_that_exits(1, SIGCHLD);
  ended(pid);
  say("bad info address: %ld", raw_waitid(P_PID, pid, (void *)8, WEXITED, NULL));
  four("it is gone all the same", pid, 0);

  say("subreapers");
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  pid = NEED(fork());
  if (pid == 0) {
    pid_t grandchild = fork();
    if (grandchild == 0) {
      sleep_ms(40);
      _exit(33);
    }
    _exit(0);
  }
  four("child", pid, 0);
  four("adopted", -1, 0);
  four("nobody", -1, WNOHANG);
  int is = 5;
  prctl(PR_GET_CHILD_SUBREAPER, &is);
  say("subreaper %d", is);
  pid = NEED(fork());
  if (pid == 0) {
    prctl(PR_GET_CHILD_SUBREAPER, &is);
    say("not inherited %d", is);
    _exit(0);
  }
  four("child", pid, 0);
  /* one that forgets its own children: a middle subreaper comes first */
  pid = NEED(fork());
  if (pid == 0) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t middle = fork();
    if (middle == 0) {
      if (fork() == 0) {
        sleep_ms(40);
        _exit(44);
      }
      _exit(1);
    }
    waitpid(middle, NULL, 0);
    four("the nearest adopts", -1, 0);
    _exit(0);
  }
  four("child", pid, 0);
  four("nobody", -1, WNOHANG);
  return 0;
}
