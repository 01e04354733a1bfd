/*
 * Guests that want all there is of something: `starve WHAT`. Each ends with "alive": the kernel refused in time, by the
 * errno that Linux uses, and still works. Those that never end are for the suite to end.
 */
#include "hostile.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>

static void fork_bomb(void) {
  int count = 0;
  for (;; count++) {
    pid_t pid = fork();
    if (pid == -1) break;
    if (pid == 0) {
      pause();
      _exit(0);
    }
  }
  say("refused: %s, many: %d", errname(errno), count > 20);
  kill(-1, SIGKILL);
  int reaped = 0;
  while (wait(NULL) > 0) reaped++;
  say("reaped all: %d", reaped == count);
  pid_t again = fork();
  if (again == 0) _exit(7);
  reap("afterwards", again);
}

static void fork_bomb_for_ever(void) {
  for (;;) fork();
}

static void *wait_for_ever(void *argument) {
  (void)argument;
  pause();
  return NULL;
}

static void thread_bomb(void) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 65536);
  int count = 0, error;
  pthread_t thread;
  for (;; count++)
    if ((error = pthread_create(&thread, &attributes, wait_for_ever, NULL)) != 0) break;
  say("refused: %s, many: %d", errname(error), count > 20);
}

static void descriptors(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max = limit.rlim_max < 3000 ? limit.rlim_max : 3000;
  setrlimit(RLIMIT_NOFILE, &limit);
  long count = 0;
  while (open("/etc/passwd", O_RDONLY) >= 0) count++;
  say("files: %s", errname(errno));
  int pair[2];
  TRY(pipe(pair));
  TRY(socket(AF_UNIX, SOCK_STREAM, 0));
  TRY(epoll_create1(0));
  TRY(eventfd(0, 0));
  TRY(memfd_create("x", 0));
  TRY(dup(0));
  TRY(open("/tmp", O_DIRECTORY));
  for (int fd = 3; fd < 4000; fd++) close(fd);
  IS(open("/etc/passwd", O_RDONLY) >= 0);
}

static void many_files(void) {
  /* each a file of its own, written to, so that none is shared and each has memory */
  scratch();
  struct rlimit limit = {8000, 8000};
  setrlimit(RLIMIT_NOFILE, &limit);
  char name[32];
  int count = 0;
  for (; count < 2000; count++) {
    snprintf(name, sizeof name, "f%d", count);
    int fd = open(name, O_CREAT | O_RDWR, 0600);
    if (fd < 0 || write(fd, name, 5) != 5) break;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED) break;
  }
  if (count < 2000) say("stopped: %s", errname(errno));
}

static void descriptor_numbers(void) {
  struct rlimit limit = {1u << 30, 1u << 30};
  int ok = setrlimit(RLIMIT_NOFILE, &limit);
  if (ok == 0) {
    int result = dup2(0, (1 << 30) - 1);
    close(result);
  }
  TRY(dup2(0, 0x7fffffff));
  TRY(fcntl(0, F_DUPFD, 0x7fffffff));
  TRY(close_range(3, ~0u, 0));
}

static void signals(void) {
  sigset_t set;
  sigfillset(&set);
  sigprocmask(SIG_BLOCK, &set, NULL);
  struct rlimit limit = {1000, 1000};
  setrlimit(RLIMIT_SIGPENDING, &limit);
  long sent = 0, refused = 0;
  for (int i = 0; i < 5000; i++)
    if (sigqueue(getpid(), SIGRTMIN + i % 3, (union sigval){.sival_int = i}) == 0) sent++;
    else refused++;
  IS(sent + refused == 5000);
  siginfo_t info;
  struct timespec none = {0, 0};
  long got = 0;
  while (sigtimedwait(&set, &info, &none) > 0) got++;
  IS(got == sent);
}

static void on_signal(int signo) { (void)signo; }

