#include "guest.h"

int main(int argc, char **argv) {
  if (argc > 1) {
    say("child program: %s", argv[1]);
    return 21;
  }
  volatile int shared = 1;
  pid_t child = vfork();
  if (child == 0) {
    shared = 2; /* visible: the memory is the parent's */
    _exit(4);
  }
  INT(shared);
  reap("vfork exit", child);
  child = vfork();
  if (child == 0) {
    execl("/proc/self/exe", "self", "by vfork", NULL);
    _exit(127);
  }
  reap("vfork exec", child);
  child = vfork();
  if (child == 0) {
    execl("/no/such/program", "x", NULL);
    _exit(errno);
  }
  reap("vfork failed exec", child);
  /* the parent waits until the child is done */
  int fds[2];
  NEED(pipe(fds));
  child = vfork();
  if (child == 0) {
    (void)!write(fds[1], "c", 1);
    _exit(0);
  }
  (void)!write(fds[1], "p", 1);
  char order[3] = {0};
  (void)!read(fds[0], order, 2);
  say("order: %s", order);
  reap("last", child);
  return 0;
}
