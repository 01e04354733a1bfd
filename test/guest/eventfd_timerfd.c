#include "guest.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

int main(void) {
  uint64_t v = 0;
  int fd = eventfd(5, EFD_NONBLOCK | EFD_CLOEXEC);
  IS(fd >= 0);
  TRY(fcntl(fd, F_GETFD));
  TRY(read(fd, &v, 8));
  INT(v);
  TRY(read(fd, &v, 8));
  v = 3;
  TRY(write(fd, &v, 8));
  TRY(write(fd, &v, 8));
  TRY(read(fd, &v, 4));
  TRY(write(fd, &v, 4));
  TRY(read(fd, &v, 8));
  INT(v);
  v = UINT64_MAX;
  TRY(write(fd, &v, 8));
  v = UINT64_MAX - 1;
  TRY(write(fd, &v, 8));
  struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
  poll(&p, 1, 0);
  say("full: %x", p.revents);
  v = 1;
  TRY(write(fd, &v, 8));
  TRY(read(fd, &v, 8));
  IS(v == UINT64_MAX - 1);
  poll(&p, 1, 0);
  say("empty: %x", p.revents);
  TRY(lseek(fd, 0, SEEK_SET));
  TRY(pread(fd, &v, 8, 0));
  int sem = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
  for (int i = 0; i < 4; i++) {
    v = 99;
    TRY(read(sem, &v, 8));
    INT(v);
  }
  TRY(eventfd(0, 0x1234));
  /* blocking, between processes */
  int shared = eventfd(0, 0);
  pid_t child = NEED(fork());
  if (child == 0) {
    sleep_ms(20);
    v = 17;
    (void)!write(shared, &v, 8);
    _exit(0);
  }
  TRY(read(shared, &v, 8));
  INT(v);
  reap("child", child);

  int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  IS(t >= 0);
  struct itimerspec spec = {.it_value = {0, 200000000}, .it_interval = {0, 10000000}}, old;
  TRY(read(t, &v, 8));
  TRY(timerfd_settime(t, 0, &spec, &old));
  INT(old.it_value.tv_nsec);
  TRY(read(t, &v, 8));
  p = (struct pollfd){.fd = t, .events = POLLIN};
  TRY(poll(&p, 1, 1000));
  INT(p.revents);
  sleep_ms(45);
  TRY(read(t, &v, 8));
  IS(v >= 4 && v < 40);
  TRY(timerfd_gettime(t, &old));
  IS(old.it_interval.tv_nsec == 10000000 && old.it_value.tv_nsec <= 10000000);
  memset(&spec, 0, sizeof spec);
  TRY(timerfd_settime(t, 0, &spec, NULL));
  sleep_ms(25);
  TRY(read(t, &v, 8));
  /* an absolute time in the past is due at once */
  spec.it_value.tv_nsec = 1;
  TRY(timerfd_settime(t, TFD_TIMER_ABSTIME, &spec, NULL));
  TRY(poll(&p, 1, 1000));
  TRY(read(t, &v, 8));
  INT(v);
  TRY(write(t, &v, 8));
  TRY(read(t, &v, 7));
  spec.it_value.tv_nsec = 1000000000;
  TRY(timerfd_settime(t, 0, &spec, NULL));
  TRY(timerfd_settime(t, 0x40, &spec, NULL));
  TRY(timerfd_settime(fd, 0, &old, NULL));
  TRY(timerfd_settime(99, 0, &old, NULL));
  TRY(timerfd_create(77, 0));
  TRY(timerfd_create(CLOCK_REALTIME, 1));
  int blocking = timerfd_create(CLOCK_REALTIME, 0);
  spec.it_value.tv_nsec = 30000000;
  int64_t start = now_ms();
  TRY(timerfd_settime(blocking, 0, &spec, NULL));
  TRY(read(blocking, &v, 8));
  INT(v);
  IS(now_ms() - start >= 29);
  return 0;
}
