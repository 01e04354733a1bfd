/* UTS, IPC and network namespaces: clone(2), unshare(2), setns(2), /proc/[pid]/ns, ioctl_nsfs(2). */
#include "guest.h"
#include <linux/nsfs.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>

/* Becomes root of a user namespace where the program isn't root already. */
static void privileged(void) {
  if (geteuid() != 0) NEED(unshare(CLONE_NEWUSER));
}

static const char *link_text(const char *name) {
  static char text[4][128];
  static int next;
  char *to = text[next++ & 3];
  char path[64];
  snprintf(path, sizeof path, "/proc/self/ns/%s", name);
  ssize_t n = readlink(path, to, 127);
  if (n < 0) return errname(errno);
  to[n] = 0;
  return to;
}

/* "uts:[N]" */
static const char *shape(const char *text) {
  static char out[128];
  size_t o = 0;
  for (const char *c = text; *c && o < 120; c++) {
    if (*c >= '0' && *c <= '9') {
      if (o == 0 || out[o - 1] != 'N') out[o++] = 'N';
    } else out[o++] = *c;
  }
  out[o] = 0;
  return out;
}

static void names(const char *when) {
  struct utsname uts;
  NEED(uname(&uts));
  say("%s: %s %s", when, uts.nodename, uts.domainname);
}

static int open_ns(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/ns/%s", name);
  return NEED(open(path, O_RDONLY | O_CLOEXEC));
}

static void links(void) {
  static const char *kinds[] = {"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children",
                                "user", "uts"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const char *text = link_text(kinds[i]);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
    struct stat st;
    NEED(stat(path, &st));
    const char *number = strchr(text, '[');
    say("%s -> %s mode %o links %ld inode %s", kinds[i], shape(text), st.st_mode, (long)st.st_nlink,
        number && strtoul(number + 1, NULL, 10) == st.st_ino ? "same" : "other");
    int fd = open_ns(kinds[i]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    char shown[128];
    ssize_t n = NEED(readlink(path, shown, sizeof shown - 1));
    shown[n] = 0;
    IS(strcmp(shown, text) == 0);
    INT(ioctl(fd, NS_GET_NSTYPE));
    char c;
    TRY(read(fd, &c, 1));
    TRY(lseek(fd, 0, SEEK_SET));
    TRY(ioctl(fd, NS_GET_PARENT) >= 0);
    uid_t uid = 7;
    TRY(ioctl(fd, NS_GET_OWNER_UID, &uid));
    close(fd);
  }
}

static void uts(void) {
  char before[128];
  strcpy(before, link_text("uts"));
  int old = open_ns("uts");
  NEED(unshare(CLONE_NEWUTS));
  IS(strcmp(before, link_text("uts")) != 0);
  TRY(sethostname("first", 5));
  TRY(setdomainname("domain", 6));
  names("unshared");
  pid_t child = NEED(fork());
  if (child == 0) {
    names("child");
    NEED(unshare(CLONE_NEWUTS));
    names("child's own, copied");
    TRY(sethostname("child", 5));
    names("child's own");
    say("proc: %s", get("/proc/sys/kernel/hostname"));
    _exit(0);
  }
  reap("child", child);
  names("parent");
  say("proc: %s", get("/proc/sys/kernel/hostname"));
  int mine = open_ns("uts");
  if (geteuid() == 0 && old >= 0) {
    TRY(setns(old, CLONE_NEWIPC));
    TRY(setns(mine, 12345));
    TRY(setns(old, CLONE_NEWUTS));
    IS(strcmp(before, link_text("uts")) == 0);
  }
  TRY(setns(mine, 0));
  names("back");
  TRY(setns(-1, 0));
  TRY(setns(0, 0));
  TRY(setns(0, CLONE_NEWUTS));
}

static void ipc(void) {
  NEED(unshare(CLONE_NEWIPC));
  key_t key = 0x5eed;
  int outer = NEED(semget(key, 2, IPC_CREAT | 0600));
  int segment = NEED(shmget(key, 4096, IPC_CREAT | 0600));
  char *memory = shmat(segment, NULL, 0);
  strcpy(memory, "outer");
  int previous = open_ns("ipc");
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(unshare(CLONE_NEWIPC));
    TRY(semget(key, 2, 0));
    TRY(shmget(key, 4096, 0));
    TRY(semctl(outer, 0, GETVAL));
    say("still mapped: %s", memory);
    int inner = NEED(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600));
    INT(inner);
    char *second = shmat(inner, NULL, 0);
    say("new: %s", second);
    TRY(shmdt(memory));
    struct shmid_ds status;
    NEED(shmctl(inner, IPC_STAT, &status));
    INT(status.shm_nattch);
    TRY(setns(previous, CLONE_NEWIPC));
    IS(semget(key, 2, 0) == outer);
    NEED(shmctl(segment, IPC_STAT, &status));
    INT(status.shm_nattch);
    IS(status.shm_lpid == getpid());
    _exit(0);
  }
  reap("ipc child", child);
  /* SEM_UNDO ends where the namespace is left */
  struct sembuf up = {0, 1, SEM_UNDO};
  child = NEED(fork());
  if (child == 0) {
    NEED(semop(outer, &up, 1));
    INT(semctl(outer, 0, GETVAL));
    NEED(unshare(CLONE_NEWIPC));
    NEED(setns(previous, CLONE_NEWIPC));
    INT(semctl(outer, 0, GETVAL));
    NEED(semop(outer, &up, 1));
    NEED(unshare(CLONE_SYSVSEM));
    INT(semctl(outer, 0, GETVAL));
    _exit(0);
  }
  reap("undo child", child);
  TRY(shmctl(segment, IPC_RMID, NULL));
  TRY(semctl(outer, 0, IPC_RMID));
}

