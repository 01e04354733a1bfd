#include "guest.h"

static const char *base;

static void where(const char *name) {
  char path[PATH_MAX];
  if (getcwd(path, sizeof path) == NULL) say("%s: %s", name, errname(errno));
  else say("%s: %s", name, strncmp(path, base, strlen(base)) == 0 ? path + strlen(base) : path);
}

int main(void) {
  scratch();
  char real[PATH_MAX], small[3];
  NEED(getcwd(real, sizeof real) == NULL ? -1 : 0);
  base = real;
  NEED(mkdir("a", 0755)), NEED(mkdir("a/b", 0755)), NEED(symlink("a/b", "l"));
  put("f", "");
  where("start");
  TRY(chdir("a/b"));
  where("a/b");
  TRY(chdir(".."));
  where("..");
  TRY(chdir("../l"));
  where("through a link");
  TRY(chdir("missing"));
  TRY(chdir("../../f"));
  TRY(chdir(""));
  int fd = NEED(open("/", O_RDONLY | O_DIRECTORY));
  TRY(fchdir(fd));
  where("fchdir");
  TRY(chdir("../../.."));
  where("above the root");
  TRY(fchdir(99));
  int file = NEED(open("/dev/null", O_RDONLY));
  TRY(fchdir(file));
  say("getcwd, too small: %s", getcwd(small, 0) == NULL ? errname(errno) : "?");
  NEED(chdir(real));
  say("getcwd, too small: %s", getcwd(small, 3) == NULL ? errname(errno) : "?");
  TRY(syscall(SYS_getcwd, (char *)8, 4096));
  TRY(syscall(SYS_getcwd, real, sizeof real) == (long)strlen(real) + 1);
  NEED(chdir("a/b"));
  NEED(rmdir("../b"));
  where("removed");
  TRY(open("x", O_CREAT | O_WRONLY, 0600));
  TRY(mkdir("y", 0755));
  TRY(access(".", F_OK));
  TRY(access("..", F_OK));
  TRY(chdir(".."));
  where("back");
  pid_t child = NEED(fork());
  if (child == 0) {
    chdir("/");
    _exit(0);
  }
  reap("child changes its own", child);
  where("still");
  return 0;
}
