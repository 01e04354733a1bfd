#include "guest.h"
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif
#include <setjmp.h>

static char alternate[65536];
static sigjmp_buf back;

static bool on_alternate(const void *p) {
  return (const char *)p >= alternate && (const char *)p < alternate + sizeof alternate;
}

static void show(int signo) {
  char here;
  stack_t now, other = {.ss_flags = SS_DISABLE};
  sigaltstack(NULL, &now);
  say("signal %d: alternate=%d flags=%d", signo, on_alternate(&here), now.ss_flags);
  TRY(sigaltstack(&other, NULL));
}

/* A handler on a stack that was disarmed for it may do with it what it likes. */
static int changes;
static void change(int signo) {
  (void)signo;
  stack_t none = {.ss_flags = SS_DISABLE}, again = {.ss_sp = alternate, .ss_size = sizeof alternate};
  if (changes & 1) TRY(sigaltstack(&none, NULL));
  if (changes & 2) TRY(sigaltstack(&again, NULL));
  if (changes & 4) raise(SIGUSR2);
}

static void overflow(int signo, siginfo_t *info, void *context) {
  char here;
  (void)context, (void)info;
  say("overflow: signal %d alternate=%d", signo, on_alternate(&here));
  siglongjmp(back, 1);
}

static int deep(int n) {
  volatile char frame[4096];
  frame[0] = (char)n;
  return n == 0 ? 0 : deep(n + 1) + frame[0];
}

int main(void) {
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate}, old;
  TRY(sigaltstack(NULL, &old));
  INT(old.ss_flags);
  stack.ss_size = 100;
  TRY(sigaltstack(&stack, NULL));
  stack.ss_size = sizeof alternate;
  stack.ss_flags = 77;
  TRY(sigaltstack(&stack, NULL));
  stack.ss_flags = 0;
  TRY(sigaltstack(&stack, &old));
  TRY(sigaltstack((void *)8, NULL));
  sigaltstack(NULL, &old);
  IS(old.ss_sp == alternate);
  INT(old.ss_size);
  INT(old.ss_flags);
  handle(SIGUSR1, show, SA_ONSTACK);
  handle(SIGUSR2, show, 0);
  raise(SIGUSR1);
  raise(SIGUSR2);
  NEED(sigaltstack(&stack, NULL));
  struct sigaction action = {.sa_sigaction = overflow, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaction(SIGSEGV, &action, NULL);
  if (sigsetjmp(back, 1) == 0) INT(deep(1));
  say("recovered");
  if (sigsetjmp(back, 1) == 0) INT(deep(1));
  say("recovered again");
  handle(SIGUSR1, change, SA_ONSTACK);
  handle(SIGUSR2, show, SA_ONSTACK);
  for (changes = 0; changes < 8; changes++) {
    stack.ss_flags = (int)SS_AUTODISARM;
    TRY(sigaltstack(&stack, NULL));
    raise(SIGUSR1);
    sigaltstack(NULL, &old);
    say("changes %d: flags %#x, the same %d", changes, old.ss_flags, old.ss_sp == alternate);
  }
  for (unsigned flags = 0; flags < 4; flags++) {
    stack.ss_flags = (int)(flags | SS_AUTODISARM);
    say("flags %u: %s", flags, sigaltstack(&stack, NULL) == -1 ? errname(errno) : "ok");
  }
  stack.ss_flags = 1 << 30;
  TRY(sigaltstack(&stack, NULL));
  return 0;
}
