/*
 * Makes and unmakes one of everything, again and again, `cycles COUNT [KIND]`: what is gone must be gone from the sentry's memory. Says
 * the name of each kind when it is done with it, and waits for a byte on standard input before the next.
 */
#include "hostile.h"
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/xattr.h>

static char name[64];
static int number;
static const char *fresh(const char *prefix) {
  snprintf(name, sizeof name, "%s%d", prefix, number++);
  return name;
}

static void on_signal(int signo) { (void)signo; }
static void *nothing(void *argument) { return argument; }

static void pipes(void) {
  int pair[2];
  NEED(pipe(pair));
  write(pair[1], name, 30);
  close(pair[0]);
  close(pair[1]);
}
static void passed(void) {
  int pair[2];
  NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  char control[CMSG_SPACE(2 * sizeof(int))] = {0}, byte = 0;
  struct iovec vector = {&byte, 1};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(header), pair, sizeof pair);
  sendmsg(pair[0], &message, 0); /* they hold each other */
  close(pair[0]);
  close(pair[1]);
}
static void names(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);
  strcpy(address.sun_path + 1, fresh("abstract"));
  bind(fd, (void *)&address, sizeof address);
  listen(fd, 5);
  connect(other, (void *)&address, sizeof address);
  close(other);
  close(fd);
}
static void epolls(void) {
  int fd = epoll_create1(0), other = eventfd(0, 0);
  struct epoll_event event = {EPOLLIN, {0}};
  epoll_ctl(fd, EPOLL_CTL_ADD, other, &event);
  close(fd);
  close(other);
}
static void descriptors(void) {
  struct itimerspec when = {{0, 0}, {1000, 0}};
  sigset_t set;
  sigfillset(&set);
  int timer = timerfd_create(CLOCK_MONOTONIC, 0), signals = signalfd(-1, &set, 0), memory = memfd_create("m", 0);
  timerfd_settime(timer, 0, &when, NULL);
  write(memory, name, 60);
  close(timer);
  close(signals);
  close(memory);
  close((int)syscall(SYS_pidfd_open, getpid(), 0));
  close(open("/proc/self/status", O_RDONLY));
  close(open("/dev/ptmx", O_RDWR | O_NOCTTY));
}
static void watches(void) {
  int fd = inotify_init();
  inotify_rm_watch(fd, inotify_add_watch(fd, ".", IN_ALL_EVENTS));
  inotify_add_watch(fd, ".", IN_ALL_EVENTS);
  close(fd);
}
static void files(void) {
  int fd = NEED(open(fresh("file"), O_CREAT | O_RDWR, 0600));
  write(fd, name, 10);
  fsetxattr(fd, "user.a", name, 10, 0);
  flock(fd, LOCK_EX);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
  fcntl(fd, F_SETLK, &lock);
  link(name, "hard");
  rename(name, "renamed");
  symlink("renamed", "link");
  munmap(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), 4096);
  close(fd);
  unlink("hard");
  unlink("renamed");
  unlink("link");
  mkdir(fresh("dir"), 0700);
  rmdir(name);
}
static void lookups(void) {
  access(fresh("missing"), F_OK);
  char path[100];
  snprintf(path, sizeof path, "/usr/lib/%s", fresh("missing"));
  access(path, F_OK);
  snprintf(path, sizeof path, "/proc/%s", fresh("missing"));
  access(path, F_OK);
  snprintf(path, sizeof path, "/dev/shm/%s", fresh("missing"));
  access(path, F_OK);
}
static void maps(void) { munmap(mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 8192); }
static void timers(void) {
  timer_t timer;
  struct itimerspec when = {{0, 0}, {1000, 0}};
  timer_create(CLOCK_MONOTONIC, NULL, &timer);
  timer_settime(timer, 0, &when, NULL);
  timer_delete(timer);
  raise(SIGUSR1);
  alarm(1000);
  alarm(0);
  nanosleep(&(struct timespec){0, 1000}, NULL);
  syscall(SYS_futex, &number, 0, number, &(struct timespec){0, 1000}, NULL, 0);
}
static void unknown(void) { syscall(100000 + number++); }
static void queues(void) {
  int id = msgget(IPC_PRIVATE, 0600);
  struct {
    long type;
    char text[8];
  } message = {1, "x"};
  msgsnd(id, &message, 8, 0);
  msgctl(id, IPC_RMID, NULL);
  id = semget(IPC_PRIVATE, 2, 0600);
  struct sembuf up = {0, 1, SEM_UNDO};
  semop(id, &up, 1);
  semctl(id, 0, IPC_RMID);
  id = shmget(IPC_PRIVATE, 4096, 0600);
  shmdt(shmat(id, NULL, 0));
  shmctl(id, IPC_RMID, NULL);
  mqd_t queue = mq_open("/cycles", O_CREAT | O_RDWR, 0600, NULL);
  mq_send(queue, "x", 1, 0);
  mq_close(queue);
  mq_unlink("/cycles");
}
static void mounts(void) {
  mkdir("m", 0700);
  mount("t", "m", "tmpfs", 0, NULL);
  int fd = open("m/file", O_CREAT | O_RDWR, 0600);
  static char block[500000];
  write(fd, block, sizeof block);
  close(fd);
  mount("m", "m", NULL, MS_BIND, NULL);
  umount("m");
  umount("m");
  mount("p", "m", "proc", 0, NULL);
  umount("m");
}
static void processes(void) {
  pid_t pid = fork();
  if (pid == 0) {
    unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID);
    setsid();
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    char *argv[] = {"true", NULL};
    pid_t child = vfork();
    if (child == 0) execv("/bin/true", argv);
    waitpid(child, NULL, 0);
    _exit(0);
  }
  kill(pid, SIGCONT);
  while (waitpid(pid, NULL, 0) == pid && ptrace(PTRACE_CONT, pid, 0, 0) == 0) {
  }
}
static void namespaces(void) {
  pid_t pid = fork();
  if (pid == 0) {
    unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP);
    pid_t child = fork();
    if (child == 0) {
      mount("t", "/tmp", "tmpfs", 0, NULL);
      _exit(0);
    }
    waitpid(child, NULL, 0);
    _exit(0);
  }
  waitpid(pid, NULL, 0);
}
static void threads(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, nothing, NULL) == 0) pthread_join(thread, NULL);
}

static const struct {
  const char *name;
  void (*run)(void);
  int share; /* one in so many of the cycles: some are slow */
} TABLE[] = {{"pipes", pipes, 1},       {"passed", passed, 1},   {"names", names, 1},     {"epolls", epolls, 1},       {"descriptors", descriptors, 2},
             {"watches", watches, 1},   {"files", files, 2},     {"lookups", lookups, 1}, {"maps", maps, 2},           {"timers", timers, 2},
             {"unknown", unknown, 1},   {"queues", queues, 2},   {"mounts", mounts, 2},   {"namespaces", namespaces, 4}, {"processes", processes, 20}, {"threads", threads, 4}};

int main(int argc, char **argv) {
  only_in_the_sandbox();
  scratch();
  handle(SIGUSR1, on_signal, 0);
  int count = argc > 1 ? atoi(argv[1]) : 1000;
  char byte;
  for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++)
    for (int half = 0; half < 2 && (argc < 3 || strcmp(argv[2], TABLE[i].name) == 0); half++) { /* what is learnt once stays; what grows does so twice */
      for (int n = 0; n < count / TABLE[i].share; n++) TABLE[i].run();
      say("%s", TABLE[i].name);
      if (read(0, &byte, 1) != 1) return 1;
    }
  return 0;
}
