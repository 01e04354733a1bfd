/* Unwinding through a handler: backtrace(3) and _Unwind_Backtrace find who was interrupted, and how it was called. */
#include "guest.h"
#include <execinfo.h>
#include <ucontext.h>
#include <unwind.h>

static void innermost(const char *how);
static void middle(const char *how);
static void outermost(const char *how);
int main(void);
static volatile int depth;

#define KEEP __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls")))

/* The name of the function of ours that `pc` is in: of those that begin before it, the nearest. */
static void note(char *text, void *pc) {
  const struct {
    const char *name;
    char *start;
  } known[] = {{" innermost", (void *)innermost},
               {" middle", (void *)middle},
               {" outermost", (void *)outermost},
               {" main", (void *)main}};
  int best = -1;
  for (int i = 0; i < 4; i++)
    if (known[i].start < (char *)pc && (best < 0 || known[i].start > known[best].start)) best = i;
  if (best >= 0 && (char *)pc - known[best].start < 1024) strcat(text, known[best].name);
}

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *text) {
  int before = 0;
  uintptr_t pc = _Unwind_GetIPInfo(context, &before);
  if (before) strcat(text, " (interrupted)");
  note(text, (void *)(before ? pc + 1 : pc));
  return _URC_NO_REASON;
}

static void look(int signo, siginfo_t *info, void *context) {
  (void)info, (void)context;
  void *frames[64];
  int count = backtrace(frames, 64);
  char text[1024] = "";
  for (int i = 0; i < count; i++) note(text, frames[i]);
  say("SIG%s, backtrace:%s", sigabbrev_np(signo), text);
  text[0] = 0;
  _Unwind_Backtrace(step, text);
  say("SIG%s, _Unwind_Backtrace:%s", sigabbrev_np(signo), text);
  if (signo == SIGSEGV || signo == SIGILL) {
    /* over the instruction of two bytes */
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
  }
}

KEEP static void innermost(const char *how) {
  if (strcmp(how, "raise") == 0) raise(SIGUSR1);
  else if (strcmp(how, "kill") == 0) kill(getpid(), SIGUSR1);
  else if (strcmp(how, "alarm") == 0) {
    struct timespec second = {1, 0};
    timer_t timer;
    struct itimerspec soon = {{0, 0}, {0, 10000000}};
    NEED(timer_create(CLOCK_MONOTONIC, NULL, &timer));
    NEED(timer_settime(timer, 0, &soon, NULL));
    nanosleep(&second, NULL);
    timer_delete(timer);
  } else if (strcmp(how, "ud2") == 0) __asm__ volatile("ud2");
  else if (strcmp(how, "fault") == 0) __asm__ volatile("movb (%0), %%al" ::"r"(8ul) : "rax");
  depth++;
}

KEEP static void middle(const char *how) {
  innermost(how);
  depth++;
}

KEEP static void outermost(const char *how) {
  middle(how);
  depth++;
}

int main(void) {
  int signals[] = {SIGUSR1, SIGALRM, SIGILL, SIGSEGV};
  static char stack[1 << 17];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  NEED(sigaltstack(&alternate, NULL));
  const char *ways[] = {"raise", "kill", "alarm", "ud2", "fault"};
  for (int on_stack = 0; on_stack < 2; on_stack++) {
    struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO | (on_stack ? SA_ONSTACK : 0)};
    for (int i = 0; i < 4; i++) NEED(sigaction(signals[i], &action, NULL));
    for (int i = 0; i < 5; i++) {
      say("%s%s", ways[i], on_stack ? ", on another stack" : "");
      outermost(ways[i]);
    }
  }
  INT(depth);
  return 0;
}