static void net(void) {
  NEED(unshare(CLONE_NEWNET));
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  memcpy(name.sun_path, "\0ns_uts", 7);
  socklen_t length = offsetof(struct sockaddr_un, sun_path) + 7;
  int listener = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
  TRY(bind(listener, (struct sockaddr *)&name, length));
  TRY(listen(listener, 3));
  int before = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(unshare(CLONE_NEWNET));
    int after = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
    TRY(connect(after, (struct sockaddr *)&name, length));
    TRY(connect(before, (struct sockaddr *)&name, length));
    TRY(bind(after, (struct sockaddr *)&name, length));
    IS(strstr(get("/proc/self/net/unix"), "@ns_uts") != NULL);
    _exit(0);
  }
  reap("net child", child);
  IS(strstr(get("/proc/self/net/unix"), "@ns_uts") != NULL);
}

static int nothing(void *arg) {
  (void)arg;
  names("cloned");
  return sethostname("cloned", 6) == 0 ? 5 : errno;
}

static char stack[65536] __attribute__((aligned(16)));

static void clones(void) {
  pid_t child = clone(nothing, stack + sizeof stack, CLONE_NEWUTS | CLONE_NEWIPC | SIGCHLD, NULL);
  reap("clone", child);
  names("after clone");
  /* its memory is ours, its names are not */
  child = clone(nothing, stack + sizeof stack, CLONE_NEWUTS | CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
  reap("clone vm", child);
  names("after clone vm");
  TRY(clone(nothing, stack + sizeof stack, CLONE_NEWIPC | CLONE_SYSVSEM | SIGCHLD, NULL));
  TRY(clone(nothing, stack + sizeof stack, CLONE_NEWUSER | CLONE_FS | SIGCHLD, NULL));
  TRY(clone(nothing, stack + sizeof stack, CLONE_NEWNS | CLONE_FS | SIGCHLD, NULL));
  TRY(clone(nothing, stack + sizeof stack, CLONE_NEWPID | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, NULL));
  TRY(clone(nothing, stack + sizeof stack, CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, NULL));
}

static void flags(void) {
  TRY(unshare(0));
  TRY(unshare(CLONE_FS | CLONE_FILES));
  TRY(unshare(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM));
  TRY(unshare(CLONE_VFORK));
  TRY(unshare(CLONE_PARENT));
  TRY(unshare(CLONE_SETTLS | CLONE_NEWUTS));
  TRY(unshare(1));
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(setresuid(1000, 1000, 1000));
    TRY(unshare(CLONE_NEWUTS));
    TRY(unshare(CLONE_NEWIPC));
    TRY(unshare(CLONE_NEWNET));
    TRY(unshare(CLONE_NEWPID));
    TRY(unshare(CLONE_NEWNS));
    TRY(unshare(CLONE_NEWCGROUP));
    TRY(unshare(CLONE_NEWTIME));
    TRY(unshare(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM));
    TRY(sethostname("x", 1));
    int fd = open("/proc/self/ns/uts", O_RDONLY);
    TRY(setns(fd, CLONE_NEWUTS));
    fd = open("/proc/self/ns/ipc", O_RDONLY);
    TRY(setns(fd, CLONE_NEWIPC));
    TRY(clone(nothing, stack + sizeof stack, CLONE_NEWUTS | SIGCHLD, NULL));
    _exit(0);
  }
  reap("unprivileged", child);
}

static void pidfd(void) {
  int ready[2], go[2];
  NEED(pipe(ready));
  NEED(pipe(go));
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(unshare(CLONE_NEWUTS));
    NEED(sethostname("target", 6));
    (void)!write(ready[1], "x", 1);
    char c;
    (void)!read(go[0], &c, 1);
    _exit(0);
  }
  char c;
  (void)!read(ready[0], &c, 1);
  int fd = NEED(syscall(SYS_pidfd_open, child, 0));
  TRY(setns(fd, 0));
  TRY(setns(fd, CLONE_VM));
  TRY(setns(fd, CLONE_NEWUTS | CLONE_VM));
  names("before setns of pidfd");
  TRY(setns(fd, CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET));
  names("after setns of pidfd");
  (void)!write(go[1], "x", 1);
  siginfo_t info;
  NEED(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
  TRY(setns(fd, CLONE_NEWUTS));
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/uts", child);
  char target[64];
  TRY(readlink(path, target, sizeof target));
  reap("target", child);
  TRY(setns(fd, CLONE_NEWUTS));
}

int main(void) {
  privileged();
  links();
  uts();
  ipc();
  net();
  clones();
  flags();
  pidfd();
  return 0;
}
