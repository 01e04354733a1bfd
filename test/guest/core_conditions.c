/* When a signal leaves a core file, core(5): which signals, limits, names, directories, rights. */
#include "filters.h"
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

static void limit(int which, rlim_t soft) {
  struct rlimit limits;
  NEED(getrlimit(which, &limits));
  limits.rlim_cur = soft;
  NEED(setrlimit(which, &limits));
}

static void show_core(const char *name) {
  struct stat core;
  if (lstat("core", &core) == -1) {
    say("%s: no file, %s", name, errname(errno));
    return;
  }
  say("%s: type %o mode %o links %d uid %d gid %d, %s", name, core.st_mode >> 12, core.st_mode & 07777, (int)core.st_nlink, core.st_uid,
      core.st_gid, core.st_size == 0 ? "empty" : core.st_size < 4096 ? "short" : "some");
}

/* Runs `act` in a child that may dump core, and says what came of it. */
static void dies(const char *name, void (*act)(int), int argument) {
  pid_t child = NEED(fork());
  if (child == 0) {
    limit(RLIMIT_CORE, RLIM_INFINITY);
    act(argument);
    _exit(7);
  }
  siginfo_t info = {0};
  NEED(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
  int status = 0;
  NEED(waitpid(child, &status, 0));
  say("%s: code %d status %d, %s%s", name, info.si_code, info.si_status, status_text(status),
      WIFSIGNALED(status) && WCOREDUMP(status) ? " (core dumped)" : "");
  show_core(name);
  unlink("core");
}

static void by_kill(int signal) { kill(getpid(), signal); }
static void by_raise_blocked(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(signal);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
}
static void by_fault(int what) {
  if (what == 0) *(volatile int *)16 = 1;
  if (what == 1) __asm__ volatile("ud2");
  if (what == 2) __asm__ volatile("int3");
  if (what == 3) __asm__ volatile("xor %%ecx, %%ecx; mov $1, %%eax; cdq; idiv %%ecx" ::: "eax", "ecx", "edx");
}
static void by_abort(int unused) {
  (void)unused;
  abort();
}
static void with_limit(int soft) {
  limit(RLIMIT_CORE, (rlim_t)soft);
  raise(SIGQUIT);
}
static void with_file_limit(int soft) {
  limit(RLIMIT_FSIZE, (rlim_t)soft);
  raise(SIGQUIT);
}
static void with_umask(int mask) {
  umask((mode_t)mask);
  raise(SIGQUIT);
}
static void undumpable(int value) {
  prctl(PR_SET_DUMPABLE, value);
  raise(SIGQUIT);
}
static void as_user(int dumpable) {
  NEED(setgid(1234));
  NEED(setuid(1234));
  if (dumpable) prctl(PR_SET_DUMPABLE, 1);
  raise(SIGQUIT);
}
static void elsewhere(int unused) {
  (void)unused;
  NEED(mkdir("gone", 0700));
  NEED(chdir("gone"));
  NEED(rmdir("../gone"));
  raise(SIGQUIT);
}
static void file_limit_exceeded(int unused) {
  (void)unused;
  int file = NEED(open("limited", O_CREAT | O_RDWR | O_TRUNC, 0600));
  limit(RLIMIT_FSIZE, 100000);
  if (pwrite(file, "x", 1, 200000) == -1) say("EFBIG came back");
}
static void handled(int signal) {
  (void)signal;
  _exit(9);
}
static void caught(int signal) {
  struct sigaction action = {.sa_handler = handled};
  sigaction(signal, &action, NULL);
  raise(signal);
}
static void ignored_fault(int unused) {
  (void)unused;
  signal(SIGSEGV, SIG_IGN);
  *(volatile int *)16 = 1;
}
static void without_room(int unused) { /* the handler's frame can't be written */
  (void)unused;
  static char stack[16384];
  stack_t alternate = {.ss_sp = (void *)0x1000, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_handler = handled, .sa_flags = SA_ONSTACK};
  sigaction(SIGSEGV, &action, NULL);
  *(volatile int *)16 = 1;
}

static void *waits(void *unused) {
  for (;;) pause();
  return unused;
}
static void filter_getppid(unsigned action) {
  NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  NEED(INSTALL(0, LOAD(nr), J(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1), RETURN(action), ALLOW));
  getppid();
}
static void filtered(int what) {
  pthread_t thread;
  if (what & 1) pthread_create(&thread, NULL, waits, NULL);
  filter_getppid(what & 2 ? SECCOMP_RET_KILL_PROCESS : what & 4 ? SECCOMP_RET_TRAP : SECCOMP_RET_KILL_THREAD);
}

static void traced_end(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    limit(RLIMIT_CORE, RLIM_INFINITY);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    raise(SIGABRT);
    _exit(7);
  }
  int status;
  NEED(waitpid(child, &status, 0));
  NEED(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXIT));
  NEED(ptrace(PTRACE_CONT, child, 0, 0));
  NEED(waitpid(child, &status, 0));
  say("traced: %s", status_text(status));
  show_core("traced, at the signal");
  NEED(ptrace(PTRACE_CONT, child, 0, SIGABRT));
  NEED(waitpid(child, &status, 0));
  unsigned long message = 0;
  NEED(ptrace(PTRACE_GETEVENTMSG, child, 0, &message));
  say("traced: event %d message %#lx", status >> 16, message);
  show_core("traced, at its exit");
  NEED(ptrace(PTRACE_CONT, child, 0, 0));
  NEED(waitpid(child, &status, 0));
  say("traced: status %#x", status);
  unlink("core");
}

