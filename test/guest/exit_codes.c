#include "guest.h"

static void at_exit(void) { say("atexit ran"); }

int main(void) {
  int codes[] = {0, 1, 42, 255, 256, 257, -1};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    pid_t child = NEED(fork());
    if (child == 0) _exit(codes[i]);
    char name[32];
    snprintf(name, sizeof name, "_exit(%d)", codes[i]);
    reap(name, child);
  }
  pid_t child = NEED(fork());
  if (child == 0) {
    atexit(at_exit);
    exit(7);
  }
  reap("exit(7)", child);
  child = NEED(fork());
  if (child == 0) return 9;
  reap("return 9", child);
  child = NEED(fork());
  if (child == 0) syscall(SYS_exit, 0x1ff);
  reap("SYS_exit", child);
  return 17;
}
