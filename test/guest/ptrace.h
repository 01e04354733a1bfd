/* What the tracing guests share. */
#ifndef GUEST_PTRACE_H
#define GUEST_PTRACE_H
#include "guest.h"
#include <elf.h>
#include <linux/ptrace.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/user.h>

/* glibc's header and the kernel's don't go together. */
static inline long trace(int request, pid_t pid, unsigned long address, unsigned long data) {
  return syscall(SYS_ptrace, request, pid, address, data);
}

static inline const char *event_name(int event) {
  static const char *const names[] = {"", "FORK", "VFORK", "CLONE", "EXEC", "VFORK_DONE", "EXIT", "SECCOMP"};
  return event == 128 ? "STOP" : event >= 0 && event < 8 ? names[event] : "?";
}

/* "stopped SIGTRAP EXEC", "stopped SIGTRAP|80", "exited 3". */
static inline const char *stop_text(int status) {
  static char text[80];
  if (!WIFSTOPPED(status)) return status_text(status);
  int signo = WSTOPSIG(status);
  snprintf(text, sizeof text, "stopped SIG%s%s %s", sigabbrev_np(signo & 0x7f) ?: "?", signo & 0x80 ? "|80" : "",
           event_name(status >> 16));
  return text;
}

/* Waits for `pid` as a tracer and prints what it reports. */
static inline int await_stop(const char *name, pid_t pid) {
  int status = 0;
  pid_t got;
  do got = waitpid(pid, &status, __WALL);
  while (got == -1 && errno == EINTR);
  if (got != pid) say("%s: waitpid %s", name, got == -1 ? errname(errno) : "another");
  else say("%s: %s", name, stop_text(status));
  return status;
}

/* PTRACE_GETSIGINFO, with `self` in place of the tracee's pid and so on. */
static inline void say_info(const char *name, pid_t pid) {
  siginfo_t info;
  memset(&info, 0x5a, sizeof info);
  if (trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info) == -1) {
    say("%s: siginfo %s", name, errname(errno));
    return;
  }
  const char *who = info.si_pid == pid ? "tracee" : info.si_pid == getpid() ? "tracer" : info.si_pid == 0 ? "0" : "other";
  say("%s: siginfo signo %d code %#x pid %s uid %d", name, info.si_signo, info.si_code, who, (int)info.si_uid);
}

static inline unsigned long event_message(pid_t pid) {
  unsigned long message = 0x5a5a;
  if (trace(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&message) == -1) return (unsigned long)-errno;
  return message;
}

static inline struct user_regs_struct get_registers(pid_t pid) {
  struct user_regs_struct regs;
  memset(&regs, 0, sizeof regs);
  if (trace(PTRACE_GETREGS, pid, 0, (unsigned long)&regs) == -1) say("PTRACE_GETREGS: %s", errname(errno));
  return regs;
}

/* The letter in /proc/pid/stat. */
static inline char state_of(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const char *text = get(path), *end = strrchr(text, ')');
  return end == NULL ? '?' : end[2];
}

/* Waits until the process is in `state`. */
static inline void await_state(pid_t pid, char state) {
  for (int i = 0; i < 5000 && state_of(pid) != state; i++) sleep_ms(1);
}
#endif
