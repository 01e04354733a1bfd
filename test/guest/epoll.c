#include "guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int ep;

static void wait_all(const char *name) {
  struct epoll_event events[8];
  int n = epoll_wait(ep, events, 8, 0);
  char line[200] = "";
  /* by data, the order of equal readiness is not promised */
  for (int d = 0; d < 20; d++)
    for (int i = 0; i < n; i++)
      if (events[i].data.u32 == (uint32_t)d) sprintf(line + strlen(line), " %d:%x", d, events[i].events);
  say("%s: %d%s", name, n, line);
}

static int add(int op, int fd, uint32_t events, uint32_t data) {
  struct epoll_event event = {.events = events, .data.u32 = data};
  return epoll_ctl(ep, op, fd, &event);
}

int main(void) {
  int a[2], b[2];
  char c;
  NEED(pipe(a)), NEED(pipe(b));
  ep = epoll_create1(EPOLL_CLOEXEC);
  TRY(fcntl(ep, F_GETFD));
  TRY(add(EPOLL_CTL_ADD, a[0], EPOLLIN, 1));
  TRY(add(EPOLL_CTL_ADD, a[0], EPOLLIN, 1));
  TRY(add(EPOLL_CTL_MOD, b[0], EPOLLIN, 2));
  TRY(add(EPOLL_CTL_DEL, b[0], 0, 0));
  TRY(add(EPOLL_CTL_ADD, ep, EPOLLIN, 2));
  TRY(add(EPOLL_CTL_ADD, 99, EPOLLIN, 2));
  TRY(add(77, a[0], EPOLLIN, 2));
  TRY(epoll_ctl(ep, EPOLL_CTL_ADD, b[0], NULL));
  TRY(epoll_ctl(a[0], EPOLL_CTL_ADD, b[0], NULL));
  scratch();
  put("f", "");
  int file = NEED(open("f", O_RDONLY));
  TRY(add(EPOLL_CTL_ADD, file, EPOLLIN, 3));
  struct epoll_event e;
  TRY(epoll_wait(ep, &e, 0, 0));
  TRY(epoll_wait(ep, (void *)8, 1, 0));
  TRY(epoll_wait(a[0], &e, 1, 0));
  TRY(epoll_create1(3));
  TRY(epoll_create(0));
  wait_all("nothing");
  write(a[1], "xy", 2);
  wait_all("level");
  wait_all("level again");
  read(a[0], &c, 1);
  wait_all("one left");
  read(a[0], &c, 1);
  wait_all("drained");
  TRY(add(EPOLL_CTL_ADD, b[0], EPOLLIN | EPOLLET, 2));
  write(b[1], "x", 1);
  wait_all("edge");
  wait_all("edge again");
  write(b[1], "x", 1);
  wait_all("another edge");
  TRY(add(EPOLL_CTL_MOD, b[0], EPOLLIN | EPOLLET, 2));
  wait_all("modified");
  TRY(add(EPOLL_CTL_MOD, b[0], EPOLLIN | EPOLLONESHOT, 2));
  wait_all("one shot");
  wait_all("one shot again");
  TRY(add(EPOLL_CTL_MOD, b[0], EPOLLIN | EPOLLONESHOT, 4));
  wait_all("rearmed");
  TRY(add(EPOLL_CTL_ADD, b[1], EPOLLOUT, 5));
  wait_all("writable");
  TRY(add(EPOLL_CTL_DEL, b[1], 0, 0));
  close(a[1]);
  wait_all("hung up");
  close(a[0]);
  wait_all("closed");
  /* the entry belongs to the description: a duplicate keeps it */
  int event = eventfd(1, 0), copy = dup(event);
  TRY(add(EPOLL_CTL_ADD, event, EPOLLIN, 6));
  close(event);
  wait_all("duplicate");
  close(copy);
  wait_all("all closed");
  /* nested */
  int inner = epoll_create1(0), outer = ep;
  ep = inner;
  event = eventfd(1, 0);
  TRY(add(EPOLL_CTL_ADD, event, EPOLLIN, 7));
  ep = outer;
  TRY(add(EPOLL_CTL_ADD, inner, EPOLLIN, 8));
  wait_all("nested");
  TRY(epoll_ctl(inner, EPOLL_CTL_ADD, outer, &(struct epoll_event){.events = EPOLLIN}));
  TRY(epoll_ctl(outer, EPOLL_CTL_DEL, inner, NULL));
  /* time */
  int64_t start = now_ms();
  TRY(epoll_wait(ep, &e, 1, 40));
  IS(now_ms() - start >= 39);
  /* woken from another process */
  event = eventfd(0, 0);
  add(EPOLL_CTL_ADD, event, EPOLLIN | EPOLLEXCLUSIVE, 9);
  pid_t child = NEED(fork());
  if (child == 0) {
    uint64_t one = 1;
    sleep_ms(20);
    write(event, &one, 8);
    _exit(0);
  }
  TRY(epoll_wait(ep, &e, 1, 2000));
  INT(e.data.u32);
  reap("child", child);
  return 0;
}
