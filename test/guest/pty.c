/* A pseudoterminal: editing, echo, signals from keys, hang-up. */
#include "guest.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static void show(const char *what, int fd) {
  char b[256];
  int got = 0, n;
  struct pollfd p = {fd, POLLIN, 0};
  while (got < 200 && poll(&p, 1, 100) > 0 && (n = read(fd, b + got, 200 - got)) > 0) got += n;
  char text[1024];
  int at = 0;
  for (int i = 0; i < got; i++) at += sprintf(text + at, b[i] >= 32 && b[i] < 127 ? "%c" : "\\%03o", (unsigned char)b[i]);
  text[at] = 0;
  say("%s: %s", what, text);
}

static void interrupted(int signo) { say("signal %d", signo); }

int main(void) {
  int m = NEED(posix_openpt(O_RDWR | O_NOCTTY));
  TRY(open(ptsname(m), O_RDWR | O_NOCTTY));
  TRY(grantpt(m));
  TRY(unlockpt(m));
  int s = NEED(open(ptsname(m), O_RDWR | O_NOCTTY));
  IS(isatty(s));
  IS(isatty(m));
  IS(strcmp(ttyname(s), ptsname(m)) == 0);
  write(m, "line\n", 5), show("echo", m), show("read", s);
  write(m, "abc\177\177x\025kept\n", 12), show("echo", m), show("read", s);
  write(m, "word word\027\n", 11), show("echo", m), show("read", s);
  write(s, "a\nb\r\n", 5), show("output", m);
  struct winsize w = {25, 80, 0, 0};
  TRY(ioctl(m, TIOCSWINSZ, &w));
  memset(&w, 0, sizeof w);
  TRY(ioctl(s, TIOCGWINSZ, &w));
  INT(w.ws_row);
  struct termios t;
  TRY(tcgetattr(s, &t));
  say("%x %x %x %x", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
  t.c_lflag &= ~(ICANON | ECHO);
  TRY(tcsetattr(s, TCSANOW, &t));
  write(m, "x\177", 2), show("echo", m), show("raw", s);
  pid_t pgid;
  TRY(ioctl(s, TIOCGPGRP, &pgid));
  pid_t child = NEED(fork());
  if (child == 0) {
    close(m);
    signal(SIGINT, interrupted), signal(SIGWINCH, interrupted);
    NEED(setsid());
    TRY(ioctl(s, TIOCSCTTY, 0));
    IS(tcgetpgrp(s) == getpid());
    IS(tcgetsid(s) == getpid());
    IS(open("/dev/tty", O_RDWR) >= 0);
    TRY(tcsetpgrp(s, getpgid(getppid())));
      write(s, "ready", 5);
    for (;;) pause();
  }
  close(s);
  show("child", m);
  write(m, "\003", 1), show("interrupt", m);
  w.ws_col++;
  NEED(ioctl(m, TIOCSWINSZ, &w)); /* the child says what it hears: a line of ours might come before or after */
  usleep(100000);
  close(m);
  reap("child", child);
  return 0;
}
