#include "guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

/* Lines of /proc/self/fdinfo, but for inode numbers and what a host may have besides. */
static void info(const char *title, int fd) {
  char path[64], *line, *rest;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  say("-- %s", title);
  char *text = strdup(get(path));
  for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    if (strncmp(line, "mnt_id", 6) == 0 || strncmp(line, "ino:", 4) == 0) continue;
    if (strncmp(line, "eventfd-id", 10) == 0) line[11] = 0;
    for (char *at; (at = strstr(line, "ino:")) != NULL;) {
      *at = 'I';
      char *end = strchr(at, ' ');
      if (end != NULL) memmove(at + 4, end, strlen(end) + 1);
    }
    for (char *at; (at = strstr(line, "sdev:")) != NULL;) {
      *at = 'S';
      char *end = strchr(at, ' ');
      if (end == NULL) at[5] = 0;
      else memmove(at + 5, end, strlen(end) + 1);
    }
    char *handle = strstr(line, "ignored_mask:0");
    if (handle != NULL) handle[14] = 0;
    say("%s", line);
  }
}

int main(void) {
  int e = eventfd(18, EFD_SEMAPHORE | EFD_CLOEXEC);
  info("semaphore", e);
  info("eventfd", eventfd(0, EFD_NONBLOCK));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGRTMAX);
  info("signalfd", signalfd(-1, &set, 0));
  int t = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
  info("timerfd", t);
  struct itimerspec spec = {{2, 5}, {0, 1}};
  timerfd_settime(t, 0, &spec, NULL);
  sleep_ms(5);
  spec.it_value.tv_sec = 0;
  char path[64];
  sprintf(path, "/proc/self/fdinfo/%d", t);
  IS(strstr(get(path), "ticks: 1\n") != NULL);
  IS(strstr(get(path), "it_interval: (2, 5)") != NULL);
  timerfd_settime(t, TFD_TIMER_ABSTIME, &spec, NULL);
  timerfd_settime(t, 0, &(struct itimerspec){0}, NULL);
  info("timerfd, stopped", t);
  int ep = epoll_create1(0);
  info("epoll, empty", ep);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 0x123456789abcdef0};
  epoll_ctl(ep, EPOLL_CTL_ADD, e, &event);
  info("epoll", ep);
  event = (struct epoll_event){.events = EPOLLOUT | EPOLLONESHOT};
  epoll_ctl(ep, EPOLL_CTL_MOD, e, &event);
  info("epoll, modified", ep);
  int in = inotify_init();
  info("inotify, empty", in);
  inotify_add_watch(in, "/tmp", IN_CREATE | IN_EXCL_UNLINK | IN_ONLYDIR);
  inotify_add_watch(in, "/", IN_ALL_EVENTS | IN_ONESHOT);
  info("inotify", in);
  int p = syscall(SYS_pidfd_open, getpid(), 0);
  sprintf(path, "/proc/self/fdinfo/%d", p);
  char pid[100];
  sprintf(pid, "Pid:\t%d\nNSpid:\t%d\n", getpid(), getpid());
  IS(strstr(get(path), pid) != NULL);
  pid_t child = NEED(fork());
  if (child == 0) _exit(0);
  p = syscall(SYS_pidfd_open, child, 0);
  waitpid(child, NULL, 0);
  info("pidfd of nobody", p);
  return 0;
}