static void alarm_storm(void) {
  handle(SIGALRM, on_signal, SA_RESTART);
  struct itimerval timer = {{0, 1}, {0, 1}};
  NEED(setitimer(ITIMER_REAL, &timer, NULL));
  timer_t more[64];
  for (int i = 0; i < 64; i++) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    if (timer_create(CLOCK_MONOTONIC, &event, &more[i]) == -1) break;
    struct itimerspec often = {{0, 1}, {0, 1}};
    timer_settime(more[i], 0, &often, NULL);
  }
  int64_t end = now_ms() + 1000;
  while (now_ms() < end) getppid();
  struct itimerval off = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &off, NULL);
  for (int i = 0; i < 64; i++) timer_delete(more[i]);
}

static void timers(void) {
  struct rlimit limit = {2000, 2000};
  setrlimit(RLIMIT_SIGPENDING, &limit);
  timer_t timer;
  int count = 0;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  while (count < 5000 && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) {
    struct itimerspec far = {{0, 0}, {1000000, 0}};
    timer_settime(timer, 0, &far, NULL);
    count++;
  }
}

static void memory(void) {
  IS(mmap(NULL, 1ul << 46, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  IS(mmap(NULL, 1ul << 42, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED);
  IS(mmap(NULL, 1ul << 42, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
  IS(mmap(NULL, -4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  /* as many areas as there may be: none of them merges with the next */
  long areas = 0;
  for (; areas < 3000; areas++)
    if (mmap(NULL, 4096, areas % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) break;
  say("areas: %ld", areas);
}

static void arguments(void) {
  size_t size = 200ul << 20;
  char *huge = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(huge, 'x', size - 1);
  char *one[] = {huge, NULL};
  TRY(execv("/bin/true", one));
  enum { MANY = 3000000 };
  char **many = malloc((MANY + 1) * sizeof *many);
  for (int i = 0; i < MANY; i++) many[i] = "x";
  many[MANY] = NULL;
  TRY(execv("/bin/true", many));
  for (int i = 0; i < MANY; i++) many[i] = (char *)1;
  TRY(execv("/bin/true", many));
}

static void vectors(void) {
  int pair[2];
  NEED(pipe(pair));
  fcntl(pair[0], F_SETFL, O_NONBLOCK);
  fcntl(pair[1], F_SETFL, O_NONBLOCK);
  static struct iovec vector[1025];
  static char byte[64];
  for (int i = 0; i < 1025; i++) vector[i] = (struct iovec){byte, 1};
  TRY(writev(pair[1], vector, 1024));
  TRY(writev(pair[1], vector, 1025));
  TRY(readv(pair[0], vector, -1));
  for (int i = 0; i < 1024; i++) vector[i].iov_len = SIZE_MAX / 2;
  TRY(writev(pair[1], vector, 1024));
  for (int i = 0; i < 1024; i++) vector[i].iov_len = 1ul << 40;
  TRY(readv(pair[0], vector, 1024));
  static const long counts[] = {-1, LONG_MIN, LONG_MAX, 1l << 53, 0x7fffffff, 0x80000000, 0xffffffff};
  int zero = open("/dev/zero", O_RDWR), null = open("/dev/null", O_RDWR);
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    TRY(read(null, byte, counts[i]));
    TRY(syscall(SYS_pread64, zero, (void *)1, counts[i], 0));
    TRY(pread(null, byte, 1, counts[i]));
    TRY(syscall(SYS_poll, (void *)byte, counts[i], 0) == -1);
    TRY(epoll_wait(null, (void *)byte, counts[i], 0));
    TRY(syscall(SYS_futex, byte, 1, counts[i], NULL, NULL, 0) >= 0);
    TRY(syscall(SYS_select, (int)counts[i], NULL, NULL, NULL, &(struct timeval){0, 0}));
    TRY(ftruncate(null, counts[i]));
    TRY(getgroups((int)counts[i], (void *)1));
    TRY(syscall(SYS_getcwd, (void *)1, counts[i]));
    TRY(syscall(SYS_getdents64, null, byte, counts[i]));
  }
}

static void tree(void) {
  scratch();
  int depth = 0;
  for (; depth < 3000; depth++) {
    if (mkdir("d", 0700) == -1 || chdir("d") == -1) break;
  }
  say("deep: %d", depth >= 1000);
  static char path[200000];
  TRY(getcwd(path, sizeof path) == NULL);
  char small[16];
  TRY(readlink("/proc/self/cwd", small, sizeof small) == -1);
  FILE *maps = fopen("/proc/self/mountinfo", "r");
  fclose(maps);
  memset(path, 'n', 256);
  path[256] = 0;
  TRY(mkdir(path, 0700));
  path[255] = 0;
  TRY(mkdir(path, 0700));
  memset(path, '/', 4095);
  path[4095] = 0;
  TRY(access(path, F_OK));
  memset(path, '/', 4096);
  path[4096] = 0;
  TRY(access(path, F_OK));
  for (int i = 0; i < 45; i++) {
    char from[16], to[16];
    snprintf(from, sizeof from, "l%d", i);
    snprintf(to, sizeof to, "l%d", i + 1);
    symlink(to, from);
  }
  put("l45", "end");
  TRY(access("l5", F_OK));
  TRY(access("l4", F_OK) == 0);
  scratch_owner = 0; /* it is in memory, and not worth removing */
}

static void wide_directory(void) {
  scratch();
  char name[300];
  int i = 0;
  for (; i < 20000; i++) {
    snprintf(name, sizeof name, "%0200d", i);
    if (symlink("x", name) == -1) break;
  }
  int fd = open(".", O_RDONLY | O_DIRECTORY), total = 0;
  char buffer[65536];
  for (long n; (n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0;)
    for (long at = 0; at < n; total++) at += *(unsigned short *)(buffer + at + 16);
  say("all listed: %d", total == i + 2);
  scratch_owner = 0;
}

static void tmp_full(void) {
  /* memory filesystems have an end */
  scratch();
  static char block[1 << 20];
  int fd = NEED(open("big", O_CREAT | O_RDWR, 0600));
  TRY(ftruncate(fd, 1l << 62) == -1);
  TRY(posix_fallocate(fd, 0, 1l << 50) != 0);
  TRY(pwrite(fd, block, 1, 1l << 50) == -1 || 1);
  TRY(ftruncate(fd, 0));
}

static void loop_for_ever(void) {
  for (;;) __asm__ volatile("");
}

static void loop_and_ignore(void) {
  for (int signo = 1; signo < 65; signo++) signal(signo, SIG_IGN);
  for (;;) __asm__ volatile("");
}

static void block_and_ignore(void) {
  sigset_t set;
  sigfillset(&set);
  sigprocmask(SIG_BLOCK, &set, NULL);
  for (;;) pause();
}

static void output_for_ever(void) {
  static char block[65536];
  for (;;)
    if (write(1, block, sizeof block) == -1 && errno != EAGAIN) exit(3);
}

static void exec_for_ever(void) {
  execl("/proc/self/exe", "starve", "exec_for_ever", NULL);
}

static void *execute(void *argument) {
  (void)argument;
  char *const arguments[] = {"true", NULL};
  execv("/bin/true", arguments);
  return NULL;
}

static void exec_at_once(uint64_t unused) {
  (void)unused;
  pthread_t threads[8];
  for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, execute, NULL);
  pause();
}

static void threads_exec(void) {
  for (int i = 0; i < 20; i++) {
    int status = in_child(exec_at_once, 0);
    if (status != 0) say("%s", status_text(status));
  }
}

static void vfork_killed(void) {
  for (int i = 0; i < 20; i++) {
    pid_t parent = fork();
    if (parent == 0) {
      if (vfork() == 0)
        for (;;) pause();
      _exit(0);
    }
    sleep_ms(5);
    kill(parent, SIGKILL); /* in an uninterruptible wait, yet SIGKILL ends it */
    reap("parent", parent);
  }
  signal(SIGCHLD, SIG_DFL);
  kill(-1, SIGKILL);
}

static void kill_all(void) {
  pid_t group = 0;
  for (int i = 0; i < 30; i++) {
    pid_t pid = fork();
    if (group == 0) group = pid;
    if (pid == 0) {
      setpgid(0, group);
      for (;;) kill(0, i % 2 ? SIGSTOP : SIGCONT);
    }
  }
  sleep_ms(300);
  for (int i = 0; i < 100; i++) kill(-1, SIGKILL);
  int count = 0;
  while (wait(NULL) > 0) count++;
  say("reaped %d", count);
}

static sem_t ready;

static void *block_somehow(void *argument) {
  long how = (long)argument;
  int pair[2], word = 0;
  struct pollfd p;
  struct epoll_event event;
  sigset_t set;
  NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  sem_post(&ready);
  switch (how) {
  case 0: pause(); break;
  case 1: read(pair[0], &word, 1); break;
  case 2: p = (struct pollfd){pair[0], POLLIN, 0}; poll(&p, 1, -1); break;
  case 3: epoll_wait(epoll_create1(0), &event, 1, -1); break;
  case 4: syscall(SYS_futex, &word, 0, 0, NULL, NULL, 0); break;
  case 5: sleep(1000); break;
  case 6: sigemptyset(&set); sigaddset(&set, SIGUSR1); sigwaitinfo(&set, NULL); break;
  case 7: wait(NULL); break;
  case 8: for (;;) write(pair[0], &word, 4); break;
  case 9: recvfrom(pair[0], &word, 4, 0, NULL, NULL); break;
  case 10: select(pair[0] + 1, &(fd_set){{0}}, NULL, NULL, NULL); break;
  case 11: read(timerfd_create(CLOCK_MONOTONIC, 0), &word, 8); break;
  case 12: read(eventfd(0, 0), &word, 8); break;
  case 13: flock(open("/tmp/starve.lock", O_CREAT | O_RDWR, 0600), LOCK_EX); break;
  case 14: if (vfork() == 0) for (;;) pause(); break;
  case 15: for (;;) ; break;
  case 16: sigfillset(&set); sigprocmask(SIG_BLOCK, &set, NULL); for (;;) pause(); break;
  case 17: kill(getpid(), SIGSTOP); break;
  }
  return NULL;
}

static void exit_while_blocked(uint64_t how) {
  if (how == 13) flock(open("/tmp/starve.lock", O_CREAT | O_RDWR, 0600), LOCK_EX);
  pthread_t thread;
  sem_init(&ready, 0, 0);
  pthread_create(&thread, NULL, block_somehow, (void *)how);
  sem_wait(&ready);
  sleep_ms(2);
  _exit(7);
}

static void blocked(void) {
  for (uint64_t how = 0; how < 17; how++) say("%lu: %s", how, status_text(in_child(exit_while_blocked, how)));
}

static char flipped[128] = "/etc/passwd";
static struct iovec flipping[4];
static volatile int stop;

static void *flip(void *argument) {
  (void)argument;
  while (!stop) {
    strcpy(flipped, "/etc/passwd");
    flipping[1] = (struct iovec){flipped, 8};
    memset(flipped, 'x', sizeof flipped);
    flipping[1] = (struct iovec){(void *)1, SIZE_MAX};
  }
  return NULL;
}

static void races(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, flip, NULL);
  int null = open("/dev/null", O_RDWR);
  for (int i = 0; i < 2000; i++) {
    int fd = open(flipped, O_RDONLY);
    if (fd >= 0) close(fd);
    writev(null, flipping, 4);
    readv(null, flipping, 4);
    struct stat st;
    stat(flipped, &st);
    syscall(SYS_clone3, flipped, 88);
    poll((void *)flipping, 4, 0);
    struct msghdr message = {.msg_iov = flipping, .msg_iovlen = 4, .msg_control = flipped, .msg_controllen = 128};
    sendmsg(null, &message, 0);
    symlink(flipped, flipped);
  }
  stop = 1;
  pthread_join(thread, NULL);
}

static void recursion(uint64_t depth) {
  volatile char frame[4096];
  frame[0] = (char)depth;
  recursion(depth + frame[0] + 1);
}

static void bad_stack(uint64_t stack) {
  handle(SIGUSR1, on_signal, 0);
  __asm__ volatile("mov %0, %%rsp\n mov $39, %%eax\n syscall\n mov %%eax, %%edi\n mov $10, %%esi\n mov $62, %%eax\n syscall\n"
                   "mov $60, %%eax\n xor %%edi, %%edi\n syscall"
                   :
                   : "r"(stack)
                   : "memory");
}

static void bad_altstack(uint64_t at) {
  stack_t stack = {.ss_sp = (void *)at, .ss_size = 65536, .ss_flags = 0};
  sigaltstack(&stack, NULL);
  handle(SIGSEGV, on_signal, SA_ONSTACK);
  recursion(0);
}

static void stacks(void) {
  static char own[4096];
  say("overflow: %s", status_text(in_child(recursion, 0)));
  static const uint64_t bad[] = {0, 8, 1, 0x7fffffffe000, 0x7fffffffc000, 0x7ffffffff000, 1ul << 63, ~0ul, 0x800000000000};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) say("stack: %s", status_text(in_child(bad_stack, bad[i])));
  say("unaligned: %s", status_text(in_child(bad_stack, (uint64_t)own + 4091)));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) say("altstack: %s", status_text(in_child(bad_altstack, bad[i])));
}

static void descriptors_in_flight(void) {
  /* sockets that hold each other, which nobody can reach any more */
  for (int i = 0; i < 3000; i++) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1) {
      say("socketpair: %s", errname(errno));
      break;
    }
    char control[CMSG_SPACE(2 * sizeof(int))] = {0}, byte = 0;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(header), pair, sizeof pair);
    if (sendmsg(pair[0], &message, MSG_DONTWAIT) == -1) say("sendmsg: %s", errname(errno));
    close(pair[0]);
    close(pair[1]);
  }
}

static void epoll_nest(void) {
  enum { N = 60 };
  int fds[N];
  for (int i = 0; i < N; i++) {
    fds[i] = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    if (i > 0 && epoll_ctl(fds[i], EPOLL_CTL_ADD, fds[i - 1], &event) == -1) {
      say("nested: %s", errname(errno));
      break;
    }
  }
  struct epoll_event event = {.events = EPOLLIN};
  TRY(epoll_ctl(fds[0], EPOLL_CTL_ADD, fds[0], &event));
  TRY(epoll_ctl(fds[0], EPOLL_CTL_ADD, fds[1], &event));
}

static void locks(void) {
  scratch();
  int fd = NEED(open("f", O_CREAT | O_RDWR, 0600)), i = 0;
  for (; i < 10000; i++) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i * 2, .l_len = 1};
    if (fcntl(fd, F_SETLK, &lock) == -1) break;
  }
  say("locks %d, then %s", i, errname(errno));
}

