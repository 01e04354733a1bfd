/* A terminal and its session: who gets it, who may use it, who hears of its end. */
#include "guest.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master;
static char *name;

static void open_pair(void) {
  master = NEED(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  NEED(unlockpt(master));
  name = strdup(ptsname(master));
}

static void note(int signo) { say("  %d of the leader: SIG%s", 0, sigabbrev_np(signo)); }

/* Runs `body` as the leader of a session of its own and shows how it ended. */
static void leader(const char *what, void (*body)(void)) {
  say("%s", what);
  open_pair();
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(setsid());
    body();
    _exit(0);
  }
  reap("leader", child);
  close(master);
}

static void acquire(void) {
  OK(open("/dev/tty", O_RDWR));
  int s = NEED(open(name, O_RDWR | O_NOCTTY));
  pid_t id = 0;
  TRY(ioctl(s, TIOCGPGRP, &id));
  TRY(ioctl(s, TIOCGSID, &id));
  TRY(ioctl(master, TIOCGPGRP, &id)), INT(id);
  TRY(ioctl(master, TIOCGSID, &id));
  TRY(ioctl(s, TIOCNOTTY));
  OK(open(name, O_WRONLY));
  OK(open("/dev/tty", O_RDWR));
  OK(open(name, O_RDWR));
  OK(open("/dev/tty", O_RDWR));
  IS(tcgetpgrp(s) == getpid());
  IS(tcgetsid(s) == getpid());
  IS(tcgetsid(master) == getpid());
  TRY(ioctl(s, TIOCSCTTY, 0));
  pid_t child = NEED(fork());
  if (child == 0) {
    TRY(ioctl(s, TIOCNOTTY));
    OK(open("/dev/tty", O_RDWR));
    TRY(ioctl(s, TIOCGPGRP, &id));
    _exit(0);
  }
  reap("child", child);
  OK(open("/dev/tty", O_RDWR));
  child = NEED(fork());
  if (child == 0) {
    NEED(setsid());
    OK(open("/dev/tty", O_RDWR));
    TRY(ioctl(s, TIOCSCTTY, 0));
    OK(open(name, O_RDWR));
    OK(open("/dev/tty", O_RDWR));
    TRY(ioctl(s, TIOCGPGRP, &id));
    TRY(ioctl(s, TIOCSPGRP, &id));
    _exit(0);
  }
  reap("other session", child);
  handle(SIGHUP, note, 0), handle(SIGCONT, note, 0);
  TRY(ioctl(s, TIOCNOTTY));
  OK(open("/dev/tty", O_RDWR));
  TRY(ioctl(s, TIOCNOTTY));
  TRY(ioctl(s, TIOCSCTTY, 0));
}

/* Runs `body` in a background process group of the leader's session and follows its stops. */
static void background(const char *what, int s, void (*body)(int s)) {
  say(" %s", what);
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(setpgid(0, 0));
    body(s);
    _exit(0);
  }
  setpgid(child, child);
  int status;
  for (int i = 0; i < 5; i++) {
    NEED(waitpid(child, &status, WUNTRACED));
    say(" %s", status_text(status));
    if (!WIFSTOPPED(status)) return;
    signal(SIGTTOU, SIG_IGN);
    NEED(tcsetpgrp(s, child)), kill(-child, SIGCONT);
  }
  kill(-child, SIGKILL);
  reap("stuck", child);
}
static void foreground_again(int s) { NEED(tcsetpgrp(s, getpgrp())); }

static void b_read(int s) { char c; TRY(read(s, &c, 1)); }
static void b_read_ignoring(int s) { char c; signal(SIGTTIN, SIG_IGN); TRY(read(s, &c, 1)); }
static void b_read_blocking(int s) {
  char c;
  sigset_t set;
  sigemptyset(&set), sigaddset(&set, SIGTTIN), sigprocmask(SIG_BLOCK, &set, NULL);
  TRY(read(s, &c, 1));
}
static void b_read_handled(int s) { char c; handle(SIGTTIN, note, 0); TRY(read(s, &c, 1)); }
static void b_write(int s) { TRY(write(s, "x", 1)); }
static void b_write_ignoring(int s) { signal(SIGTTOU, SIG_IGN); TRY(write(s, "x", 1)); }
static void b_write_handled(int s) { handle(SIGTTOU, note, 0); TRY(write(s, "x", 1)); }
static void b_setattr(int s) { struct termios t; TRY(tcgetattr(s, &t)); TRY(tcsetattr(s, TCSANOW, &t)); }
static void b_flush(int s) { TRY(tcflush(s, TCIFLUSH)); }
static void b_flow(int s) { TRY(tcflow(s, TCOON)); }
static void b_drain(int s) { TRY(tcdrain(s)); }
static void b_setpgrp(int s) { TRY(tcsetpgrp(s, getpid())); IS(tcgetpgrp(s) == getpid()); }
static void b_setpgrp_ignoring(int s) {
  signal(SIGTTOU, SIG_IGN);
  TRY(tcsetpgrp(s, getpid()));
  TRY(tcsetpgrp(s, 999999));
  TRY(tcsetpgrp(s, -1));
}
static void b_resize(int s) { struct winsize w = {5, 5, 0, 0}; TRY(ioctl(s, TIOCSWINSZ, &w)); }
static void b_orphan(int s) {
  pid_t parent = getpid();
  if (NEED(fork()) == 0) { /* its parent goes, and with it the last tie of the group */
    char c;
    while (getppid() == parent) sleep_ms(5);
    sleep_ms(50);
    TRY(read(s, &c, 1));
    TRY(write(s, "x", 1));
    TRY(tcsetpgrp(s, getpgrp()));
    _exit(0);
  }
}

