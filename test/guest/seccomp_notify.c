/* SECCOMP_RET_USER_NOTIF and its listener, seccomp_unotify(2). */
#include "filters.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define NR SYS_getppid
#ifndef SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR
#define SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR SECCOMP_IOR(2, __u64)
#endif

/* A listener of `nr` in a child that then runs `body`; the descriptor reaches the parent by way of `shared`. */
static int pass(int channel, int fd) {
  char control[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec vector = {"x", 1};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return sendmsg(channel, &message, 0);
}
static int take(int channel) {
  char control[CMSG_SPACE(sizeof(int))], c;
  struct iovec vector = {&c, 1};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (NEED(recvmsg(channel, &message, MSG_CMSG_CLOEXEC)) == 0 || CMSG_FIRSTHDR(&message) == NULL) return -1;
  int fd;
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

/* What the target says, told when it has ended: the order of two processes' lines is nobody's. */
static char *told;
__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsprintf(told + strlen(told), format, args);
  va_end(args);
  strcat(told, "; ");
}

static pid_t target;
static int listen_to(int nr, unsigned flags, void (*body)(void)) {
  int channel[2];
  NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
  target = NEED(fork());
  if (target == 0) {
    NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    int fd = NEED(on_call(SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, nr, SECCOMP_RET_USER_NOTIF));
    NEED(pass(channel[1], fd));
    close(fd);
    body();
    _exit(0);
  }
  close(channel[1]);
  int fd = take(channel[0]);
  close(channel[0]);
  return fd;
}

static struct seccomp_notif receive(int fd) {
  struct seccomp_notif notif = {0};
  if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &notif) == -1) say("RECV: %s", errname(errno));
  return notif;
}
static int reply(int fd, __u64 id, __s64 val, int error, unsigned flags) {
  struct seccomp_notif_resp resp = {id, val, error, flags};
  return ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}
static int valid(int fd, __u64 id) {
  return ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
}
static void ready(int fd, int timeout) {
  struct pollfd poller = {fd, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM, 0};
  int n = poll(&poller, 1, timeout);
  say("poll %d %#x", n, n > 0 ? poller.revents : 0);
}
static void done(const char *name) {
  int status = 0;
  NEED(waitpid(target, &status, 0));
  say("%s: %s%s", name, told, status_text(status));
  *told = 0;
}

static void call_once(void) {
  long result = syscall(NR, 11, 12, 13, 14, 15, 16);
  if (result == -1) tell("the call: -1 %s", errname(errno));
  else tell("the call: %ld", result);
}
static void call_raw(void) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(NR) : "rcx", "r11", "memory");
  tell("the call: %ld", result);
}
static void call_twice(void) {
  call_once();
  call_once();
}
static void call_real(void) {
  tell("%s", syscall(NR) == getppid() ? "same" : "different");
}

