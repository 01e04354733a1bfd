/* While a core file is written: what /proc says, which signals count, what SIGKILL does, core(5). */
#include "guest.h"
#include <dirent.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define SIZE (128u << 20)

static void *waits(void *unused) {
  (void)unused;
  for (;;) pause();
  return NULL;
}

static void die(void) {
  struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
  NEED(setrlimit(RLIMIT_CORE, &all));
  pthread_t thread;
  pthread_create(&thread, NULL, waits, NULL);
  char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(memory, 1, SIZE);
  abort();
}

/* The value of a line of a status file. */
static void field(const char *path, const char *name, char *value, size_t size) {
  char text[8192];
  snprintf(value, size, "nothing");
  int fd = open(path, O_RDONLY);
  if (fd == -1) return;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return;
  text[n] = 0;
  char *at = strstr(text, name);
  if (at != NULL) snprintf(value, size, "%.*s", (int)strcspn(at + strlen(name), "\n"), at + strlen(name));
}

/* A look while the file grows: true if it was seen. */
static bool look(int how) {
  pid_t child = NEED(fork());
  if (child == 0) die();
  char path[64], dumping[64], state[64] = "", other[64] = "";
  snprintf(path, sizeof path, "/proc/%d/status", child);
  do {
    field(path, "CoreDumping:\t", dumping, sizeof dumping);
    field(path, "State:\t", state, sizeof state);
    if (state[0] == 'Z') break;
    usleep(300);
  } while (strcmp(dumping, "1") != 0 || access("core", F_OK) == -1);
  bool seen = state[0] != 'Z';
  if (seen) {
    char directory[64];
    snprintf(directory, sizeof directory, "/proc/%d/task", child);
    DIR *threads = opendir(directory);
    struct dirent *entry;
    while (threads != NULL && (entry = readdir(threads)) != NULL) {
      if (entry->d_name[0] == '.' || atoi(entry->d_name) == child) continue;
      snprintf(path, sizeof path, "/proc/%d/task/%d/status", child, atoi(entry->d_name));
      field(path, "State:\t", other, sizeof other);
    }
    if (threads != NULL) closedir(threads);
  }
  int sent = kill(child, SIGTERM);
  if (how == SIGKILL) kill(child, SIGKILL);
  int status;
  int early = waitpid(child, &status, WNOHANG);
  if (early == 0) NEED(waitpid(child, &status, 0));
  struct stat core;
  bool exists = stat("core", &core) == 0;
  unlink("core");
  bool cut = exists && core.st_size < SIZE;
  /* too late is as good as not seen */
  if (!seen || (how == SIGTERM && early != 0) || (how == SIGKILL && !cut)) return false;
  say("the other thread is %s, SIGTERM %d", other, sent);
  say("%s%s, a file %d, cut short %d", status_text(status), WCOREDUMP(status) ? " (core dumped)" : "", exists, cut);
  return true;
}

int main(void) {
  for (int how = SIGTERM; how != 0; how = how == SIGTERM ? SIGKILL : 0) {
    int tries = 20;
    while (tries > 0 && !look(how)) tries--;
    if (tries == 0) say("never in time");
  }
  return 0;
}
