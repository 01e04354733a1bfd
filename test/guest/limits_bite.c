#include "guest.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

/* A user of whom nobody else has processes. */
#define NOBODY 54321

static volatile sig_atomic_t seen;
static void count(int signo) {
  (void)signo;
  seen++;
}

static void limit(int resource, rlim_t soft, rlim_t hard) {
  struct rlimit wanted = {soft, hard};
  NEED(setrlimit(resource, &wanted));
}

static void drop(void) { NEED(setresuid(NOBODY, NOBODY, NOBODY)); }

/* Standard output may be a file, to which the limit applies as well: it holds for one call only. */
#define LIMITED(call)                                                                                                  \
  ({                                                                                                                   \
    limit(RLIMIT_FSIZE, 14, RLIM_INFINITY);                                                                            \
    long result_ = (long)(call);                                                                                       \
    int error_ = errno;                                                                                                \
    limit(RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY);                                                                 \
    errno = error_;                                                                                                    \
    say_result(#call, result_);                                                                                        \
    if (seen) say("SIGXFSZ %d", seen);                                                                                 \
    seen = 0;                                                                                                          \
  })

static void sizes(void) {
  handle(SIGXFSZ, count, 0);
  put("from", "0123456789");
  int from = NEED(open("from", O_RDONLY)), to = NEED(open("to", O_RDWR | O_CREAT, 0644)), pipes[2];
  NEED(pipe(pipes));
  LIMITED(sendfile(to, from, NULL, 4));
  lseek(to, 10, SEEK_SET);
  lseek(from, 0, SEEK_SET);
  LIMITED(sendfile(to, from, NULL, 10));
  LIMITED(sendfile(to, from, NULL, 10));
  INT(lseek(from, 0, SEEK_CUR));
  loff_t zero = 0, ten = 10, end = 14;
  LIMITED(copy_file_range(from, &zero, to, &ten, 10, 0));
  zero = 0;
  LIMITED(copy_file_range(from, &zero, to, &end, 10, 0));
  write(pipes[1], "abcdefgh", 8);
  ten = 10;
  LIMITED(splice(pipes[0], NULL, to, &ten, 8, 0));
  end = 14;
  LIMITED(splice(pipes[0], NULL, to, &end, 8, 0));
  char left[16] = "";
  fcntl(pipes[0], F_SETFL, O_NONBLOCK);
  INT(read(pipes[0], left, 16));
  LIMITED(ftruncate(to, 15));
  LIMITED(fallocate(to, 0, 0, 15));
  LIMITED(pwrite(to, "xx", 2, 13));
  LIMITED(pwrite(to, "xx", 2, 14));
  struct stat st;
  fstat(to, &st);
  INT(st.st_size);
}

static void *nothing(void *argument) {
  sleep_ms(50);
  return argument;
}

static void processes(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    limit(RLIMIT_NPROC, 3, 3);
    drop();
    int made = 0;
    pid_t pids[10];
    while (made < 10 && (pids[made] = fork()) > 0) made++;
    if (made < 10 && pids[made] == 0) {
      pause();
      _exit(0);
    }
    say("%d children, then %s", made, errname(errno));
    pthread_t thread;
    say("thread: %s", errname(pthread_create(&thread, NULL, nothing, NULL)));
    kill(pids[0], SIGKILL);
    sleep_ms(20);
    pid_t again = fork();
    if (again == 0) _exit(0);
    say("with a zombie: %s", again == -1 ? errname(errno) : "made");
    waitpid(pids[0], NULL, 0);
    say("thread: %s", errname(pthread_create(&thread, NULL, nothing, NULL)));
    pthread_join(thread, NULL);
    for (int i = 1; i < made; i++) kill(pids[i], SIGKILL), waitpid(pids[i], NULL, 0);
    _exit(0);
  }
  reap("processes", child);
  child = NEED(fork());
  if (child == 0) {
    limit(RLIMIT_NPROC, 0, 0);
    pid_t grandchild = fork();
    if (grandchild == 0) _exit(0);
    say("root: %s", grandchild == -1 ? errname(errno) : "made");
    _exit(0);
  }
  reap("root", child);
}

static void signals(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    limit(RLIMIT_SIGPENDING, 5, 5);
    drop();
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    union sigval value = {.sival_int = 1};
    int sent = 0;
    while (sent < 100 && sigqueue(getpid(), SIGRTMIN, value) == 0) sent++;
    say("queued %d, then %s", sent, errname(errno));
    TRY(kill(getpid(), SIGRTMIN + 1));
    TRY(kill(getpid(), SIGRTMIN + 1));
    TRY(syscall(SYS_tgkill, getpid(), getpid(), SIGRTMIN + 2));
    TRY(kill(getpid(), SIGUSR1));
    TRY(sigqueue(getpid(), SIGUSR2, value));
    struct timespec none = {0, 0};
    siginfo_t info;
    int got = 0, first = 0;
    while ((first = sigtimedwait(&all, &info, &none)) > 0) {
      got++;
      if (first != SIGRTMIN) say("%s%d", first < SIGRTMIN ? "signal " : "real-time ", first < SIGRTMIN ? first : first - SIGRTMIN);
    }
    INT(got);
    TRY(sigqueue(getpid(), SIGRTMIN, value));
    _exit(0);
  }
  reap("signals", child);
}