int main(void) {
  umask(022);
  const int signals[] = {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS, SIGTERM, SIGKILL, SIGUSR1, SIGALRM, SIGRTMIN};
  char name[64];
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    snprintf(name, sizeof name, "signal %d", signals[i]);
    dies(name, by_kill, signals[i]);
  }
  dies("unblocked", by_raise_blocked, SIGQUIT);
  for (int what = 0; what < 4; what++) {
    snprintf(name, sizeof name, "fault %d", what);
    dies(name, by_fault, what);
  }
  dies("abort", by_abort, 0);
  dies("ignored fault", ignored_fault, 0);
  dies("no room for a frame", without_room, 0);
  dies("caught", caught, SIGABRT);
  for (int what = 0; what < 6; what++) {
    if (what == 1) continue; /* the other thread lives on */
    snprintf(name, sizeof name, "filter %d", what);
    dies(name, filtered, what);
  }
  dies("file size exceeded", file_limit_exceeded, 0);
  static const int limits[] = {0, 1, 4095, 4096, 65536};
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    snprintf(name, sizeof name, "limit %d", limits[i]);
    dies(name, with_limit, limits[i]);
    snprintf(name, sizeof name, "file limit %d", limits[i]);
    dies(name, with_file_limit, limits[i]);
  }
  dies("umask 0377", with_umask, 0377);
  dies("umask 0177", with_umask, 0177);
  dies("not dumpable", undumpable, 0);
  dies("dumpable 2 is refused", undumpable, 2);
  dies("other ids", as_user, 0);
  dies("other ids, dumpable, no right to the directory", as_user, 1);
  NEED(chmod(".", 0777));
  dies("other ids, dumpable", as_user, 1);
  NEED(chmod(".", 0700));
  dies("directory gone", elsewhere, 0);
  /* what is in the way */
  close(NEED(open("core", O_CREAT | O_WRONLY, 0666)));
  NEED(link("core", "other"));
  dies("a file with two names", by_kill, SIGQUIT);
  struct stat other;
  NEED(stat("other", &other));
  say("the other name: links %d, size %ld", (int)other.st_nlink, (long)other.st_size);
  NEED(unlink("other"));
  NEED(symlink("target", "core"));
  dies("a symbolic link", by_kill, SIGQUIT);
  TRY(access("target", F_OK));
  NEED(mkfifo("core", 0600));
  dies("a FIFO", by_kill, SIGQUIT);
  NEED(mkdir("core", 0700));
  dies("a directory", by_kill, SIGQUIT);
  NEED(rmdir("core"));
  traced_end();
  return 0;
}
