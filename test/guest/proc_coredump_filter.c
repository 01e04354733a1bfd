/* /proc/[pid]/coredump_filter: of a process's memory, inherited by fork(2), kept by execve(2). */
#include "guest.h"
#include <sched.h>

/* Without the newline. */
static const char *filter(void) {
  static char text[16];
  snprintf(text, sizeof text, "%.8s", get("/proc/self/coredump_filter"));
  return text;
}

static void set(const char *text) {
  int fd = NEED(open("/proc/self/coredump_filter", O_WRONLY));
  errno = 0;
  ssize_t written = write(fd, text, strlen(text));
  int error = errno;
  close(fd);
  say("\"%.*s\": %zd %s, then %s", (int)strcspn(text, "\n"), text, written, errname(error), filter());
}

static int borrow(void *unused) {
  (void)unused;
  set("0x21");
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 1) {
    say("after execve: %s", filter());
    return 0;
  }
  struct stat status;
  NEED(stat("/proc/self/coredump_filter", &status));
  say("mode %o, at first %s", status.st_mode, filter());
  IS(access("/proc/thread-self/coredump_filter", F_OK) == 0);
  static const char *const texts[] = {"3",  "0x7f\n", "0777", "+5",  "-1", "-0", "",   "\n",  " 5",         "5 ",
                                      "5\n\n", "09",    "0x",   "fff", "0X1f", "1fg", "511", "512", "4294967295",
                                      "4294967296", "99999999999999999999"};
  for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) set(texts[i]);
  set("0x13");
  pid_t pid = NEED(fork());
  if (pid == 0) {
    say("in the child: %s", filter());
    set("1");
    execl("/proc/self/exe", argv[0], "again", NULL);
    _exit(1);
  }
  reap("child", pid);
  say("in the parent: %s", filter());
  static char stack[65536];
  pid = NEED(clone(borrow, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
  reap("with the same memory", pid);
  say("in the parent: %s", filter());
  pid = NEED(fork());
  if (pid == 0) _exit(0);
  siginfo_t info;
  NEED(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/coredump_filter", pid);
  int fd = NEED(open(path, O_RDWR));
  char text[16];
  TRY(read(fd, text, sizeof text));
  TRY(write(fd, "1", 1));
  TRY(write(fd, "x", 1));
  reap("zombie", pid);
  TRY(read(fd, text, sizeof text));
  TRY(write(fd, "1", 1));
  return 0;
}
