/* CPU clocks of processes and threads by id; /proc/[pid] in place of a pidfd; trusted attributes. */
#include "guest.h"
#include <pthread.h>
#include <sys/xattr.h>

static pid_t thread_id;
static int stage[2], more[2];
static void *body(void *unused) {
  char c;
  thread_id = gettid();
  write(stage[1], "x", 1), read(more[0], &c, 1);
  return unused;
}

static clockid_t of(pid_t pid, int bits) { return (~(unsigned)pid << 3) | bits; }
static void shows(const char *name, clockid_t clock) {
  struct timespec t, r;
  int e = clock_gettime(clock, &t) ? errno : 0;
  int f = clock_getres(clock, &r) ? errno : 0;
  say("%s: %s%s, %s", name, errname(e), e ? "" : t.tv_sec < 5 ? " little" : " much", errname(f));
}
static int trusted(const char *path) {
  char list[256];
  long n = listxattr(path, list, sizeof list);
  int found = 0;
  for (long at = 0; at < n; at += strlen(list + at) + 1) found |= strcmp(list + at, "trusted.of") == 0;
  return found;
}

int main(void) {
  char c;
  pthread_t thread;
  clockid_t clock;
  pipe(stage), pipe(more);
  pthread_create(&thread, NULL, body, NULL);
  read(stage[0], &c, 1);
  shows("own", of(0, 2)), shows("own by id", of(getpid(), 2)), shows("own thread", of(0, 6));
  for (int kind = 0; kind < 4; kind++) shows("kind", of(0, kind));
  shows("thread", of(thread_id, 6)), shows("thread as process", of(thread_id, 2));
  shows("parent", of(getppid() > 1 ? getpid() : getpid(), 2));
  shows("nobody", of(4000000, 2)), shows("nobody's thread", of(4000000, 6));
  INT(pthread_getcpuclockid(thread, &clock));
  shows("pthread", clock);
  write(more[1], "x", 1), pthread_join(thread, NULL);
  while (syscall(SYS_tgkill, getpid(), thread_id, 0) == 0) sched_yield(); /* who joins may be a moment early */
  shows("ended thread", of(thread_id, 6));
  pid_t child = NEED(fork());
  if (child == 0) {
    for (;;) pause();
  }
  INT(clock_getcpuclockid(child, &clock));
  shows("child", clock), shows("child as thread", of(child, 6));
  char path[64];
  sprintf(path, "/proc/%d", child);
  int fd = NEED(open(path, O_RDONLY | O_DIRECTORY));
  TRY(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
  sprintf(path, "/proc/%d/task/%d", child, child);
  TRY(syscall(SYS_pidfd_send_signal, NEED(open(path, O_RDONLY)), 0, NULL, 0));
  TRY(syscall(SYS_pidfd_send_signal, NEED(open("/proc", O_RDONLY)), 0, NULL, 0));
  TRY(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
  reap("child", child);
  TRY(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
  shows("reaped", clock);
  scratch();
  put("f", "x"), symlink("f", "l");
  TRY(fcntl(NEED(open(".", O_RDONLY)), F_NOTIFY, 0));
  if (geteuid() != 0) return 0;
  TRY(setxattr("f", "trusted.of", "value", 5, 0));
  char value[16];
  TRY(getxattr("f", "trusted.of", value, sizeof value));
  TRY(lsetxattr("l", "trusted.of", "value", 5, 0));
  TRY(lgetxattr("l", "trusted.of", value, sizeof value));
  INT(trusted("f"));
  chmod("f", 0666), chmod(".", 0777);
  NEED(seteuid(1234));
  INT(trusted("f"));
  TRY(getxattr("f", "trusted.of", value, sizeof value));
  TRY(setxattr("f", "trusted.of", "value", 5, 0));
  TRY(removexattr("f", "trusted.of"));
  NEED(seteuid(0));
  TRY(removexattr("f", "trusted.of"));
  INT(trusted("f"));
  return 0;
}
