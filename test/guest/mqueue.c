/* POSIX message queues: mq_overview(7) and the pages of each call. */
#include "guest.h"
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static char name[64], buffer[70000];
static mqd_t q;

static struct timespec in_ms(int ms) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  at.tv_nsec += ms * 1000000L;
  at.tv_sec += at.tv_nsec / 1000000000;
  at.tv_nsec %= 1000000000;
  return at;
}

static void attributes(mqd_t of) {
  struct mq_attr at;
  if (mq_getattr(of, &at) < 0) say("  mq_getattr: %s", errname(errno));
  else say("  flags %lx, %ld of %ld messages of %ld bytes", at.mq_flags, at.mq_curmsgs, at.mq_maxmsg, at.mq_msgsize);
}

static void receive(void) {
  unsigned priority = 99;
  ssize_t got = mq_receive(q, buffer, sizeof buffer, &priority);
  if (got < 0) say("receive: %s", errname(errno));
  else say("receive: %.*s, priority %u", (int)got, buffer, priority);
}

static mqd_t make(int flags, long maxmsg, long size) {
  struct mq_attr at = {.mq_maxmsg = maxmsg, .mq_msgsize = size};
  mqd_t made = mq_open(name, flags, 0600, &at);
  say("open %lx %ld %ld: %s", (long)flags, maxmsg, size, made == (mqd_t)-1 ? errname(errno) : "ok");
  return made;
}

static volatile int signals;
static siginfo_t last;

static void on_signal(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)context;
  signals++;
  last = *info;
}

static void names(void) {
  TRY(syscall(SYS_mq_open, "", O_CREAT | O_RDWR, 0600, NULL));
  TRY(syscall(SYS_mq_open, "/x", O_CREAT | O_RDWR, 0600, NULL));
  TRY(syscall(SYS_mq_open, "a/b", O_CREAT | O_RDWR, 0600, NULL));
  TRY(syscall(SYS_mq_open, "..", O_CREAT | O_RDWR, 0600, NULL));
  char longest[300];
  memset(longest, 'x', sizeof longest);
  longest[256] = 0;
  TRY(syscall(SYS_mq_open, longest, O_CREAT | O_RDWR, 0600, NULL));
  TRY(syscall(SYS_mq_open, NULL, O_RDWR, 0, NULL));
  TRY(syscall(SYS_mq_open, "there-is-none", O_RDWR, 0, NULL));
  TRY(syscall(SYS_mq_open, "x", O_CREAT | O_RDWR, 0, (void *)8));
  TRY(syscall(SYS_mq_unlink, "there-is-none"));
  TRY(syscall(SYS_mq_unlink, ""));
}

static void opening(void) {
  make(O_CREAT | O_RDWR, 0, 10);
  make(O_CREAT | O_RDWR, 10, 0);
  make(O_CREAT | O_RDWR, -1, 10);
  q = make(O_CREAT | O_RDWR | O_EXCL, 3, 8);
  attributes(q);
  make(O_CREAT | O_EXCL | O_RDWR, 3, 8);
  mqd_t again = make(O_CREAT | O_RDONLY, 100, 100);
  attributes(again);
  TRY(mq_send(again, "x", 1, 0));
  mq_close(again);
  again = make(O_WRONLY, 0, 0);
  TRY((int)mq_receive(again, buffer, sizeof buffer, NULL));
  mq_close(again);
  TRY(mq_open(name, O_RDWR | O_WRONLY));
  struct stat st;
  INT(fstat(q, &st));
  say("mode %o, size %ld, links %ld, device too: %d", st.st_mode, (long)st.st_size, (long)st.st_nlink, st.st_rdev == 0);
  INT(fcntl(q, F_GETFD));
  say("flags %x", fcntl(q, F_GETFL));
  char text[200];
  ssize_t length = pread(q, text, sizeof text - 1, 0);
  say("%.*s", (int)length - 1, text);
  TRY((int)write(q, "x", 1));
  TRY((int)lseek(q, 3, SEEK_SET));
  TRY((int)lseek(q, 0, SEEK_SET));
}

static void messages(void) {
  TRY(mq_send(q, "low", 3, 1));
  TRY(mq_send(q, "high", 4, 9));
  TRY(mq_send(q, "low too", 7, 1));
  attributes(q);
  struct timespec soon = in_ms(40), bad = {0, -1}, past = {1, 0};
  TRY(mq_timedsend(q, "more", 4, 1, &soon));
  TRY(mq_timedsend(q, "more", 4, 1, &past));
  TRY(mq_timedsend(q, "more", 4, 1, &bad));
  TRY((int)syscall(SYS_mq_timedsend, q, "more", 4, 1, (void *)8));
  TRY(mq_send(q, "too long", 9, 1));
  TRY(mq_send(q, "x", 1, 32768));
  TRY((int)syscall(SYS_mq_timedsend, q, (void *)8, 4, 1, NULL));
  TRY((int)syscall(SYS_mq_timedsend, 0, "x", 1, 1, NULL));
  TRY((int)syscall(SYS_mq_timedsend, -1, "x", 1, 1, NULL));
  struct pollfd p = {q, POLLIN | POLLOUT, 0};
  INT(poll(&p, 1, 0));
  say("%x", p.revents);
  TRY((int)mq_receive(q, buffer, 7, NULL));
  receive();
  receive();
  INT(poll(&p, 1, 0));
  say("%x", p.revents);
  receive();
  INT(poll(&p, 1, 0));
  say("%x", p.revents);
  TRY(mq_send(q, "", 0, 32767));
  receive();
  soon = in_ms(40);
  TRY((int)mq_timedreceive(q, buffer, sizeof buffer, NULL, &soon));
  TRY((int)mq_timedreceive(q, buffer, sizeof buffer, NULL, &bad));
  struct mq_attr set = {.mq_flags = O_NONBLOCK, .mq_maxmsg = 99}, old;
  TRY(mq_setattr(q, &set, &old));
  attributes(q);
  receive();
  set.mq_flags = O_NONBLOCK | O_APPEND;
  TRY(mq_setattr(q, &set, &old));
  mq_send(q, "gone", 4, 5);
  TRY((int)syscall(SYS_mq_timedreceive, q, (void *)8, 100, NULL, NULL));
  receive();
  mq_send(q, "gone", 4, 5);
  TRY((int)syscall(SYS_mq_timedreceive, q, buffer, 100, (void *)8, NULL));
  receive();
  for (int i = 0; i < 3; i++) mq_send(q, "full", 4, 0);
  TRY(mq_send(q, "full", 4, 0));
  for (int i = 0; i < 3; i++) receive();
  set.mq_flags = 0;
  TRY(mq_setattr(q, &set, NULL));
}

