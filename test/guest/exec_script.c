/* #! lines: arguments, nesting and limits. */
#include "guest.h"

extern char **environ;

static void run(const char *name, char *path) {
  pid_t child = NEED(fork());
  if (child == 0) {
    char *args[] = {"zero", "one", "two", NULL};
    execve(path, args, environ);
    say("%s: execve %s", name, errname(errno));
    _exit(127);
  }
  reap(name, child);
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "--show") != 0 && strstr(argv[0], "show") == NULL) {
  }
  if (getenv("SHOW_ARGS") != NULL) {
    for (int i = 1; i < argc; i++) say("  arg %d: %s", i, argv[i]);
    return 0;
  }
  char self[PATH_MAX] = {0}, line[PATH_MAX + 64];
  NEED(readlink("/proc/self/exe", self, sizeof self - 1));
  scratch();
  setenv("SHOW_ARGS", "1", 1);
  NEED(symlink(self, "show"));
  snprintf(line, sizeof line, "#!show\n");
  put("a", line);
  put("b", "#!  show   -x  y z  \nrest\n");
  put("c", "#!./a nested\n");
  put("d", "#!show");
  put("e", "#!/bin/sh\necho from sh: $0 \"$@\"\nexit 3\n");
  put("l1", "#!l1\n");
  for (const char *p = "abcde"; *p; p++) {
    char name[2] = {*p, 0};
    chmod(name, 0755);
  }
  chmod("l1", 0755);
  run("plain", "a");
  run("option", "b");
  run("nested", "c");
  run("no newline", "d");
  run("sh", "./e");
  run("endless", "l1");
  return 0;
}
