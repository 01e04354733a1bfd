/* PID namespaces: translation of ids, init, death of a namespace, pid_namespaces(7). */
#include "guest.h"
#include <linux/futex.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>

static int ready[2], go[2];

static void tell(int *pipe) { (void)!write(pipe[1], "x", 1); }
static void await(int *pipe) {
  char c;
  (void)!read(pipe[0], &c, 1);
}

static pid_t clone_into(int flags) { return syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0); }

/* Ids as a process sees itself; those of another namespace are 0. */
static void ids(const char *who) {
  say("%s: pid %d tid %ld ppid %d pgrp %d sid %d", who, getpid(), (long)syscall(SYS_gettid), getppid(), getpgrp(), getsid(0));
}

/* How many numbers a line of status has, and the last one. */
static void nested_ids(const char *who, const char *path, const char *key) {
  char *content = strdup(get(path));
  char *line = strstr(content, key);
  if (line == NULL) {
    say("%s %s: none", who, key);
    return;
  }
  char *end = strchr(line, '\n');
  if (end) *end = 0;
  int count = 0;
  long last = -1;
  strtok(line, "\t");
  for (char *word = strtok(NULL, "\t"); word; word = strtok(NULL, "\t")) count++, last = atol(word);
  say("%s %s %d numbers, last %ld", who, key, count, last);
  free(content);
}

