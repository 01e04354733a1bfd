/* Small seccomp(2) filters for the guests about it. */
#ifndef FILTERS_H
#define FILTERS_H
#include "guest.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

#define S(code, k) BPF_STMT(code, k)
#define J(code, k, jt, jf) BPF_JUMP(code, k, jt, jf)
#define LOAD(field) S(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOW(index) S(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[index]))
#define HIGH(index) S(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[index]) + 4)
#define RETURN(value) S(BPF_RET | BPF_K, value)
#define ALLOW RETURN(SECCOMP_RET_ALLOW)

#define COUNT(array) (sizeof(array) / sizeof *(array))

static inline int seccomp_(unsigned operation, unsigned flags, void *args) {
  return syscall(SYS_seccomp, operation, flags, args);
}

static inline int install(unsigned flags, struct sock_filter *filter, int count) {
  struct sock_fprog program = {count, filter};
  return seccomp_(SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* install(flags, {instructions}) */
#define INSTALL(flags, ...)                                                                                            \
  ({                                                                                                                   \
    struct sock_filter filter_[] = {__VA_ARGS__};                                                                      \
    install(flags, filter_, COUNT(filter_));                                                                           \
  })

/* Call `nr` meets `value`, all others are allowed. */
static inline int on_call(unsigned flags, int nr, unsigned value) {
  return INSTALL(flags, LOAD(nr), J(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), RETURN(value), ALLOW);
}

/* Runs `body` in a child and tells how it ended. */
#define CHILD(name, ...)                                                                                               \
  do {                                                                                                                 \
    pid_t child_ = NEED(fork());                                                                                       \
    if (child_ == 0) {                                                                                                 \
      NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));                                                                    \
      __VA_ARGS__;                                                                                                     \
      _exit(0);                                                                                                        \
    }                                                                                                                  \
    reap(name, child_);                                                                                                \
  } while (0)

/* "Seccomp" and so on of a task's /proc status. */
static inline void status_line(const char *path, const char *key) {
  char line[512];
  FILE *status = fopen(path, "re");
  if (status == NULL) {
    say("%s: %s", path, errname(errno));
    return;
  }
  while (fgets(line, sizeof line, status))
    if (strncmp(line, key, strlen(key)) == 0) {
      line[strlen(line) - 1] = 0;
      say("%s", line);
    }
  fclose(status);
}
#endif