static void answers(void) {
  int fd = listen_to(NR, 0, call_once);
  ready(fd, 1000);
  struct seccomp_notif n = receive(fd);
  IS(n.pid == (unsigned)target);
  IS(n.id != 0);
  INT(n.flags);
  INT(n.data.nr);
  say("arch %#x", n.data.arch);
  IS(n.data.instruction_pointer != 0);
  for (int i = 0; i < 6; i++) INT(n.data.args[i]);
  ready(fd, 1000);
  TRY(valid(fd, n.id));
  TRY(valid(fd, n.id + 1));
  __u64 id = n.id;
  TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR, &id));
  TRY(reply(fd, n.id + 1, 0, 0, 0));
  TRY(reply(fd, n.id, 0, 0, 2));
  TRY(reply(fd, n.id, 1, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
  TRY(reply(fd, n.id, 0, -1, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
  TRY(reply(fd, n.id, 4711, 0, 0));
  done("value");
  TRY(valid(fd, n.id));
  TRY(reply(fd, n.id, 4711, 0, 0));
  ready(fd, 1000);
  n = receive(fd);
  close(fd);

  fd = listen_to(NR, 0, call_once);
  n = receive(fd);
  TRY(reply(fd, n.id, 4711, -ENOTTY, 0));
  done("error");
  close(fd);

  fd = listen_to(NR, 0, call_real);
  for (int i = 0; i < 2; i++) {
    n = receive(fd);
    TRY(reply(fd, n.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
  }
  done("continue");
  close(fd);

  long values[] = {0x7fffffffffffffff, -1, -4096, -512, -514, 1L << 40};
  for (unsigned i = 0; i < COUNT(values); i++) {
    fd = listen_to(NR, 0, call_raw);
    n = receive(fd);
    TRY(reply(fd, n.id, values[i], 0, 0));
    done("wide value");
    close(fd);
  }
  int errors[] = {5, -4096, -512, INT_MIN, INT_MAX};
  for (unsigned i = 0; i < COUNT(errors); i++) {
    fd = listen_to(NR, 0, call_raw);
    n = receive(fd);
    TRY(reply(fd, n.id, 7, errors[i], 0));
    done("odd error");
    close(fd);
  }
  fd = listen_to(NR, 0, call_twice);
  n = receive(fd);
  reply(fd, n.id, 1, 0, 0);
  struct seccomp_notif second = receive(fd);
  IS(second.id == n.id + 1);
  TRY(reply(fd, n.id, 2, 0, 0));
  TRY(reply(fd, second.id, 2, 0, 0));
  done("twice");
  close(fd);
}

static void requests(void) {
  int fd = listen_to(NR, 0, call_once);
  char link[64], path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(path, link, sizeof link - 1);
  link[length < 0 ? 0 : length] = 0;
  say("%s", link);
  TRY(fcntl(fd, F_GETFL));
  char c;
  TRY(read(fd, &c, 1));
  TRY(write(fd, &c, 1));
  TRY(lseek(fd, 0, SEEK_SET));
  TRY(ioctl(fd, FIONREAD, &c));
  TRY(ioctl(fd, SECCOMP_IO(9), 0));
  TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1));
  TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 0));
  TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 2));
  TRY(ioctl(0, SECCOMP_IOCTL_NOTIF_RECV, 0) == -1 ? -1 : 0);
  struct seccomp_notif n = {.pid = 1};
  TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n));
  TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, 1));
  TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, 1));
  TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, 1));
  /* zero and not writable: what cannot be handed over is not lost */
  void *zero = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ready(fd, 1000);
  TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, zero));
  ready(fd, 0);
  n = receive(fd);
  IS(n.pid == (unsigned)target);
  TRY(reply(fd, n.id, 1, 0, 0));
  done("requests");
  int epoll = NEED(epoll_create1(0));
  struct epoll_event event = {.events = EPOLLIN};
  TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
  TRY(epoll_wait(epoll, &event, 1, 1000));
  say("events %#x", event.events);
  close(epoll);
  close(fd);
}

static void call_and_use(void) {
  int fd = syscall(NR);
  if (fd < 0) {
    tell("the call: %s", errname(errno));
    return;
  }
  char text[64] = "";
  ssize_t n = read(fd, text, sizeof text - 1);
  tell("the call: %d, read %zd %s, cloexec %d", fd, n, text, fcntl(fd, F_GETFD));
}
static int add(int fd, __u64 id, unsigned flags, int source, int wanted, unsigned fd_flags) {
  struct seccomp_notif_addfd addfd = {id, flags, source, wanted, fd_flags};
  return ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd);
}

static void descriptors(void) {
  int pipes[2];
  int fd = listen_to(NR, 0, call_and_use);
  NEED(pipe2(pipes, O_CLOEXEC));
  write(pipes[1], "hello", 5);
  TRY(add(fd, 5, 0, pipes[0], 0, 0));
  struct seccomp_notif n = receive(fd);
  TRY(add(fd, n.id + 1, 0, pipes[0], 0, 0));
  TRY(add(fd, n.id, 4, pipes[0], 0, 0));
  TRY(add(fd, n.id, 0, pipes[0], 7, 0));
  TRY(add(fd, n.id, 0, pipes[0], 0, 1));
  TRY(add(fd, n.id, 0, pipes[0], 0, O_NONBLOCK));
  TRY(add(fd, n.id, 0, 999, 0, 0));
  TRY(add(fd, n.id, 0, -1, 0, 0));
  int path = open("/", O_PATH | O_CLOEXEC);
  TRY(add(fd, n.id, 0, path, 0, 0));
  TRY(add(fd, n.id, SECCOMP_ADDFD_FLAG_SETFD, pipes[0], 1 << 30, 0));
  TRY(add(fd, n.id, SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND, pipes[0], 1 << 30, 0));
  TRY(valid(fd, n.id));
  struct {
    struct seccomp_notif_addfd known;
    long more;
  } large = {{n.id, 0, pipes[0], 0, 0}, 1};
  TRY(ioctl(fd, _IOW('!', 3, char[32]), &large));
  large.more = 0;
  int got = ioctl(fd, _IOW('!', 3, char[32]), &large);
  IS(got > 2);
  TRY(ioctl(fd, _IOW('!', 3, char[16]), &large));
  TRY(ioctl(fd, _IOW('!', 3, char[4096]), &large));
  TRY(ioctl(fd, _IOW('!', 3, char[24]), 1));
  TRY(add(fd, n.id, SECCOMP_ADDFD_FLAG_SETFD, pipes[0], got, O_CLOEXEC) - got);
  TRY(add(fd, n.id, SECCOMP_ADDFD_FLAG_SETFD, pipes[0], 77, O_CLOEXEC));
  TRY(reply(fd, n.id, 77, 0, 0));
  done("set");
  TRY(add(fd, n.id, 0, pipes[0], 0, 0));
  close(fd);

  fd = listen_to(NR, 0, call_and_use);
  write(pipes[1], "again", 5);
  n = receive(fd);
  TRY(add(fd, n.id, SECCOMP_ADDFD_FLAG_SEND | SECCOMP_ADDFD_FLAG_SETFD, pipes[0], 33, 0));
  TRY(add(fd, n.id, 0, pipes[0], 0, 0) == -1 ? -1 : 0);
  done("set and send");
  close(fd);

  fd = listen_to(NR, 0, call_and_use);
  write(pipes[1], "third", 5);
  n = receive(fd);
  IS(add(fd, n.id, SECCOMP_ADDFD_FLAG_SEND, pipes[0], 0, O_CLOEXEC) > 2);
  done("send");
  close(fd);
  close(pipes[0]);
  close(pipes[1]);
}

