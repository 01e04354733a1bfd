/* posix_spawn, system, popen. */
#include "guest.h"
#include <spawn.h>

extern char **environ;

int main(void) {
  INT(system("exit 7") >> 8);
  INT(system("kill -9 $$") & 0x7f);
  INT(system(NULL) != 0);
  FILE *p = popen("echo one; echo two; exit 4", "r");
  char line[100];
  while (fgets(line, sizeof line, p) != NULL) say("popen: %.*s", (int)strcspn(line, "\n"), line);
  INT(pclose(p) >> 8);
  p = popen("cat; echo end", "w");
  fputs("to cat\n", p);
  fflush(p);
  INT(pclose(p));
  pid_t child;
  char *args[] = {"sh", "-c", "echo spawned $0 $X; exit 5", "arg", NULL}, *env[] = {"X=y", NULL};
  if (posix_spawn(&child, "/bin/sh", NULL, NULL, args, env) != 0) say("posix_spawn failed");
  reap("spawn", child);
  say("missing: %s", errname(posix_spawn(&child, "/no/such", NULL, NULL, args, env)));
  scratch();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "out", O_CREAT | O_WRONLY, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawnattr_t attr;
  posix_spawnattr_init(&attr);
  posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  INT(posix_spawnp(&child, "sh", &actions, &attr, args, environ));
  reap("spawnp", child);
  say("out: %s", get("out"));
  return 0;
}