static int recurse(int depth) {
  volatile char frame[4096];
  frame[0] = depth;
  return depth == 0 ? 0 : recurse(depth - 1) + frame[0];
}

static void memory(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    limit(RLIMIT_MEMLOCK, 65536, 65536);
    drop();
    char *area = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TRY(mlock(area, 65536));
    TRY(mlock(area, 65536 + 4096));
    TRY(munlock(area, 65536));
    TRY(mlock(area + 65536, 65536));
    TRY(mlockall(MCL_CURRENT));
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_MEMLOCK, &none);
    TRY(mlock(area, 4096));
    _exit(0);
  }
  reap("memlock", child);
  child = NEED(fork());
  if (child == 0) {
    limit(RLIMIT_AS, 64 << 20, RLIM_INFINITY);
    IS(mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    say("%s", errname(errno));
    IS(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    limit(RLIMIT_AS, RLIM_INFINITY, RLIM_INFINITY);
    IS(mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    limit(RLIMIT_DATA, 1 << 20, RLIM_INFINITY);
    IS(mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    IS(mmap(NULL, 4 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    IS(sbrk(4 << 20) == (void *)-1);
    say("%s", errname(errno));
    _exit(0);
  }
  reap("address space", child);
  child = NEED(fork());
  if (child == 0) {
    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_STACK, 256 * 1024, RLIM_INFINITY);
    INT(recurse(30));
    INT(recurse(1000));
    _exit(0);
  }
  int status;
  waitpid(child, &status, 0);
  say("stack: %s, core %d", status_text(status), WCOREDUMP(status) != 0);
}

static void files(void) {
  struct rlimit old;
  getrlimit(RLIMIT_NOFILE, &old);
  int listener = NEED(socket(AF_UNIX, SOCK_STREAM, 0)), spare = 0, pair[2];
  (void)listener;
  while ((spare = dup(0)) < 20) {
  }
  limit(RLIMIT_NOFILE, 20, old.rlim_max);
  for (int fd = 3; fd < 20; fd++)
    if (fcntl(fd, F_GETFD) == -1) dup2(0, fd);
  TRY(open("/", O_RDONLY));
  TRY(dup(0));
  TRY(dup2(0, 20));
  TRY(dup3(0, 20, 0));
  TRY(dup2(0, 20));
  TRY(fcntl(0, F_DUPFD, 20));
  TRY(fcntl(0, F_DUPFD, 5));
  TRY(fcntl(0, F_DUPFD_CLOEXEC, 1000));
  TRY(pipe(pair));
  TRY(socket(AF_UNIX, SOCK_STREAM, 0));
  TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  TRY(epoll_create1(0));
  TRY(eventfd(0, 0));
  TRY(timerfd_create(CLOCK_MONOTONIC, 0));
  sigset_t set;
  sigemptyset(&set);
  TRY(signalfd(-1, &set, 0));
  TRY(inotify_init());
  TRY(memfd_create("x", 0));
  TRY(syscall(SYS_pidfd_open, getpid(), 0));
  TRY(syscall(SYS_openat2, AT_FDCWD, "/", &(uint64_t[3]){O_RDONLY, 0, 0}, 24));
  close(19);
  TRY(pipe(pair));
  TRY(open("/", O_RDONLY));
  limit(RLIMIT_NOFILE, old.rlim_cur, old.rlim_max);
}

static void cpu(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    handle(SIGXCPU, count, 0);
    limit(RLIMIT_CPU, 1, 2);
    int told = 0;
    for (;;)
      if (seen > told) {
        told = seen;
        struct rlimit now;
        getrlimit(RLIMIT_CPU, &now);
        say("SIGXCPU %d: soft %ld hard %ld", told, (long)now.rlim_cur, (long)now.rlim_max);
      }
  }
  reap("hard", child);
  child = NEED(fork());
  if (child == 0) {
    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_CPU, 1, RLIM_INFINITY);
    /* the limit is the process's, and comes with fork: not what was used */
    pid_t other = NEED(fork());
    while (other == 0) {
    }
    reap("grandchild", other);
    _exit(0);
  }
  reap("soft", child);
}

int main(void) {
  scratch();
  sizes();
  processes();
  signals();
  memory();
  files();
  cpu();
  return 0;
}
