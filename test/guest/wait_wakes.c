/* What wakes a thread that sleeps in wait4(2) or waitid(2): changes of the children that it asked for, and no others. */
#include "guest.h"
#include <pthread.h>

enum kind { FOUR, ID };

struct sleeper {
  enum kind kind;
  int which, id, options;
  pthread_t thread;
  volatile pid_t tid;
  volatile bool done;
  long result;
};

static void nothing(int signo) { (void)signo; }

static void *sleep_in_wait(void *argument) {
  struct sleeper *me = argument;
  siginfo_t info;
  memset(&info, 0, sizeof info);
  me->tid = gettid();
  long result = me->kind == FOUR ? syscall(SYS_wait4, me->id, NULL, me->options, NULL)
                                 : syscall(SYS_waitid, me->which, me->id, &info, me->options, NULL);
  me->result = result == -1 ? -errno : me->kind == FOUR ? result : info.si_pid;
  me->done = true;
  return NULL;
}

static char state_of(pid_t tid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
  int fd = open(path, O_RDONLY);
  if (fd == -1) return 'X';
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return 'X';
  text[n] = 0;
  char *end = strrchr(text, ')');
  return end == NULL ? 'X' : end[2];
}

static void await_rest(struct sleeper *sleeper) {
  for (int tries = 0; tries < 500; tries++) {
    sleep_ms(10);
    if (sleeper->done || (sleeper->tid != 0 && state_of(sleeper->tid) == 'S')) break;
  }
  sleep_ms(30);
}

static void start(struct sleeper *sleeper, enum kind kind, int which, int id, int options) {
  memset(sleeper, 0, sizeof *sleeper);
  sleeper->kind = kind, sleeper->which = which, sleeper->id = id, sleeper->options = options;
  pthread_create(&sleeper->thread, NULL, sleep_in_wait, sleeper);
  await_rest(sleeper);
}

static void look(const char *name, struct sleeper *sleeper) {
  await_rest(sleeper);
  if (!sleeper->done) say("%s: asleep", name);
  else say("%s: %s", name, sleeper->result < 0 ? errname(-sleeper->result) : "child");
}

static void disturb(const char *name, struct sleeper *sleeper) {
  if (!sleeper->done) syscall(SYS_tgkill, getpid(), sleeper->tid, SIGUSR1);
  look(name, sleeper);
  pthread_join(sleeper->thread, NULL);
}

/* In a group of its own, or in `group`. */
static pid_t child_in(pid_t group) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    setpgid(0, group);
    for (;;) pause();
  }
  setpgid(pid, group);
  return pid;
}

/* Ends it. Where children are not reaped by themselves it stays a zombie. */
static void end(pid_t pid) {
  kill(pid, SIGKILL);
  sleep_ms(30);
}

static void groups(enum kind kind) {
  struct sleeper sleeper;
  const char *name = kind == FOUR ? "wait4" : "waitid";
  say("-- groups, %s", name);

  pid_t child = child_in(0);
  start(&sleeper, kind, P_PGID, kind == FOUR ? -child : child, kind == FOUR ? 0 : WEXITED);
  NEED(setpgid(child, getpgrp()));
  look("the only member has left", &sleeper);
  end(child);
  look("and has ended", &sleeper);
  disturb("and a signal has come", &sleeper);
  reap("it", child);

  pid_t member = child_in(0), other = child_in(0);
  start(&sleeper, kind, P_PGID, kind == FOUR ? -member : member, kind == FOUR ? 0 : WEXITED);
  NEED(setpgid(other, member));
  end(other);
  look("one that has come to the group has ended", &sleeper);
  pthread_join(sleeper.thread, NULL);
  end(member);
  reap("the first", member);

  /* the caller's own group is the one that it is in when it calls */
  child = child_in(getpgrp());
  pid_t before = getpgrp();
  start(&sleeper, kind, P_PGID, 0, kind == FOUR ? 0 : WEXITED);
  NEED(setpgid(0, 0));
  IS(getpgrp() != before);
  look("the caller has left its group", &sleeper);
  end(child);
  look("a member of it has ended", &sleeper);
  pthread_join(sleeper.thread, NULL);
  NEED(setpgid(0, before));
}

static void numbers(void) {
  struct sleeper first, second;
  say("-- numbers");
  pid_t a = child_in(0), b = child_in(0);
  start(&first, FOUR, 0, a, 0);
  end(b);
  look("another has ended", &first);
  reap("it", b);
  kill(a, SIGSTOP);
  look("it has stopped", &first);
  end(a);
  look("it has ended", &first);
  pthread_join(first.thread, NULL);

  a = child_in(0);
  start(&first, FOUR, 0, a, 0);
  start(&second, FOUR, 0, -1, 0);
  end(a);
  await_rest(&first), await_rest(&second);
  say("two that ask for it: %d children, %d ECHILD", (first.result == a) + (second.result == a),
      (first.result == -ECHILD) + (second.result == -ECHILD));
  pthread_join(first.thread, NULL);
  pthread_join(second.thread, NULL);

  a = child_in(0);
  start(&first, FOUR, 0, a, 0);
  start(&second, ID, P_PID, a, WEXITED | WNOWAIT);
  end(a);
  await_rest(&first), await_rest(&second);
  say("one of them leaves it: %s", first.result == a ? "the other has it" : "?");
  pthread_join(first.thread, NULL);
  pthread_join(second.thread, NULL);
}

static void threads(void) {
  struct sleeper sleeper;
  say("-- threads");
  /* it has no children of its own; those of others are none of its */
  pid_t a = child_in(0);
  start(&sleeper, FOUR, 0, -1, __WNOTHREAD);
  look("__WNOTHREAD without children", &sleeper);
  pthread_join(sleeper.thread, NULL);
  start(&sleeper, FOUR, 0, -1, 0);
  look("and without it", &sleeper);
  end(a);
  look("ended", &sleeper);
  pthread_join(sleeper.thread, NULL);
}

static void ignored(int flags, void (*handler)(int)) {
  struct sleeper sleeper;
  say("-- SIGCHLD %s", handler == SIG_IGN ? "ignored" : "with SA_NOCLDWAIT");
  handle(SIGCHLD, handler, flags);
  pid_t a = child_in(0), b = child_in(0);
  start(&sleeper, FOUR, 0, -1, 0);
  end(a);
  look("the first has ended", &sleeper);
  end(b);
  look("the last has ended", &sleeper);
  pthread_join(sleeper.thread, NULL);

  a = child_in(0), b = child_in(0);
  start(&sleeper, FOUR, 0, a, 0);
  end(b);
  look("another has ended", &sleeper);
  end(a);
  look("it has ended", &sleeper);
  pthread_join(sleeper.thread, NULL);

  a = child_in(0), b = child_in(0);
  start(&sleeper, ID, P_PGID, a, WEXITED);
  NEED(setpgid(a, b));
  end(a);
  look("it has left the group and ended", &sleeper);
  disturb("and a signal has come", &sleeper);
  end(b);
  handle(SIGCHLD, SIG_DFL, 0);
}

int main(void) {
  handle(SIGUSR1, nothing, 0);
  setpgid(0, 0);
  /* one level down: a group that is left must go on to exist */
  pid_t pid = NEED(fork());
  if (pid == 0) {
    groups(FOUR);
    groups(ID);
    numbers();
    threads();
    ignored(0, SIG_IGN);
    ignored(SA_NOCLDWAIT, nothing);
    _exit(0);
  }
  reap("all", pid);
  return 0;
}