static void *sender(void *unused) {
  (void)unused;
  sleep_ms(40);
  mq_send(q, "late", 4, 2);
  return NULL;
}

static void waiting(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, sender, NULL);
  receive();
  pthread_join(thread, NULL);
  pid_t parent = getpid(), child = NEED(fork());
  if (child == 0) {
    sleep_ms(40);
    kill(parent, SIGUSR1);
    sleep_ms(40);
    mq_send(q, "after it", 8, 2);
    _exit(0);
  }
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR1, &action, NULL);
  receive();
  receive();
  reap("child", child);
  say("signals: %d", signals);
}

static void notification(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigaction(SIGUSR2, &action, NULL);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2, .sigev_value.sival_int = 77};
  TRY(mq_notify(q, &event));
  TRY(mq_notify(q, &event));
  char text[200];
  say("%.*s", (int)pread(q, text, 34, 0), text);
  signals = 0;
  mq_send(q, "x", 1, 0);
  say("signals %d, code %d, value %d, pid %d, uid %d", signals, last.si_code, last.si_value.sival_int, last.si_pid == getpid(),
      last.si_uid == getuid());
  mq_send(q, "x", 1, 0);
  say("signals %d", signals);
  TRY(mq_notify(q, &event));
  mq_send(q, "x", 1, 0);
  say("signals %d: it was not empty", signals);
  for (int i = 0; i < 3; i++) receive();
  pthread_t thread;
  pthread_create(&thread, NULL, sender, NULL);
  receive();
  pthread_join(thread, NULL);
  say("signals %d: somebody waited", signals);
  TRY(mq_notify(q, NULL));
  TRY(mq_notify(q, NULL));
  pid_t child = NEED(fork());
  if (child == 0) {
    TRY(mq_notify(q, &event));
    _exit(0);
  }
  reap("child", child);
  TRY(mq_notify(q, &event));
  mqd_t other = mq_open(name, O_RDWR);
  mq_close(other);
  TRY(mq_notify(q, &event));
  event.sigev_notify = SIGEV_NONE;
  mq_notify(q, NULL);
  TRY(mq_notify(q, &event));
  mq_send(q, "x", 1, 0);
  TRY(mq_notify(q, &event));
  receive();
  event.sigev_signo = 65;
  mq_notify(q, NULL);
  TRY(mq_notify(q, &event));
  mq_notify(q, NULL);
  event.sigev_notify = SIGEV_SIGNAL;
  TRY(mq_notify(q, &event));
  event.sigev_notify = 9;
  TRY(mq_notify(q, &event));
  TRY((int)syscall(SYS_mq_notify, q, (void *)8));
  TRY(mq_notify(0, NULL));
}

static void limits(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    if (geteuid() == 0 && setresuid(4711, 4711, 4711) < 0) _exit(1);
    TRY(mq_open(name, O_RDWR));
    TRY(mq_unlink(name));
    struct rlimit limit = {5000, 5000};
    setrlimit(RLIMIT_MSGQUEUE, &limit);
    snprintf(name, sizeof name, "/sentry-mq-b%d", getpid());
    make(O_CREAT | O_RDWR, 11, 8);
    make(O_CREAT | O_RDWR, 10, 8193);
    make(O_CREAT | O_RDWR, 10, 405);
    mqd_t first = make(O_CREAT | O_RDWR, 10, 200);
    snprintf(name, sizeof name, "/sentry-mq-c%d", getpid());
    make(O_CREAT | O_RDWR, 10, 200);
    snprintf(name, sizeof name, "/sentry-mq-b%d", getpid());
    TRY(mq_unlink(name));
    snprintf(name, sizeof name, "/sentry-mq-c%d", getpid());
    make(O_CREAT | O_RDWR, 10, 200);
    mq_close(first);
    make(O_CREAT | O_RDWR, 10, 200);
    TRY(mq_unlink(name));
    _exit(0);
  }
  reap("somebody else", child);
}

int main(void) {
  snprintf(name, sizeof name, "/sentry-mq-%d", getpid());
  names();
  opening();
  messages();
  waiting();
  notification();
  limits();
  TRY(mq_unlink(name));
  TRY(mq_unlink(name));
  attributes(q);
  TRY(mq_send(q, "x", 1, 0));
  receive();
  TRY(mq_close(q));
  TRY(mq_close(q));
  return 0;
}
