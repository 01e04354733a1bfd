#include "guest.h"
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
  return 0;
}