static void sockets(void) {
  int pair[2];
  NEED(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair));
  static char block[100000];
  long sent = 0;
  for (int i = 0; i < 100000; i++)
    if (send(pair[0], block, 0, 0) == 0) sent++;
    else break;
  say("empty messages refused: %s", sent < 100000 ? errname(errno) : "never");
}

/* IPC objects in one namespace after the other, which their files keep. */
static void ipc(void) {
  struct {
    long type;
    char text[8000];
  } message = {.type = 1};
  int sets = 0, segments = 0, messages = 0;
  for (int i = 0; i < 600; i++) {
    NEED(unshare(CLONE_NEWIPC));
    NEED(open("/proc/self/ns/ipc", O_RDONLY));
    if (semget(IPC_PRIVATE, 32000, 0600) != -1) sets++;
    for (int j = 0; j < 20; j++) {
      if (shmget(IPC_PRIVATE, 4096, 0600) != -1) segments++;
      int queue = msgget(IPC_PRIVATE, 0600);
      while (queue != -1 && msgsnd(queue, &message, sizeof message.text, IPC_NOWAIT) == 0) messages++;
    }
  }
  say("some of each: %d, bounded: %d %d %d", sets > 1 && segments > 1000 && messages > 1000, sets <= 8, segments <= 4096,
      messages * sizeof message.text <= 64 << 20);
}

