/* VMIN and VTIME, packet mode, TIOCGPTPEER, exclusive mode, speeds. */
#include "guest.h"
#include <poll.h>
#include <sys/time.h>
#include <sys/ioctl.h>
#include <termios.h>

static int m, s;

static void show(const char *what, int fd) {
  unsigned char b[256];
  struct pollfd p = {fd, POLLIN | POLLPRI, 0};
  char text[1024] = "";
  int at = 0, n;
  while (poll(&p, 1, 50) > 0 && (n = read(fd, b, sizeof b)) > 0) {
    at += sprintf(text + at, "%s[", p.revents & POLLPRI ? "!" : "");
    for (int i = 0; i < n; i++) at += sprintf(text + at, b[i] >= 32 && b[i] < 127 ? "%c" : "\\%03o", b[i]);
    at += sprintf(text + at, "]");
  }
  say("%s: %s", what, text);
}

static void mode(int min, int time, int flags) {
  struct termios t;
  NEED(tcgetattr(s, &t));
  t.c_lflag &= ~(ICANON | ECHO);
  t.c_cc[VMIN] = min, t.c_cc[VTIME] = time;
  NEED(tcsetattr(s, TCSAFLUSH, &t));
  NEED(fcntl(s, F_SETFL, flags));
  say("VMIN %d VTIME %d%s", min, time, flags & O_NONBLOCK ? " O_NONBLOCK" : "");
}

/* Types pieces of text at intervals while the parent reads. */
static pid_t typist(const char *const *pieces, int interval) {
  pid_t child = NEED(fork());
  if (child == 0) {
    for (; *pieces; pieces++) sleep_ms(interval), write(m, *pieces, strlen(*pieces));
    _exit(0);
  }
  return child;
}

static void timed_read(size_t count) {
  char b[64];
  int64_t start = now_ms();
  long n = read(s, b, count);
  int error = errno;
  int64_t took = now_ms() - start;
  say("read of %zu: %ld %s%.*s after %s", count, n, n < 0 ? errname(error) : "", n > 0 ? (int)n : 0, b,
      took < 60 ? "nothing" : took < 380 ? "some time" : "long");
}
static void ready(void) {
  struct pollfd p = {s, POLLIN, 0};
  sleep_ms(20);
  TRY(poll(&p, 1, 0));
}
static void on_alarm(int signo) { (void)signo; }

static void reads(void) {
  const char *three[] = {"a", "b", "c", NULL};
  mode(0, 0, O_RDWR), timed_read(5), write(m, "xy", 2), ready(), timed_read(5), timed_read(5);
  mode(0, 2, O_RDWR), timed_read(5), write(m, "xy", 2), ready(), timed_read(1), ready(), timed_read(5);
  mode(3, 0, O_RDWR), write(m, "ab", 2), ready(), write(m, "cd", 2), ready(), timed_read(5);
  write(m, "ab", 2), ready(), timed_read(2);
  pid_t child = typist(three, 50);
  timed_read(10), reap("typist", child);
  mode(3, 2, O_RDWR), write(m, "a", 1), ready(), timed_read(5);
  child = typist(three, 100), timed_read(10), reap("typist", child);
  write(m, "abcd", 4), timed_read(10);
  mode(3, 0, O_RDWR | O_NONBLOCK), timed_read(5), write(m, "ab", 2), ready(), timed_read(5);
  mode(0, 2, O_RDWR | O_NONBLOCK), timed_read(5);
  mode(0, 0, O_RDWR | O_NONBLOCK), timed_read(5);
  mode(3, 0, O_RDWR), write(m, "ab", 2);
  handle(SIGALRM, on_alarm, 0);
  struct itimerval t = {{0, 0}, {0, 100000}};
  setitimer(ITIMER_REAL, &t, NULL), timed_read(5);
  setitimer(ITIMER_REAL, &t, NULL), timed_read(5);
}

