/* Three processes, two pipes, as a shell makes them; and many children at once. */
#include "guest.h"

static pid_t stage(int in, int out, char *const *args, int *all) {
  pid_t child = NEED(fork());
  if (child != 0) return child;
  dup2(in, 0), dup2(out, 1);
  for (int i = 0; i < 4; i++) close(all[i]);
  execvp(args[0], args);
  _exit(127);
}

int main(void) {
  int p[4];
  NEED(pipe(p)), NEED(pipe(p + 2));
  char *a[] = {"sh", "-c", "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done", NULL};
  char *b[] = {"grep", "7", NULL}, *c[] = {"wc", "-l", NULL};
  pid_t x = stage(0, p[1], a, p), y = stage(p[0], p[3], b, p), z = stage(p[2], 1, c, p);
  for (int i = 0; i < 4; i++) close(p[i]);
  reap("third", z), reap("first", x), reap("second", y);
  /* `yes` dies of SIGPIPE */
  NEED(pipe(p)), NEED(pipe(p + 2));
  char *yes[] = {"yes", NULL}, *head[] = {"head", "-n", "2", NULL};
  x = stage(0, p[1], yes, p), y = stage(p[0], 1, head, p);
  for (int i = 0; i < 4; i++) close(p[i]);
  reap("head", y);
  reap("yes", x);
  /* a hundred children, reaped in any order */
  int sum = 0, status, n = 0;
  for (int i = 0; i < 100; i++)
    if (NEED(fork()) == 0) _exit(i);
  while (wait(&status) > 0) sum += WEXITSTATUS(status), n++;
  say("%d children, sum %d", n, sum);
  /* a chain: each waits for the next */
  pid_t child = NEED(fork());
  if (child == 0) {
    int depth = 0;
    for (; depth < 20; depth++) {
      pid_t next = NEED(fork());
      if (next != 0) {
        waitpid(next, &status, 0);
        _exit(WEXITSTATUS(status) + 1);
      }
    }
    _exit(0);
  }
  reap("chain", child);
  return 0;
}
