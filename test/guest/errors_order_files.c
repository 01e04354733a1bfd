/* Which error comes first when several are due: mmap(2), setgroups(2), and opening what has no name. Found by generated programs. */
#include "guest.h"
#include <grp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#define AT ((void *)0x20000000)

static void map(int protection, int flags, int fd, long offset) {
  long result = syscall(SYS_mmap, AT, 4096, protection, MAP_FIXED | flags, fd, offset);
  say("mmap %d %x %lx: %s", protection, flags, offset, result == -1 ? errname(errno) : "ok");
}

/* Nothing is executed from filesystems of the kernel's own. */
static void execute(const char *name, int fd) {
  say("%s", name);
  map(PROT_READ, MAP_PRIVATE, fd, 0);
  map(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
  map(PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
}

static void reopen(const char *path) {
  static const int flags[] = {0, O_NONBLOCK, O_CREAT, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOATIME, O_DIRECTORY | O_RDONLY};
  for (int i = 0; i < 8; i++) {
    int fd = open(path, (i < 7 ? O_ACCMODE : 0) | flags[i], 0600);
    say("%s %x: %s", path, flags[i], fd == -1 ? errname(errno) : "ok");
    if (fd != -1) close(fd);
  }
}

int main(void) {
  int ends[2], pair[2];
  NEED(pipe(ends));
  NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  sigset_t none;
  sigemptyset(&none);
  int memory = NEED(memfd_create("memory", 0));
  execute("pipe", ends[0]);
  execute("socket", pair[0]);
  execute("eventfd", NEED(eventfd(0, 0)));
  execute("epoll", NEED(epoll_create1(0)));
  execute("timerfd", NEED(timerfd_create(CLOCK_MONOTONIC, 0)));
  execute("signalfd", NEED(signalfd(-1, &none, 0)));
  execute("inotify", NEED(inotify_init1(0)));
  execute("pidfd", NEED(syscall(SYS_pidfd_open, getpid(), 0)));
  execute("memfd", memory);
  execute("null", NEED(open("/dev/null", O_RDWR)));
  execute("zero", NEED(open("/dev/zero", O_RDWR)));
  execute("directory", NEED(open("/tmp", O_RDONLY)));
  execute("proc", NEED(open("/proc/self/status", O_RDONLY)));

  static const long offsets[] = {-1, -2, 1, -4096, -8192, INT64_MAX, INT64_MAX - 4095, 0x20000000000001, 0x20000000000000};
  for (int i = 0; i < 9; i++) {
    map(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, offsets[i]);
    map(PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, offsets[i]);
    map(PROT_READ, MAP_SHARED, -1, offsets[i]);
    map(PROT_READ, MAP_SHARED, memory, offsets[i]);
  }

  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
  reopen(path);
  snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
  reopen(path);
  reopen("/dev/null");
  reopen("/tmp");

  TRY(symlinkat("", memory, "name"));
  TRY(symlinkat("x", memory, "name"));
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  int timer = -1;
  TRY(syscall(SYS_timer_create, CLOCK_MONOTONIC, -1, &timer));
  TRY(syscall(SYS_timer_create, 99, -1, &timer));
  TRY(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
  INT(timer);
  event.sigev_signo = 99;
  TRY(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
  TRY(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &timer));
  INT(timer);

  gid_t group = 7;
  TRY(syscall(SYS_setgroups, 0x4000000000000000, NULL));
  TRY(syscall(SYS_setgroups, 0x4000000000010001, NULL));
  TRY(syscall(SYS_setgroups, 0x100000001, &group));
  TRY(syscall(SYS_getgroups, 0x100000000, NULL));
  TRY(syscall(SYS_getgroups, -1, NULL));
  TRY(getgroups(1, &group));
  INT(group);
}