static void packets(void) {
  int on = 1;
  struct termios t;
  NEED(tcgetattr(s, &t));
  t.c_lflag |= ICANON | ECHO;
  NEED(tcsetattr(s, TCSAFLUSH, &t));
  TRY(ioctl(m, TIOCPKT, &on));
  on = 7;
  TRY(ioctl(m, TIOCGPKT, &on)), INT(on);
  TRY(ioctl(s, TIOCPKT, &on));
  show("nothing", m);
  write(s, "data\n", 5), show("data", m);
  write(m, "x\n", 2), show("echo", m);
  TRY(tcflush(s, TCIFLUSH)), show("flush read", m);
  TRY(tcflush(s, TCOFLUSH)), show("flush write", m);
  TRY(tcflush(s, TCIOFLUSH)), show("flush both", m);
  TRY(tcflow(s, TCOOFF)), show("stop", m);
  TRY(tcflow(s, TCOON)), show("start", m);
  write(m, "\023", 1), show("^S", m);
  write(m, "\021", 1), show("^Q", m);
  t.c_iflag &= ~IXON;
  NEED(tcsetattr(s, TCSANOW, &t)), show("no flow control", m);
  t.c_iflag |= IXON;
  NEED(tcsetattr(s, TCSANOW, &t)), show("flow control", m);
  t.c_cc[VSTOP] = 1;
  NEED(tcsetattr(s, TCSANOW, &t)), show("other key", m);
  write(m, "part\003", 5), show("interrupt", m);
  on = 0;
  TRY(ioctl(m, TIOCPKT, &on));
  write(s, "plain", 5), show("plain", m);
}

int main(void) {
  m = NEED(posix_openpt(O_RDWR | O_NOCTTY));
  TRY(ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY));
  NEED(unlockpt(m));
  s = NEED(ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  INT(fcntl(s, F_GETFD));
  IS(strcmp(ttyname(s), ptsname(m)) == 0);
  TRY(ioctl(s, TIOCGPTPEER, O_RDWR));
  reads();
  packets();
  int value = -1;
  TRY(ioctl(s, TIOCEXCL)), TRY(ioctl(s, TIOCGEXCL, &value)), INT(value);
  TRY(ioctl(s, TIOCNXCL)), TRY(ioctl(s, TIOCGEXCL, &value)), INT(value);
  struct termios t;
  NEED(tcgetattr(s, &t));
  IS(cfgetospeed(&t) == B38400);
  cfsetspeed(&t, B115200);
  t.c_cflag &= ~(CSIZE | CREAD), t.c_cflag |= CS7 | PARENB;
  TRY(tcsetattr(s, TCSANOW, &t));
  TRY(tcgetattr(s, &t));
  IS(cfgetospeed(&t) == B115200);
  say("%x", t.c_cflag);
  struct {
    unsigned short i, o, c, l;
    unsigned char line, cc[8];
  } old;
  TRY(ioctl(s, TCGETA, &old));
  say("%x %x %x %x %d %d", old.i, old.o, old.c, old.l, old.cc[0], old.cc[7]);
  old.l &= ~8, old.cc[0] = 9;
  TRY(ioctl(s, TCSETAF, &old));
  TRY(tcgetattr(s, &t));
  say("%x %x %x %x %d", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, t.c_cc[0]);
  struct { unsigned i, o, c, l; unsigned char line, cc[19]; } locked;
  TRY(ioctl(s, TIOCGLCKTRMIOS, &locked)), INT(locked.l), INT(locked.cc[0]);
  value = 0, TRY(ioctl(s, TIOCSETD, &value));
  TRY(ioctl(s, TIOCGETD, &value)), INT(value);
  TRY(ioctl(m, TIOCSIG, SIGINT));
  TRY(ioctl(m, TIOCSIG, SIGUSR1));
  TRY(ioctl(s, TIOCSIG, SIGINT));
  return 0;
}
