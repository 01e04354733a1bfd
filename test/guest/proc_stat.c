#include "guest.h"
#include <pthread.h>

static char field_text[64];

/* The value of "Name:\tvalue" in /proc/self/status. */
static const char *status_field(const char *name) {
  const char *text = get("/proc/self/status");
  size_t n = strlen(name);
  for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (strncmp(line, name, n) == 0 && line[n] == ':') {
      const char *value = line + n + 1 + strspn(line + n + 1, "\t ");
      snprintf(field_text, sizeof field_text, "%.*s", (int)strcspn(value, "\n"), value);
      return field_text;
    }
  }
  return "(none)";
}

static void *idle(void *arg) {
  pthread_barrier_wait(arg);
  pthread_barrier_wait(arg);
  return NULL;
}

int main(void) {
  say("Name: %s", status_field("Name"));
  say("State: %s", status_field("State"));
  IS(atoi(status_field("Pid")) == getpid());
  IS(atoi(status_field("Tgid")) == getpid());
  IS(atoi(status_field("PPid")) == getppid());
  IS(atoi(status_field("TracerPid")) == 0);
  IS(atoi(status_field("VmSize")) > 1000);
  IS(atoi(status_field("VmRSS")) > 100);
  say("Threads: %s", status_field("Threads"));
  IS((uid_t)atoi(status_field("Uid")) == getuid());
  umask(026);
  say("Umask: %s", status_field("Umask"));
  signal(SIGUSR1, SIG_IGN);
  handle(SIGUSR2, (void (*)(int))abort, 0);
  sigset_t set;
  sigemptyset(&set), sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGHUP);
  say("SigBlk: %s", status_field("SigBlk"));
  say("SigIgn: %s", status_field("SigIgn") + 12);
  say("SigCgt: %s", status_field("SigCgt"));
  say("SigPnd: %s", status_field("SigPnd"));
  say("ShdPnd: %s", status_field("ShdPnd"));
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, 3);
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, idle, &barrier);
  pthread_barrier_wait(&barrier);
  say("Threads: %s", status_field("Threads"));
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);

  /* /proc/self/stat: pid (comm) state ppid pgrp session … */
  char comm[64], state;
  int pid, ppid, pgrp, session;
  const char *stat = get("/proc/self/stat");
  IS(sscanf(stat, "%d (%63[^)]) %c %d %d %d", &pid, comm, &state, &ppid, &pgrp, &session) == 6);
  say("comm %s, state %c", comm, state);
  IS(pid == getpid() && ppid == getppid() && pgrp == getpgrp() && session == getsid(0));
  int fields = 1;
  for (const char *p = strrchr(stat, ')'); *p; p++) fields += *p == ' ';
  INT(fields + 1);
  /* the state of a child */
  pid_t child = NEED(fork());
  if (child == 0) for (;;) pause();
  kill(child, SIGSTOP);
  waitpid(child, NULL, WUNTRACED);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/stat", child);
  sscanf(get(path), "%d (%63[^)]) %c", &pid, comm, &state);
  say("stopped child: %c", state);
  kill(child, SIGKILL);
  siginfo_t info;
  waitid(P_PID, child, &info, WEXITED | WNOWAIT);
  sscanf(get(path), "%d (%63[^)]) %c", &pid, comm, &state);
  say("dead child: %c", state);
  waitpid(child, NULL, 0);
  say("reaped: %s", get(path));
  long pages;
  IS(sscanf(get("/proc/self/statm"), "%ld", &pages) == 1 && pages > 100);
  double up;
  IS(sscanf(get("/proc/uptime"), "%lf", &up) == 1 && up >= 0);
  long total;
  IS(sscanf(get("/proc/meminfo"), "MemTotal: %ld kB", &total) == 1 && total > 1000);
  IS(strncmp(get("/proc/stat"), "cpu ", 4) == 0);
  IS(strstr(get("/proc/cpuinfo"), "processor") != NULL);
  IS(strncmp(get("/proc/version"), "Linux version ", 14) == 0);
  IS(strstr(get("/proc/filesystems"), "proc") != NULL);
  double load;
  IS(sscanf(get("/proc/loadavg"), "%lf", &load) == 1);
  IS(strstr(get("/proc/self/mounts"), " / ") != NULL);
  IS(strstr(get("/proc/self/limits"), "Max open files") != NULL);
  IS(atoi(get("/proc/sys/kernel/pid_max")) > 100);
  return 0;
}