static void translation(void) {
  pid_t outer = getpid();
  int pair[2];
  NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  int on = 1;
  NEED(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
  NEED(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
  pid_t child = NEED(clone_into(CLONE_NEWPID));
  char space[256], byte;
  struct iovec vector = {&byte, 1};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  if (child == 0) {
    ids("init");
    TRY(kill(outer, 0));
    TRY(getpgid(outer));
    TRY(getsid(outer));
    TRY(setpgid(0, outer));
    await(go);
    NEED(recvmsg(pair[1], &message, 0));
    say("sender seen inside: %d", ((struct ucred *)CMSG_DATA(CMSG_FIRSTHDR(&message)))->pid);
    NEED(send(pair[1], "x", 1, 0));
    struct ucred peer;
    socklen_t length = sizeof peer;
    NEED(getsockopt(pair[1], SOL_SOCKET, SO_PEERCRED, &peer, &length));
    say("peer seen inside: %d", peer.pid);
    message.msg_controllen = CMSG_SPACE(sizeof(struct ucred));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(struct ucred)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS};
    struct ucred *claim = (struct ucred *)CMSG_DATA(header);
    *claim = (struct ucred){1, 0, 0};
    TRY(sendmsg(pair[1], &message, 0));
    *claim = (struct ucred){4000, 0, 0};
    TRY(sendmsg(pair[1], &message, 0));
    TRY(setsid());
    ids("init with a session");
    pid_t inner = NEED(fork());
    if (inner == 0) {
      ids("child of init");
      TRY(setpgid(0, 0));
      ids("child of init, with a group");
      nested_ids("inside", "/proc/self/status", "NSpid:");
      _exit(7);
    }
    int status;
    INT(waitpid(inner, &status, 0));
    INT(inner);
    say("%s", status_text(status));
    inner = NEED(fork());
    if (inner == 0) {
      setpgid(0, 0);
      pause();
    }
    while (getpgid(inner) != inner) sched_yield();
    INT(getpgid(inner));
    TRY(kill(-inner, SIGTERM));
    siginfo_t info = {0};
    TRY(waitid(P_PGID, inner, &info, WEXITED));
    say("waitid: pid %d status %d", info.si_pid, info.si_status);
    TRY(syscall(SYS_tgkill, 1, 1, 0));
    TRY(syscall(SYS_tgkill, 1, 2, 0));
    TRY(syscall(SYS_pidfd_open, 1, 0) >= 0);
    TRY(syscall(SYS_pidfd_open, 99, 0));
    int fd = open("/dev/null", O_RDONLY);
    TRY(fcntl(fd, F_SETOWN, 1));
    TRY(fcntl(fd, F_GETOWN));
    TRY(fcntl(fd, F_SETOWN, 4000));
    TRY(fcntl(fd, F_SETOWN, outer));
    TRY(fcntl(fd, F_SETOWN, -getpgrp()));
    TRY(fcntl(fd, F_GETOWN));
    int set = NEED(semget(IPC_PRIVATE, 1, 0600));
    struct sembuf up = {0, 1, 0};
    NEED(semop(set, &up, 1));
    INT(semctl(set, 0, GETPID));
    NEED(semctl(set, 0, IPC_RMID));
    TRY(syscall(SYS_set_tid_address, NULL));
    TRY(sched_getscheduler(1));
    TRY(sched_getscheduler(50));
    _exit(42);
  }
  NEED(send(pair[0], "x", 1, 0));
  tell(go);
  int seen = 0;
  for (int i = 0; i < 2; i++) {
    message.msg_controllen = sizeof space;
    NEED(recvmsg(pair[0], &message, 0));
    seen += ((struct ucred *)CMSG_DATA(CMSG_FIRSTHDR(&message)))->pid == child;
  }
  siginfo_t info = {0};
  NEED(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
  IS(child > 1);
  INT(seen);
  IS(info.si_pid == child);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/status", child);
  nested_ids("outside", path, "NSpid:");
  nested_ids("outside", path, "NStgid:");
  reap("translation", child);
}

static volatile sig_atomic_t caught;
static siginfo_t last;
static void note(int signo, siginfo_t *info, void *context) {
  (void)context;
  caught = signo;
  last = *info;
}

static void catch(int signo) {
  struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
  NEED(sigaction(signo, &action, NULL));
}

/* Init gets only what it catches; from outside SIGKILL and SIGSTOP too. */
static void immunity(void) {
  int said[2];
  NEED(pipe(said));
  pid_t child = NEED(clone_into(CLONE_NEWPID));
  if (child == 0) {
    TRY(kill(1, SIGTERM));
    TRY(kill(1, SIGKILL));
    TRY(kill(1, SIGSTOP));
    TRY(raise(SIGUSR1));
    catch(SIGUSR2);
    pid_t inner = NEED(fork());
    if (inner == 0) {
      TRY(kill(1, SIGKILL));
      TRY(kill(1, SIGHUP));
      TRY(kill(1, SIGUSR2));
      TRY(kill(-1, SIGKILL));
      _exit(0);
    }
    reap("attacker", inner);
    say("caught %d from %d", caught == SIGUSR2, last.si_pid);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGUSR1);
    sigset_t pending;
    sigpending(&pending);
    IS(sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    say("survived");
    alarm(1);
    caught = 0;
    tell(ready);
    /* from outside: SIGTERM does nothing, SIGUSR2 is caught and says 0 */
    while (!caught) sched_yield();
    await(said);
    say("from outside: %d code %d pid %d", caught == SIGUSR2, last.si_code, last.si_pid);
    tell(ready);
    for (;;) pause();
  }
  await(ready);
  TRY(kill(child, SIGTERM));
  TRY(kill(child, SIGHUP));
  TRY(kill(child, SIGUSR2));
  tell(said);
  await(ready);
  int status;
  TRY(kill(child, SIGSTOP));
  IS(waitpid(child, &status, WUNTRACED) == child);
  say("%s", status_text(status));
  TRY(kill(child, SIGCONT));
  TRY(kill(child, SIGKILL));
  reap("init", child);
  /* a fault kills it in any case */
  child = NEED(clone_into(CLONE_NEWPID));
  if (child == 0) *(volatile int *)8 = 1;
  reap("faulting init", child);
  child = NEED(clone_into(CLONE_NEWPID));
  if (child == 0) abort();
  reap("aborting init", child);
}

/* Orphans are init's; with it everybody dies. */
static void death(void) {
  int alive[2];
  NEED(pipe(alive));
  pid_t child = NEED(clone_into(CLONE_NEWPID));
  if (child == 0) {
    close(alive[0]);
    pid_t middle = NEED(fork());
    if (middle == 0) {
      if (NEED(fork()) == 0) {
        while (getppid() != 1) sched_yield();
        await(go);
        ids("orphan");
        signal(SIGTERM, SIG_IGN);
        tell(ready);
        for (;;) pause();
      }
      _exit(0);
    }
    reap("middle", middle);
    tell(go);
    /* a zombie that nobody waits for, and more who sleep */
    if (NEED(fork()) == 0) _exit(0);
    for (int i = 0; i < 5; i++)
      if (NEED(fork()) == 0)
        for (;;) pause();
    await(ready);
    _exit(3);
  }
  close(alive[1]);
  reap("init", child);
  char c;
  TRY(read(alive[0], &c, 1)); /* the last writer is gone */
  close(alive[0]);
  /* a namespace whose init is gone takes nobody */
  child = NEED(fork());
  if (child == 0) {
    NEED(unshare(CLONE_NEWPID));
    IS(getpid() > 1);
    TRY(unshare(CLONE_NEWPID));
    pid_t first = NEED(fork());
    if (first == 0) {
      INT(getpid());
      INT(getppid());
      _exit(0);
    }
    reap("first", first);
    TRY(fork());
    TRY(fork());
    _exit(0);
  }
  reap("unsharer", child);
}

/* A process that setns(2) and fork(2) put into the namespace. */
static void entering(void) {
  pid_t child = NEED(clone_into(CLONE_NEWPID));
  if (child == 0) {
    if (NEED(fork()) == 0) {
      tell(ready);
      for (;;) pause();
    }
    for (;;) pause();
  }
  await(ready);
  char path[64], mine[64], theirs[64];
  snprintf(path, sizeof path, "/proc/%d/ns/pid", child);
  int fd = NEED(open(path, O_RDONLY));
  pid_t helper = NEED(fork());
  if (helper == 0) {
    TRY(setns(fd, CLONE_NEWPID));
    IS(getpid() > 1);
    ssize_t n = readlink("/proc/self/ns/pid_for_children", mine, 63);
    mine[n] = 0;
    n = readlink(path, theirs, 63);
    theirs[n] = 0;
    IS(strcmp(mine, theirs) == 0);
    n = readlink("/proc/self/ns/pid", mine, 63);
    mine[n] = 0;
    IS(strcmp(mine, theirs) == 0);
    TRY(unshare(CLONE_NEWPID));
    pid_t inner = NEED(fork());
    if (inner == 0) {
      ids("entered");
      TRY(kill(1, 0));
      TRY(kill(2, 0));
      int up = open("/proc/self/ns/pid", O_RDONLY);
      TRY(up >= 0);
      tell(go);
      for (;;) pause();
    }
    await(go);
    /* its init dies while we are the parent of one in there */
    TRY(kill(child, SIGKILL));
    int status;
    IS(waitpid(inner, &status, 0) == inner);
    say("inner %s", status_text(status));
    TRY(fork());
    _exit(0);
  }
  reap("helper", helper);
  reap("namespace", child);
  TRY(setns(fd, CLONE_NEWPID));
  int parent = ioctl(fd, NS_GET_PARENT);
  struct stat st, own;
  fstat(parent, &st);
  stat("/proc/self/ns/pid", &own);
  IS(st.st_ino == own.st_ino);
  /* back to one's own is allowed */
  TRY(setns(parent, CLONE_NEWPID));
}

static void levels(void) {
  pid_t child = NEED(clone_into(CLONE_NEWPID));
  if (child == 0) {
    pid_t inner = NEED(clone_into(CLONE_NEWPID));
    if (inner == 0) {
      ids("second level");
      nested_ids("second level", "/proc/thread-self/status", "NSpid:");
      if (NEED(fork()) == 0) {
        ids("second level's child");
        _exit(0);
      }
      wait(NULL);
      int fd = open("/proc/1/ns/pid", O_RDONLY);
      TRY(setns(fd, CLONE_NEWPID) == 0 ? 1 : errno);
      _exit(4);
    }
    reap("second", inner);
    INT(inner);
    /* a subreaper of the same namespace comes before init */
    inner = NEED(fork());
    if (inner == 0) {
      prctl(PR_SET_CHILD_SUBREAPER, 1);
      if (NEED(fork()) == 0) {
        pid_t parent = getpid();
        if (NEED(fork()) == 0) {
          while (getppid() == parent) sched_yield();
          INT(getppid());
          _exit(0);
        }
        _exit(0);
      }
      while (wait(NULL) > 0) {
      }
      _exit(0);
    }
    reap("subreaper", inner);
    _exit(0);
  }
  reap("levels", child);
  /* too deep */
  int pipe_fd[2];
  NEED(pipe(pipe_fd));
  child = NEED(fork());
  if (child == 0) {
    for (int depth = 0;; depth++) {
      pid_t next = clone_into(CLONE_NEWPID);
      if (next == -1) {
        say("depth %d: %s", depth, errname(errno));
        _exit(0);
      }
      if (next > 0) {
        waitpid(next, NULL, 0);
        _exit(0);
      }
    }
  }
  reap("deep", child);
}

static char stack[65536] __attribute__((aligned(16)));
static int nothing(void *arg) {
  (void)arg;
  return 0;
}

static void refusals(void) {
  pid_t child = NEED(clone_into(CLONE_NEWPID));
  if (child == 0) {
    TRY(clone(nothing, stack + sizeof stack, CLONE_PARENT | SIGCHLD, NULL));
    NEED(unshare(CLONE_NEWPID));
    int threads = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
    TRY(clone(nothing, stack + sizeof stack, threads, NULL));
    TRY(clone(nothing, stack + sizeof stack, CLONE_NEWPID | SIGCHLD, NULL));
    pid_t vm = clone(nothing, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
    IS(vm > 0);
    reap("vm", vm);
    _exit(0);
  }
  reap("refusals", child);
  int parent_tid = 0, child_tid = 0;
  child = NEED(syscall(SYS_clone, CLONE_NEWPID | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, &parent_tid, &child_tid, 0));
  if (child == 0) {
    INT(child_tid);
    _exit(0);
  }
  reap("settid", child);
  IS(parent_tid == child);
  /* the parent's death signal comes from outside: it kills init */
  NEED(pipe(ready));
  pid_t middle = NEED(fork());
  if (middle == 0) {
    pid_t inner = NEED(clone_into(CLONE_NEWPID));
    if (inner == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      tell(ready);
      for (;;) pause();
    }
    await(ready);
    _exit(0);
  }
  close(ready[1]);
  reap("middle", middle);
  char c;
  INT(read(ready[0], &c, 1));
}

int main(void) {
  if (geteuid() != 0) NEED(unshare(CLONE_NEWUSER));
  NEED(pipe(ready));
  NEED(pipe(go));
  translation();
  immunity();
  death();
  entering();
  levels();
  refusals();
  return 0;
}