static void call_with_few(void) {
  struct rlimit few = {3, 3};
  setrlimit(RLIMIT_NOFILE, &few);
  close(2);
  call_once();
  dup2(1, 2);
  call_once();
}
static void limits(void) {
  int fd = listen_to(NR, 0, call_with_few);
  struct seccomp_notif n = receive(fd);
  TRY(add(fd, n.id, 0, 1, 0, 0));
  TRY(add(fd, n.id, 0, 1, 0, 0) >= 0);
  TRY(add(fd, n.id, SECCOMP_ADDFD_FLAG_SETFD, 1, 3, 0));
  TRY(add(fd, n.id, SECCOMP_ADDFD_FLAG_SEND, 1, 0, 0) >= 0);
  TRY(reply(fd, n.id, 1, 0, 0) == 0 || errno == EINPROGRESS || errno == ENOENT);
  n = receive(fd);
  TRY(reply(fd, n.id, 2, 0, 0));
  done("limits");
  close(fd);
}

static void deaths(void) {
  int fd = listen_to(NR, 0, call_twice);
  ready(fd, 1000);
  close(fd);
  done("listener closed before it received");

  fd = listen_to(NR, 0, call_twice);
  receive(fd);
  close(fd);
  done("listener closed after it received");

  fd = listen_to(NR, 0, call_once);
  struct seccomp_notif n = receive(fd);
  kill(target, SIGKILL);
  done("killed");
  TRY(valid(fd, n.id));
  TRY(reply(fd, n.id, 0, 0, 0));
  ready(fd, 1000);
  close(fd);

  fd = listen_to(NR, 0, call_once);
  ready(fd, 1000);
  kill(target, SIGKILL);
  done("killed before it was received");
  ready(fd, 1000);
  n = receive(fd);
  n = receive(fd);
  close(fd);
}

static void on_usr1(int signo) {
  (void)signo;
  strcat(told, "handler; ");
}
static void call_interrupted(void) {
  handle(SIGUSR1, on_usr1, 0);
  call_once();
}
static void call_restarted(void) {
  handle(SIGUSR1, on_usr1, SA_RESTART);
  call_once();
}
static void signals(void) {
  int fd = listen_to(NR, 0, call_interrupted);
  struct seccomp_notif n = receive(fd);
  kill(target, SIGUSR1);
  done("interrupted");
  TRY(reply(fd, n.id, 0, 0, 0));
  close(fd);

  fd = listen_to(NR, 0, call_restarted);
  n = receive(fd);
  kill(target, SIGUSR1);
  struct seccomp_notif again = receive(fd);
  IS(again.id == n.id + 1);
  TRY(reply(fd, n.id, 0, 0, 0));
  TRY(reply(fd, again.id, 5, 0, 0));
  done("restarted");
  close(fd);

  fd = listen_to(NR, 0, call_interrupted);
  ready(fd, 1000);
  kill(target, SIGUSR1);
  done("interrupted before it was received");
  ready(fd, 1000);
  n = receive(fd);
  n = receive(fd);
  close(fd);

  fd = listen_to(NR, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, call_interrupted);
  n = receive(fd);
  kill(target, SIGUSR1);
  sleep_ms(100);
  TRY(valid(fd, n.id));
  TRY(reply(fd, n.id, 6, 0, 0));
  done("not interrupted once received");
  close(fd);

  fd = listen_to(NR, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, call_interrupted);
  ready(fd, 1000);
  kill(target, SIGUSR1);
  done("interrupted as nobody received it");
  close(fd);

  fd = listen_to(NR, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, call_once);
  n = receive(fd);
  kill(target, SIGKILL);
  done("killed in spite of that");
  TRY(reply(fd, n.id, 6, 0, 0));
  close(fd);

  fd = listen_to(NR, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, call_once);
  n = receive(fd);
  kill(target, SIGTERM);
  done("a fatal signal is as good");
  close(fd);

  fd = listen_to(NR, 0, call_once);
  n = receive(fd);
  kill(target, SIGSTOP);
  int status;
  waitpid(target, &status, WUNTRACED);
  say("%s", status_text(status));
  kill(target, SIGCONT);
  again = receive(fd);
  TRY(reply(fd, again.id, 8, 0, 0));
  done("stopped and continued");
  close(fd);

  /* the receiver is interrupted */
  fd = listen_to(NR, 0, (void (*)(void))pause);
  handle(SIGALRM, on_usr1, 0);
  alarm(1);
  n = receive(fd);
  INT(n.id);
  kill(target, SIGKILL);
  done("receiver interrupted");
  close(fd);
}

