#include "guest.h"

static char order[64];
static int depth;

static void append(char c) {
  size_t n = strlen(order);
  order[n] = c;
}

static void simple(int signo) {
  append('a' + signo % 26);
}

static void nested(int signo) {
  append(signo == SIGUSR1 ? '(' : '[');
  if (signo == SIGUSR1) raise(SIGUSR2);
  append(signo == SIGUSR1 ? ')' : ']');
}

static void recursive(int signo) {
  if (++depth < 3) raise(signo);
  append('0' + depth);
}

static void show(const char *name) {
  say("%s: %s", name, order);
  memset(order, 0, sizeof order);
}

int main(void) {
  struct sigaction old;
  handle(SIGUSR1, simple, 0);
  raise(SIGUSR1);
  kill(getpid(), SIGUSR1);
  syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
  syscall(SYS_tkill, gettid(), SIGUSR1);
  show("four");

  handle(SIGUSR1, nested, 0), handle(SIGUSR2, nested, 0);
  raise(SIGUSR1);
  show("nested");

  struct sigaction masked = {.sa_handler = nested};
  sigaddset(&masked.sa_mask, SIGUSR2);
  sigaction(SIGUSR1, &masked, NULL);
  raise(SIGUSR1);
  show("masked during the handler");

  depth = 0;
  handle(SIGUSR1, recursive, 0);
  raise(SIGUSR1);
  show("blocked while it runs");
  depth = 0;
  handle(SIGUSR1, recursive, SA_NODEFER);
  raise(SIGUSR1);
  show("SA_NODEFER");

  handle(SIGUSR1, simple, SA_RESETHAND);
  raise(SIGUSR1);
  sigaction(SIGUSR1, NULL, &old);
  IS(old.sa_handler == SIG_DFL);
  show("SA_RESETHAND");

  handle(SIGUSR1, simple, SA_RESTART | SA_NODEFER);
  sigaction(SIGUSR1, NULL, &old);
  IS(old.sa_handler == simple);
  say("flags: %#x", old.sa_flags & ~0x04000000);

  signal(SIGUSR1, SIG_IGN);
  raise(SIGUSR1);
  show("ignored");

  TRY(sigaction(SIGKILL, &masked, NULL));
  TRY(sigaction(SIGSTOP, &masked, NULL));
  TRY(sigaction(SIGKILL, NULL, &old));
  TRY(sigaction(0, NULL, &old));
  TRY(sigaction(65, NULL, &old));
  TRY(syscall(SYS_rt_sigaction, SIGUSR1, (void *)8, NULL, 8));
  TRY(syscall(SYS_rt_sigaction, SIGUSR1, NULL, (void *)8, 8));
  TRY(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 7));
  TRY(kill(getpid(), 0));
  TRY(kill(getpid(), 65));
  TRY(kill(getpid(), -1));
  TRY(kill(0x3ffffff, 0));
  TRY(syscall(SYS_tgkill, 0x3ffffff, gettid(), 0));
  TRY(syscall(SYS_tgkill, -1, gettid(), 0));
  TRY(syscall(SYS_tkill, -1, 0));
  return 0;
}
