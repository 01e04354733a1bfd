#include "guest.h"
#include <poll.h>
#include <sys/resource.h>
#include <sys/select.h>

/** How far select looks depends on the size of the descriptor table, which grows with use and shrinks in a copy only. */
static void tables(void) {
  fd_set set;
  struct timeval none = {0, 0};
  dup2(0, 70);
  FD_ZERO(&set);
  FD_SET(99, &set);
  TRY(select(100, &set, NULL, NULL, &none));
  close(70);
  FD_ZERO(&set);
  FD_SET(99, &set);
  TRY(select(100, &set, NULL, NULL, &none));
  pid_t child = NEED(fork());
  if (child == 0) {
    TRY(select(100, &set, NULL, NULL, &none));
    IS(FD_ISSET(99, &set));
    NEED(dup2(0, 64));
    FD_SET(127, &set);
    TRY(select(128, &set, NULL, NULL, &none));
    FD_ZERO(&set);
    FD_SET(128, &set);
    TRY(select(129, &set, NULL, NULL, &none));
    _exit(0);
  }
  reap("child", child);
}

int main(void) {
  // whoever started this may have left more open
  NEED(close_range(3, ~0U, 0));
  pid_t small = NEED(fork());
  if (small == 0) {
    tables();
    _exit(0);
  }
  reap("tables", small);
  int fds[2];
  NEED(pipe(fds));
  scratch();
  put("f", "x");
  int file = NEED(open("f", O_RDWR)), null = NEED(open("/dev/null", O_RDWR));
  struct pollfd p[4] = {{fds[0], POLLIN, -1}, {file, POLLIN | POLLOUT, -1}, {99, POLLIN, -1}, {-5, POLLIN, -1}};
  TRY(poll(p, 4, 0));
  say("%x %x %x %x", p[0].revents, p[1].revents, p[2].revents, p[3].revents);
  p[0] = (struct pollfd){null, POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM, 0};
  TRY(poll(p, 1, 0));
  say("%x", p[0].revents);
  int64_t start = now_ms();
  TRY(poll(NULL, 0, 30));
  IS(now_ms() - start >= 29);
  p[0] = (struct pollfd){fds[0], POLLIN, 0};
  TRY(poll(p, 1, 30));
  struct timespec zero = {0, 0}, bad = {0, -1};
  TRY(ppoll(p, 1, &zero, NULL));
  TRY(ppoll(p, 1, &bad, NULL));
  TRY(poll((void *)8, 1, 0));
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  TRY(poll(p, limit.rlim_cur + 1, 0));
  pid_t child = NEED(fork());
  if (child == 0) {
    sleep_ms(20);
    write(fds[1], "x", 1);
    _exit(0);
  }
  TRY(poll(p, 1, -1));
  say("%x", p[0].revents);
  reap("child", child);

  fd_set r, w, e;
  FD_ZERO(&r);
  FD_ZERO(&w);
  FD_ZERO(&e);
  FD_SET(fds[0], &r);
  FD_SET(file, &r);
  FD_SET(fds[1], &w);
  FD_SET(fds[0], &e);
  struct timeval tv = {1, 0};
  TRY(select(20, &r, &w, &e, &tv));
  say("%d %d %d %d", FD_ISSET(fds[0], &r), FD_ISSET(file, &r), FD_ISSET(fds[1], &w), FD_ISSET(fds[0], &e));
  IS(tv.tv_sec <= 1);
  char c;
  read(fds[0], &c, 1);
  FD_ZERO(&r);
  FD_SET(fds[0], &r);
  tv = (struct timeval){0, 30000};
  TRY(select(fds[0] + 1, &r, NULL, NULL, &tv));
  say("left: %ld.%06ld, set: %d", tv.tv_sec, tv.tv_usec, FD_ISSET(fds[0], &r));
  FD_ZERO(&r);
  TRY(select(-1, &r, NULL, NULL, &tv));
  tv.tv_usec = -1;
  TRY(select(1, &r, NULL, NULL, &tv));
  TRY(select(1, (void *)8, NULL, NULL, NULL));
  FD_SET(fds[1], &w);
  TRY(pselect(fds[1] + 1, NULL, &w, NULL, &zero, NULL));
  close(fds[0]);
  FD_ZERO(&w);
  FD_SET(fds[1], &w);
  TRY(pselect(fds[1] + 1, NULL, &w, NULL, &zero, NULL));
  return 0;
}
