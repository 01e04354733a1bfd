#include "guest.h"
#include <dirent.h>
#include <sys/prctl.h>

static const char *read_link(const char *path) {
  static char target[PATH_MAX];
  ssize_t n = readlink(path, target, sizeof target - 1);
  if (n == -1) return errname(errno);
  target[n] = 0;
  return target;
}

static const char *base(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

int main(int argc, char **argv) {
  if (argc == 1) {
    char *args[] = {"zeroth", "first argument", "", "last", NULL};
    char *env[] = {"ONE=1", "TWO=2", NULL};
    execve("/proc/self/exe", args, env);
    return 98;
  }
  (void)argv;
  close_range(3, ~0U, 0); /* whatever the caller left open */
  say("exe: %s", base(read_link("/proc/self/exe")));
  char cmdline[200];
  int fd = NEED(open("/proc/self/cmdline", O_RDONLY));
  ssize_t n = read(fd, cmdline, sizeof cmdline);
  close(fd);
  for (ssize_t i = 0; i < n; i++)
    if (cmdline[i] == 0) cmdline[i] = '|';
  say("cmdline: %.*s", (int)n, cmdline);
  fd = NEED(open("/proc/self/environ", O_RDONLY));
  n = read(fd, cmdline, sizeof cmdline);
  close(fd);
  for (ssize_t i = 0; i < n; i++)
    if (cmdline[i] == 0) cmdline[i] = '|';
  say("environ: %.*s", (int)n, cmdline);
  say("comm: %.*s", (int)strcspn(get("/proc/self/comm"), "\n"), get("/proc/self/comm"));
  TRY(prctl(PR_SET_NAME, "a name that is too long"));
  say("comm: %s", get("/proc/self/comm"));
  scratch();
  char cwd[PATH_MAX];
  getcwd(cwd, sizeof cwd);
  IS(strcmp(read_link("/proc/self/cwd"), cwd) == 0);
  say("root: %s", read_link("/proc/self/root"));
  IS(atoi(read_link("/proc/self")) == getpid());
  char own[64], text[64];
  snprintf(own, sizeof own, "/proc/%d/exe", getpid());
  say("own: %s", base(read_link(own)));

  put("file", "content");
  int file = NEED(open("file", O_RDWR | O_APPEND));
  int fds[2];
  NEED(pipe(fds));
  snprintf(own, sizeof own, "/proc/self/fd/%d", file);
  say("fd: %s", base(read_link(own)));
  snprintf(text, sizeof text, "/proc/self/fd/%d", fds[0]);
  unsigned long ino;
  IS(sscanf(read_link(text), "pipe:[%lu]", &ino) == 1);
  say("through the descriptor: %s", get(own));
  unlink("file");
  say("fd: %s", base(read_link(own)));
  say("through the descriptor: %s", get(own));
  snprintf(own, sizeof own, "/dev/fd/%d", file);
  say("/dev/fd: %s", get(own));
  snprintf(own, sizeof own, "/proc/self/fdinfo/%d", file);
  lseek(file, 3, SEEK_SET);
  int pos = -1, flags = -1;
  IS(sscanf(get(own), "pos: %d flags: %o", &pos, &flags) == 2);
  say("pos %d flags %o", pos, flags & (O_APPEND | O_ACCMODE));
  DIR *dir = opendir("/proc/self/fd");
  struct dirent *e;
  int count = 0, numbers = 0;
  while ((e = readdir(dir)) != NULL) count++, numbers += e->d_name[0] >= '0' && e->d_name[0] <= '9';
  closedir(dir);
  say("entries %d, numbers %d", count, numbers);
  TRY(access("/proc/self/nothing", F_OK));
  TRY(access("/proc/99999999", F_OK));
  TRY(open("/proc/self/fd/77", O_RDONLY));
  TRY(mkdir("/proc/x", 0755));
  struct stat st;
  TRY(stat("/proc/self", &st));
  IS(S_ISDIR(st.st_mode));
  TRY(lstat("/proc/self", &st));
  IS(S_ISLNK(st.st_mode));
  snprintf(own, sizeof own, "/proc/self/task/%d/comm", getpid());
  say("task: %s", get(own));
  return 0;
}
