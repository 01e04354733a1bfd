#include "guest.h"
#include <sys/ioctl.h>
#include <termios.h>

int main(void) {
  struct termios t;
  struct winsize w;
  int null = NEED(open("/dev/null", O_RDWR)), fds[2];
  NEED(pipe(fds));
  TRY(isatty(null));
  TRY(tcgetattr(null, &t));
  TRY(tcgetattr(fds[0], &t));
  TRY(ioctl(fds[0], TIOCGWINSZ, &w));
  TRY(isatty(99));
  TRY(tcgetpgrp(null));
  TRY(ttyname(null) == NULL);
  pid_t child = NEED(fork());
  if (child == 0) {
    setsid();
    TRY(open("/dev/tty", O_RDWR));
    _exit(0);
  }
  reap("child", child);
  return 0;
}