static void users(void) {
  int s = NEED(open(name, O_RDWR));
  struct termios t;
  signal(SIGTTOU, SIG_IGN);
  write(master, "ab\n", 3);
  background("read", s, b_read), foreground_again(s);
  background("read, SIGTTIN ignored", s, b_read_ignoring), foreground_again(s);
  background("read, SIGTTIN blocked", s, b_read_blocking), foreground_again(s);
  background("read, SIGTTIN handled", s, b_read_handled), foreground_again(s);
  signal(SIGTTOU, SIG_DFL);
  background("write", s, b_write), foreground_again(s);
  NEED(tcgetattr(s, &t));
  t.c_lflag |= TOSTOP;
  NEED(tcsetattr(s, TCSANOW, &t));
  signal(SIGTTOU, SIG_DFL), background("write, TOSTOP", s, b_write), foreground_again(s);
  background("write, TOSTOP, SIGTTOU ignored", s, b_write_ignoring), foreground_again(s);
  signal(SIGTTOU, SIG_DFL), background("write, TOSTOP, SIGTTOU handled", s, b_write_handled), foreground_again(s);
  signal(SIGTTOU, SIG_DFL), background("tcsetattr", s, b_setattr), foreground_again(s);
  signal(SIGTTOU, SIG_DFL), background("tcflush", s, b_flush), foreground_again(s);
  signal(SIGTTOU, SIG_DFL), background("tcflow", s, b_flow), foreground_again(s);
  signal(SIGTTOU, SIG_DFL), background("tcdrain", s, b_drain), foreground_again(s);
  signal(SIGTTOU, SIG_DFL), background("TIOCSWINSZ", s, b_resize), foreground_again(s);
  signal(SIGTTOU, SIG_DFL), background("tcsetpgrp", s, b_setpgrp), foreground_again(s);
  signal(SIGTTOU, SIG_DFL), background("tcsetpgrp, SIGTTOU ignored", s, b_setpgrp_ignoring);
  signal(SIGTTOU, SIG_IGN), foreground_again(s), signal(SIGTTOU, SIG_DFL);
  background("orphaned", s, b_orphan);
  sleep_ms(300);
}

static int report[2], ready[2];
/* A process in the foreground, in a group of its own, that tells what it hears. */
static void told(int signo) { dprintf(report[1], "foreground: SIG%s\n", sigabbrev_np(signo)); }
static void foreground(int s) {
  int p[2];
  char c;
  NEED(pipe(p));
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(setpgid(0, 0));
    handle(SIGHUP, told, SA_RESTART), handle(SIGCONT, told, SA_RESTART);
    signal(SIGTTOU, SIG_IGN);
    NEED(tcsetpgrp(s, getpid()));
    close(p[0]), close(master);
    write(p[1], "x", 1);
    for (int i = 0; i < 20; i++) sleep_ms(10);
    sleep_ms(150);
    dprintf(report[1], "foreground: %s, ", open("/dev/tty", O_RDWR) < 0 ? errname(errno) : "ok");
    dprintf(report[1], "read %s, ", read(s, &c, 1) < 0 ? errname(errno) : "0");
    dprintf(report[1], "write %s\n", write(s, &c, 1) < 0 ? errname(errno) : "1");
    _exit(0);
  }
  close(p[1]);
  read(p[0], &c, 1);
}
static void read_report(void) {
  char b[1024];
  int got = 0, n;
  close(report[1]);
  while ((n = read(report[0], b + got, sizeof b - 1 - got)) > 0) got += n;
  b[got] = 0;
  say("%s", b);
  close(report[0]);
}

static void exits(void) {
  close(report[0]);
  int s = NEED(open(name, O_RDWR));
  foreground(s);
}
static void gives_up(void) {
  close(report[0]);
  int s = NEED(open(name, O_RDWR));
  foreground(s);
  TRY(ioctl(s, TIOCNOTTY));
  sleep_ms(50);
}
static volatile sig_atomic_t heard;
static void hears(int signo) { heard++, dprintf(report[1], "leader: SIG%s\n", sigabbrev_np(signo)); }
static void hangs_up(void) {
  close(report[0]);
  handle(SIGHUP, hears, 0), handle(SIGCONT, hears, 0);
  int s = NEED(open(name, O_RDWR));
  foreground(s);
  close(master); /* the parent has it still: nothing */
  sleep_ms(20);
  INT(heard);
  write(ready[1], "x", 1);
  while (heard < 2) sleep_ms(5);
  char c;
  TRY(read(s, &c, 1)), TRY(write(s, "x", 1));
  OK(open("/dev/tty", O_RDWR));
  OK(open(name, O_RDWR));
  struct pollfd p = {s, POLLIN | POLLOUT, 0};
  TRY(poll(&p, 1, 0)), INT(p.revents);
  TRY(tcgetpgrp(s));
  struct termios t;
  TRY(tcgetattr(s, &t));
  dprintf(report[1], "leader ends\n");
}

static void hang_up(void) {
  say("the master closes");
  NEED(pipe(report)), NEED(pipe(ready));
  open_pair();
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(setsid());
    hangs_up();
    _exit(0);
  }
  char c;
  NEED(read(ready[0], &c, 1));
  close(master);
  reap("leader", child);
  read_report();
}

int main(void) {
  leader("acquiring", acquire);
  leader("using", users);
  NEED(pipe(report));
  leader("the leader exits", exits), read_report();
  NEED(pipe(report));
  leader("the leader gives it up", gives_up), read_report();
  hang_up();
  return 0;
}