static void *wait_and_answer(void *listener) {
  struct seccomp_notif n = receive(*(int *)listener);
  return (void *)(long)reply(*(int *)listener, n.id, 99, 0, 0);
}

/* A thread that listens to its own process; nesting. */
static void inside(void) {
  CHILD("own listener", int fd = on_call(SECCOMP_FILTER_FLAG_NEW_LISTENER, NR, SECCOMP_RET_USER_NOTIF); IS(fd >= 0);
        INT(fcntl(fd, F_GETFD)); pthread_t thread; pthread_create(&thread, NULL, wait_and_answer, &fd);
        INT(syscall(NR)); void *sent; pthread_join(thread, &sent); INT(sent);
        TRY(on_call(SECCOMP_FILTER_FLAG_NEW_LISTENER, NR, SECCOMP_RET_USER_NOTIF));
        TRY(on_call(0, NR, SECCOMP_RET_USER_NOTIF)); TRY(syscall(NR)); close(fd);
        TRY(on_call(SECCOMP_FILTER_FLAG_NEW_LISTENER, NR, SECCOMP_RET_USER_NOTIF) >= 0));
  CHILD("no descriptor left", struct rlimit few = {3, 3}; setrlimit(RLIMIT_NOFILE, &few);
        TRY(on_call(SECCOMP_FILTER_FLAG_NEW_LISTENER, NR, SECCOMP_RET_USER_NOTIF)); TRY(prctl(PR_GET_SECCOMP)));
  CHILD("closed at once", close(NEED(on_call(SECCOMP_FILTER_FLAG_NEW_LISTENER, NR, SECCOMP_RET_USER_NOTIF)));
        TRY(syscall(NR)); status_line("/proc/self/status", "Seccomp"));
  CHILD("the child shares the listener", int fd = on_call(SECCOMP_FILTER_FLAG_NEW_LISTENER, NR, SECCOMP_RET_USER_NOTIF);
        pid_t child = fork(); if (child == 0) _exit(syscall(NR)); struct seccomp_notif n = receive(fd);
        IS(n.pid == (unsigned)child); reply(fd, n.id, 21, 0, 0); reap("its child", child); ready(fd, 0));
}

/* A file opened on somebody else's behalf: what the call is for. */
static void open_file(void) {
  int fd = open("/no/such/file", O_RDONLY);
  char text[32] = "";
  ssize_t n = read(fd, text, 31);
  tell("read %zd %s", n, text);
}
static void emulation(void) {
  int fd = listen_to(SYS_openat, 0, open_file);
  struct seccomp_notif n = receive(fd);
  char path[64], mem[64];
  snprintf(mem, sizeof mem, "/proc/%d/mem", n.pid);
  int memory = NEED(open(mem, O_RDONLY | O_CLOEXEC));
  TRY(valid(fd, n.id));
  pread(memory, path, sizeof path, n.data.args[1]);
  say("%s", path);
  int pipes[2];
  NEED(pipe(pipes));
  write(pipes[1], "emulated", 8);
  IS(add(fd, n.id, SECCOMP_ADDFD_FLAG_SEND, pipes[0], 0, 0) > 0);
  done("open");
  close(fd);
}

int main(void) {
  told = NEED(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  answers();
  requests();
  descriptors();
  limits();
  deaths();
  signals();
  inside();
  emulation();
  return 0;
}
