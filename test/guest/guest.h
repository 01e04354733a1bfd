/*
 * What every guest program shares: one observation is one line `name: value`, written by one write(2), so that lines of
 * several processes never mix and a diff of two runs is readable.
 */
#ifndef GUEST_H
#define GUEST_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One line on standard output. */
__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...) {
  char line[4096];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(line, sizeof line - 1, format, args);
  va_end(args);
  if (n < 0) abort();
  if (n > (int)sizeof line - 2) n = sizeof line - 2;
  line[n++] = '\n';
  if (write(1, line, n) != n) _exit(99);
}

/* "ENOENT" and so on. */
static inline const char *errname(int number) {
  const char *name = number == 0 ? "0" : strerrorname_np(number);
  return name != NULL ? name : "E?";
}

static inline void say_result(const char *name, long result) {
  int saved = errno;
  if (result == -1) say("%s: -1 %s", name, errname(saved));
  else say("%s: %ld", name, result);
  errno = saved;
}

/* For calls whose positive result is not the same twice. */
static inline long say_ok(const char *name, long result) {
  int saved = errno;
  say("%s: %s", name, result == -1 ? errname(saved) : "ok");
  errno = saved;
  return result;
}

/* The call itself is the name. */
#define TRY(call) say_result(#call, (long)(call))
#define OK(call) say_ok(#call, (long)(call))
/* true or false */
#define IS(condition) say("%s: %s", #condition, (condition) ? "true" : "false")
#define INT(expression) say("%s: %ld", #expression, (long)(expression))

/* Preparation that is not the subject of the test: its failure ends the program. */
#define NEED(call)                                                                                                     \
  ({                                                                                                                   \
    __typeof__(call) need_ = (call);                                                                                   \
    if ((long)need_ == -1) {                                                                                           \
      say("%s:%d %s failed: %s", __FILE_NAME__, __LINE__, #call, errname(errno));                                      \
      exit(98);                                                                                                        \
    }                                                                                                                  \
    need_;                                                                                                             \
  })

static inline const char *status_text(int status) {
  static char text[64];
  if (WIFEXITED(status)) snprintf(text, sizeof text, "exited %d", WEXITSTATUS(status));
  else if (WIFSIGNALED(status)) snprintf(text, sizeof text, "killed SIG%s", sigabbrev_np(WTERMSIG(status)));
  else if (WIFSTOPPED(status)) snprintf(text, sizeof text, "stopped SIG%s", sigabbrev_np(WSTOPSIG(status)));
  else if (WIFCONTINUED(status)) snprintf(text, sizeof text, "continued");
  else snprintf(text, sizeof text, "status %#x", status);
  return text;
}

/* Waits for `child` and prints how it ended. */
static inline void reap(const char *name, pid_t child) {
  int status = 0;
  pid_t got;
  do got = waitpid(child, &status, 0);
  while (got == -1 && errno == EINTR);
  if (got != child) say("%s: waitpid %s", name, got == -1 ? errname(errno) : "wrong child");
  else say("%s: %s", name, status_text(status));
}

static inline void sleep_ms(long ms) {
  struct timespec left = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&left, &left) == -1 && errno == EINTR) {
  }
}

static inline int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Installs a handler with flags; every other field is empty. */
static inline void handle(int signo, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  NEED(sigaction(signo, &action, NULL));
}

static char scratch_path[PATH_MAX];
static pid_t scratch_owner;

static inline int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *where) {
  (void)st, (void)type, (void)where;
  return remove(path);
}

static inline void scratch_clean(void) {
  if (getpid() != scratch_owner) return;
  (void)!chdir("/");
  nftw(scratch_path, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* Enters a fresh directory that is removed at exit. */
static inline void scratch(void) {
  const char *base = getenv("TMPDIR");
  snprintf(scratch_path, sizeof scratch_path, "%s/guest.XXXXXX", base != NULL && *base ? base : "/tmp");
  if (mkdtemp(scratch_path) == NULL || chdir(scratch_path) == -1) {
    say("scratch: %s", errname(errno));
    exit(98);
  }
  scratch_owner = getpid();
  atexit(scratch_clean);
}

/* Creates or replaces a small file. */
static inline void put(const char *path, const char *content) {
  int fd = NEED(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (write(fd, content, strlen(content)) != (ssize_t)strlen(content)) exit(98);
  close(fd);
}

/* The content of a small file, in a static buffer; "(ENOENT)" and so on when it cannot be read. */
static inline const char *get(const char *path) {
  static char content[8192];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd == -1) {
    snprintf(content, sizeof content, "(%s)", errname(errno));
    return content;
  }
  ssize_t n = read(fd, content, sizeof content - 1);
  close(fd);
  content[n < 0 ? 0 : n] = 0;
  return content;
}

#endif
