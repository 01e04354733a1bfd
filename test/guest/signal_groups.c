/* Process groups and sessions as kill(2) and setpgid(2) see them. Everything in a child, which leads nothing. */
#include "guest.h"

static int gate[2];

static pid_t member(pid_t group) {
  pid_t child = NEED(fork());
  if (child == 0) {
    close(gate[1]);
    char c;
    (void)!read(gate[0], &c, 1);
    _exit(1);
  }
  NEED(setpgid(child, group == 0 ? child : group));
  return child;
}

static void body(void) {
  TRY(setsid() == getpid());
  IS(getsid(0) == getpid());
  IS(getpgrp() == getpid());
  TRY(setsid());
  TRY(setpgid(0, 0));
  NEED(pipe(gate));
  pid_t a = member(0), b = member(a), c = member(0);
  IS(getpgid(b) == a);
  IS(getsid(b) == getpid());
  TRY(kill(-a, 0));
  TRY(kill(-a, SIGTERM));
  reap("a", a);
  reap("b", b);
  TRY(kill(-a, SIGTERM));
  TRY(kill(c, 0));
  TRY(kill(-c, SIGKILL));
  reap("c", c);
  TRY(setpgid(getpid(), 0x3ffffff));
  TRY(setpgid(0x3ffffff, 0));
  TRY(setpgid(0, -1));
  TRY(getpgid(0x3ffffff));
  TRY(getsid(-1));
  /* kill(0, …): the whole own group, the sender included */
  pid_t d = NEED(fork());
  if (d == 0) {
    setpgid(0, 0);
    pid_t e = NEED(fork());
    if (e == 0) for (;;) pause();
    signal(SIGTERM, SIG_IGN);
    TRY(kill(0, SIGTERM));
    reap("e", e);
    _exit(0);
  }
  reap("d", d);
  /* a child that has called execve cannot be moved */
  pid_t f = NEED(fork());
  if (f == 0) {
    execl("/bin/sh", "sh", "-c", "sleep 0.2", NULL);
    _exit(1);
  }
  sleep_ms(100);
  TRY(setpgid(f, f));
  reap("f", f);
  /* a zombie still has its ids */
  pid_t g = NEED(fork());
  if (g == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, g, &info, WEXITED | WNOWAIT);
  TRY(kill(g, 0));
  TRY(kill(g, SIGTERM));
  IS(getpgid(g) == getpgrp());
  reap("g", g);
}

int main(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    body();
    _exit(0);
  }
  reap("session leader", child);
  return 0;
}
