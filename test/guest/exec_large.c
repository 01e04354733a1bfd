/* A large argument list arrives whole; one byte too many does not. */
#include "guest.h"
#include <sys/resource.h>

extern char **environ;

int main(int argc, char **argv) {
  if (argc > 1) {
    long bytes = 0, wrong = 0, vars = 0;
    for (int i = 1; i < argc; i++) {
      bytes += strlen(argv[i]);
      for (char *c = argv[i]; *c; c++) wrong += *c != 'a' + i % 26;
    }
    for (char **e = environ; *e != NULL; e++) vars++;
    say("%d arguments, %ld bytes, %ld wrong, %ld variables", argc - 1, bytes, wrong, vars);
    return 0;
  }
  enum { N = 1000, LENGTH = 1000 };
  char **args = calloc(N + 2, sizeof *args), **env = calloc(201, sizeof *env);
  args[0] = "x";
  for (int i = 1; i <= N; i++) {
    args[i] = malloc(LENGTH + 1);
    memset(args[i], 'a' + i % 26, LENGTH);
    args[i][LENGTH] = 0;
  }
  for (int i = 0; i < 200; i++) {
    env[i] = malloc(20);
    snprintf(env[i], 20, "VARIABLE%d=%d", i, i);
  }
  pid_t child = NEED(fork());
  if (child == 0) {
    execve("/proc/self/exe", args, env);
    _exit(errno);
  }
  reap("a megabyte", child);
  /* a quarter of the stack's limit, but not less than 128 KiB, is what arguments may take */
  struct rlimit limit;
  getrlimit(RLIMIT_STACK, &limit);
  limit.rlim_cur = 2 << 20;
  NEED(setrlimit(RLIMIT_STACK, &limit));
  TRY(execve("/proc/self/exe", args, env));
  char *long_one[] = {"x", malloc(131073), NULL};
  memset(long_one[1], 'b', 131072);
  long_one[1][131072] = 0;
  TRY(execve("/proc/self/exe", long_one, env));
  long_one[1][131071] = 0;
  execve("/proc/self/exe", long_one, env + 200);
  say("execve: %s", errname(errno));
  return 1;
}