/* As many filters as there may be, in as many processes as that takes; each call of theirs meets all of its own. */
static void filters(void) {
  static struct sock_filter filter[BPF_MAXINSNS];
  for (int i = 0; i < BPF_MAXINSNS - 1; i++) filter[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16);
  filter[BPF_MAXINSNS - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {BPF_MAXINSNS, filter};
  NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  int *installed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int children = 0, before = -1;
  for (; children < 2000 && *installed != before; children++) {
    int pipes[2];
    before = *installed;
    NEED(pipe(pipes));
    pid_t pid = NEED(fork());
    if (pid == 0) {
      while (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0) ++*installed;
      if (errno != ENOMEM) say("%s", errname(errno));
      for (int i = 0; i < 5; i++) getppid();
      close(pipes[1]);
      pause();
    }
    close(pipes[1]);
    char c;
    if (read(pipes[0], &c, 1) != 0) say("read");
    close(pipes[0]);
  }
  say("many: %d, bounded: %d", *installed > 500, children < 2000);
  kill(-1, SIGKILL);
  while (wait(NULL) > 0) {
  }
  TRY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

/* Processes with many mappings each: more than the sentry's heap holds. */
static void kernel_memory(void) {
  for (long i = 0; i < 10000; i++)
    if (mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) break;
  for (;;) {
    pid_t pid = fork();
    if (pid == 0)
      for (;;) pause();
    if (pid < 0) {
      say("refused: %s", errname(errno));
      pause();
    }
  }
}

static const struct {
  const char *name;
  void (*run)(void);
} TABLE[] = {{"fork_bomb", fork_bomb}, {"fork_bomb_for_ever", fork_bomb_for_ever}, {"thread_bomb", thread_bomb}, {"descriptors", descriptors},
             {"many_files", many_files}, {"descriptor_numbers", descriptor_numbers}, {"signals", signals}, {"alarm_storm", alarm_storm},
             {"timers", timers}, {"memory", memory}, {"arguments", arguments}, {"vectors", vectors}, {"tree", tree},
             {"wide_directory", wide_directory}, {"tmp_full", tmp_full}, {"loop_for_ever", loop_for_ever},
             {"loop_and_ignore", loop_and_ignore}, {"block_and_ignore", block_and_ignore}, {"output_for_ever", output_for_ever},
             {"exec_for_ever", exec_for_ever}, {"threads_exec", threads_exec}, {"vfork_killed", vfork_killed}, {"kill_all", kill_all},
             {"blocked", blocked}, {"races", races}, {"stacks", stacks}, {"descriptors_in_flight", descriptors_in_flight},
             {"epoll_nest", epoll_nest}, {"locks", locks}, {"sockets", sockets}, {"filters", filters},
             {"kernel_memory", kernel_memory}, {"ipc", ipc}};

int main(int argc, char **argv) {
  only_in_the_sandbox();
  for (size_t i = 0; argc > 1 && i < sizeof TABLE / sizeof *TABLE; i++)
    if (strcmp(TABLE[i].name, argv[1]) == 0) {
      TABLE[i].run();
      say("alive");
      return 0;
    }
  say("starve WHAT");
  return 2;
}
