/* Filters and threads: who has which, and SECCOMP_FILTER_FLAG_TSYNC. */
#include "filters.h"
#include <pthread.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/ioctl.h>

#define NR SYS_getppid

/* A thread that does one thing after the other, when told. */
static sem_t go[4], did[4];
static void (*job[4])(int);
static pid_t tids[4];
static void *worker(void *number) {
  int n = (long)number;
  tids[n] = syscall(SYS_gettid);
  sem_post(&did[n]);
  while (true) {
    sem_wait(&go[n]);
    if (job[n] == NULL) return NULL;
    job[n](n);
    sem_post(&did[n]);
  }
}
static pthread_t threads[4];
static void start(int n) {
  sem_init(&go[n], 0, 0);
  sem_init(&did[n], 0, 0);
  pthread_create(&threads[n], NULL, worker, (void *)(long)n);
  sem_wait(&did[n]);
}
static void let(int n, void (*what)(int)) {
  job[n] = what;
  sem_post(&go[n]);
  if (what != NULL) sem_wait(&did[n]);
  else pthread_join(threads[n], NULL);
}

static void call(int n) {
  errno = 0;
  long result = syscall(NR);
  say("thread %d: %s, mode %d, no_new_privs %d", n, result == -1 ? errname(errno) : "ok", prctl(PR_GET_SECCOMP),
      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}
static void filter(int n) {
  say("thread %d: install %d", n, on_call(0, NR, SECCOMP_RET_ERRNO | EXDEV));
}
static void strict(int n) {
  say("thread %d: strict", n);
  syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
}

static void separate(void) {
  start(0);
  let(0, filter);
  let(0, call);
  call(9);
  start(1); /* of the main thread, which has none */
  let(1, call);
  NEED(on_call(0, NR, SECCOMP_RET_ERRNO | ENOTTY));
  start(2);
  let(2, call);
  let(1, call);
  char path[64];
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tids[i]);
    status_line(path, "Seccomp");
  }
  let(0, NULL);
  let(1, NULL);
  let(2, NULL);
}

static void say_obstacle(const char *name, long result) {
  int saved = errno;
  if (result == -1) say("%s: -1 %s", name, errname(saved));
  for (int i = 0; i < 4; i++)
    if (result > 0 && result == tids[i]) say("%s: thread %d", name, i);
  if (result == 0) say("%s: 0", name);
}

static void synchronised(void) {
  start(0);
  start(1);
  say_obstacle("none has any", on_call(SECCOMP_FILTER_FLAG_TSYNC, NR, SECCOMP_RET_ERRNO | ENOTTY));
  call(9);
  let(0, call);
  let(1, call);
  let(1, filter);
  let(1, call);
  say_obstacle("one has more", on_call(SECCOMP_FILTER_FLAG_TSYNC, NR, SECCOMP_RET_ERRNO | EDOM));
  say_obstacle("one has more, ESRCH",
               on_call(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, NR, SECCOMP_RET_ERRNO | EDOM));
  TRY(on_call(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH | SECCOMP_FILTER_FLAG_NEW_LISTENER, NR,
              SECCOMP_RET_ERRNO | EDOM));
  call(9);
  let(0, call);
  let(1, NULL);
  say_obstacle("it has ended", on_call(SECCOMP_FILTER_FLAG_TSYNC, NR, SECCOMP_RET_ERRNO | EDOM));
  let(0, call);
  status_line("/proc/self/status", "Seccomp");
  TRY(on_call(SECCOMP_FILTER_FLAG_TSYNC_ESRCH, NR, SECCOMP_RET_ERRNO | EDOM));
  int fd = on_call(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH | SECCOMP_FILTER_FLAG_NEW_LISTENER,
                   SYS_getpgrp, SECCOMP_RET_USER_NOTIF);
  IS(fd > 2);
  TRY(close(fd));
  let(0, NULL);
}

static void *strict_thread(void *unused) {
  (void)unused;
  tids[3] = syscall(SYS_gettid);
  sem_post(&did[3]);
  strict(3);
  char c;
  while (syscall(SYS_read, 0, &c, 0) == 0) {
  }
  return NULL;
}
static void one_strict(void) {
  sem_init(&did[3], 0, 0);
  pthread_create(&threads[3], NULL, strict_thread, NULL);
  sem_wait(&did[3]);
  sleep_ms(100);
  say_obstacle("a strict thread", on_call(SECCOMP_FILTER_FLAG_TSYNC, NR, SECCOMP_RET_ERRNO | ENOTTY));
  call(9);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/status", tids[3]);
  status_line(path, "Seccomp");
  _exit(0);
}

/* As root without no_new_privs: then the others do not get it either. */
static void without_no_new_privs(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    start(0);
    say_obstacle("privileged", on_call(SECCOMP_FILTER_FLAG_TSYNC, NR, SECCOMP_RET_ERRNO | ENOTTY));
    let(0, call);
    NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    let(0, call);
    say_obstacle("now it has", on_call(SECCOMP_FILTER_FLAG_TSYNC, NR, SECCOMP_RET_ERRNO | ENOTTY));
    let(0, call);
    _exit(0);
  }
  reap("without no_new_privs", child);
}

/* The others run meanwhile. */
static volatile bool stop;
static void *spin(void *counts) {
  long *count = counts;
  while (!stop)
    if (syscall(NR) == -1) count[1]++;
    else count[0]++;
  return NULL;
}
static void while_running(void) {
  static long counts[3][8];
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, spin, counts[i]);
  sleep_ms(50);
  TRY(on_call(SECCOMP_FILTER_FLAG_TSYNC, NR, SECCOMP_RET_ERRNO | ENOTTY));
  sleep_ms(100);
  stop = true;
  for (int i = 0; i < 3; i++) {
    pthread_join(threads[i], NULL);
    say("%s, %s", counts[i][0] > 0 ? "ran before" : "did not run", counts[i][1] > 0 ? "met the filter" : "did not");
  }
}

static void *ask(void *unused) {
  (void)unused;
  return (void *)syscall(NR);
}
/* Several calls wait at once; answered in the other order. */
static void several_wait(void) {
  int fd = on_call(SECCOMP_FILTER_FLAG_NEW_LISTENER, NR, SECCOMP_RET_USER_NOTIF);
  struct seccomp_notif notif[3];
  for (int i = 0; i < 3; i++) {
    pthread_create(&threads[i], NULL, ask, NULL);
    memset(&notif[i], 0, sizeof notif[i]);
    TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &notif[i]));
  }
  for (int i = 2; i >= 0; i--) {
    struct seccomp_notif_resp resp = {.id = notif[i].id, .val = 100 + i};
    TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp));
  }
  for (int i = 0; i < 3; i++) {
    void *result;
    pthread_join(threads[i], &result);
    say("%ld", (long)result);
  }
}

int main(void) {
  CHILD("separate", separate());
  CHILD("synchronised", synchronised());
  CHILD("one strict", one_strict());
  without_no_new_privs();
  CHILD("while running", while_running());
  CHILD("several wait", several_wait());
  return 0;
}
