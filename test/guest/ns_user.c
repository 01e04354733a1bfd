/* User namespaces: id maps, translation of ids, capabilities, user_namespaces(7). */
#include "guest.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/utsname.h>

static int ready[2], go[2];

static void signal_peer(int *pipe) { (void)!write(pipe[1], "x", 1); }
static void await_peer(int *pipe) {
  char c;
  (void)!read(pipe[0], &c, 1);
}

static int put_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd == -1) return -errno;
  ssize_t n = write(fd, text, strlen(text));
  int error = n < 0 ? errno : 0;
  close(fd);
  return -error;
}

static void map_of(const char *kind, pid_t pid, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, kind);
  char shown[64];
  size_t o = 0;
  for (const char *c = text; *c && o < 60; c++) {
    if (*c == '\n') shown[o++] = '\\', shown[o++] = 'n';
    else shown[o++] = *c;
  }
  shown[o] = 0;
  say("%s <- \"%s\": %s", kind, shown, errname(-put_file(path, text)));
}

static void ids(const char *when) {
  uid_t r, e, s;
  gid_t rg, eg, sg;
  NEED(getresuid(&r, &e, &s));
  NEED(getresgid(&rg, &eg, &sg));
  say("%s: uid %u %u %u gid %u %u %u get %u %u %u %u", when, r, e, s, rg, eg, sg, getuid(), geteuid(), getgid(), getegid());
}

static void capabilities(const char *when) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  NEED(syscall(SYS_capget, &header, data));
  bool all = prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 1;
  say("%s: effective %s permitted %s inheritable %s bounding %s", when, data[0].effective == ~0u ? "all" : data[0].effective ? "some" : "none",
      data[0].permitted == ~0u ? "all" : data[0].permitted ? "some" : "none", data[0].inheritable ? "some" : "none", all ? "all" : "some");
}

static void status_lines(const char *path) {
  char *content = strdup(get(path));
  for (char *line = strtok(content, "\n"); line; line = strtok(NULL, "\n")) {
    if (!strncmp(line, "Uid:", 4) || !strncmp(line, "Gid:", 4)) say("%s", line);
  }
  free(content);
}

static void owner(const char *path) {
  struct stat st;
  if (stat(path, &st) == -1) say("%s: %s", path, errname(errno));
  else say("%s: owner %u %u", path, st.st_uid, st.st_gid);
}

/* As an unprivileged user: the maps that one's own ids allow. */
static void unprivileged(void) {
  put("mine", "x");
  put("roots", "x");
  NEED(chown("mine", 1000, 1000));
  NEED(chmod(".", 0777));
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(setgroups(0, NULL));
    NEED(setresgid(1000, 1000, 1000));
    NEED(setresuid(1000, 1000, 1000));
    NEED(prctl(PR_SET_DUMPABLE, 1));
    NEED(unshare(CLONE_NEWUSER));
    ids("no maps");
    capabilities("no maps");
    say("setgroups: %s", get("/proc/self/setgroups"));
    say("uid_map: \"%s\"", get("/proc/self/uid_map"));
    owner("mine");
    owner("roots");
    owner("/");
    TRY(setuid(0));
    TRY(setuid(1000));
    TRY(setgid(0));
    TRY(setgroups(0, NULL));
    TRY(chown("mine", 0, 0));
    TRY(chown("mine", -1, -1));
    TRY(setfsuid(5));
    pid_t me = getpid();
    map_of("uid_map", me, "0 1000 2\n");
    map_of("uid_map", me, "0 0 1\n");
    map_of("uid_map", me, "0 1001 1\n");
    map_of("uid_map", me, "bad\n");
    map_of("uid_map", me, "");
    map_of("uid_map", me, "0 1000\n");
    map_of("uid_map", me, "0 1000 0\n");
    map_of("uid_map", me, "0 1000 1\n");
    map_of("uid_map", me, "0 1000 1\n");
    map_of("gid_map", me, "0 1000 1\n");
    map_of("setgroups", me, "maybe");
    map_of("setgroups", me, "allow");
    map_of("setgroups", me, "deny\n");
    map_of("setgroups", me, "allow");
    say("setgroups: %s", get("/proc/self/setgroups"));
    map_of("gid_map", me, "0 1000 1\n");
    map_of("setgroups", me, "deny");
    map_of("projid_map", me, "0 0 10\n");
    ids("mapped");
    capabilities("mapped");
    say("uid_map: %s", get("/proc/self/uid_map"));
    say("gid_map: %s", get("/proc/self/gid_map"));
    say("projid_map: %s", get("/proc/self/projid_map"));
    status_lines("/proc/self/status");
    owner("mine");
    owner("roots");
    owner("/proc/self");
    TRY(setgroups(0, NULL));
    gid_t group = 0;
    TRY(setgroups(1, &group));
    TRY(getgroups(0, NULL));
    TRY(setuid(1));
    TRY(setuid(0));
    TRY(chown("mine", 0, 0));
    TRY(chown("mine", 1, 0));
    TRY(chown("roots", 0, 0));
    TRY(chmod("roots", 0777));
    TRY(open("roots", O_WRONLY));
    TRY(open("new", O_WRONLY | O_CREAT, 0644) >= 0);
    owner("new");
    TRY(mknod("device", S_IFCHR | 0600, 0x103));
    TRY(mknod("fifo", S_IFIFO | 0600, 0));
    TRY(chroot("."));
    TRY(chroot("/"));
    TRY(sethostname("x", 1));
    TRY(setpriority(PRIO_PROCESS, 0, -5));
    struct rlimit limit = {~0ul, ~0ul};
    TRY(syscall(SYS_setrlimit, 7, &limit));
    TRY(kill(getppid(), 0));
    /* what is made now belongs to the new namespace */
    NEED(unshare(CLONE_NEWUTS | CLONE_NEWIPC));
    TRY(sethostname("x", 1));
    int set = NEED(semget(1, 1, IPC_CREAT | 0600));
    struct semid_ds status;
    union {
      int val;
      struct semid_ds *buf;
    } arg = {.buf = &status};
    NEED(semctl(set, 0, IPC_STAT, arg));
    say("semaphores: %u %u %u", status.sem_perm.uid, status.sem_perm.gid, status.sem_perm.cuid);
    status.sem_perm.uid = 77;
    TRY(semctl(set, 0, IPC_SET, arg));
    _exit(0);
  }
  reap("unprivileged", child);
  owner("new");
  owner("mine");
}

/* Root maps ranges for a child in a namespace of its own. */
static void mapped_by_root(void) {
  NEED(pipe(ready));
  NEED(pipe(go));
  pid_t child = NEED(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
  if (child == 0) {
    ids("child before");
    signal_peer(ready);
    await_peer(go);
    ids("child after");
    say("uid_map inside: %s", get("/proc/self/uid_map"));
    TRY(setresgid(5, 5, 5));
    gid_t groups[3] = {3, 1, 2};
    TRY(setgroups(3, groups));
    TRY(getgroups(3, groups));
    say("groups: %u %u %u", groups[0], groups[1], groups[2]);
    groups[0] = 50000;
    TRY(setgroups(1, groups));
    TRY(setresuid(7, 7, 7));
    ids("child changed");
    capabilities("child changed");
    TRY(setresuid(0, 0, 0));
    put("made", "x");
    owner("made");
    signal_peer(ready);
    await_peer(go);
    _exit(0);
  }
  await_peer(ready);
  map_of("uid_map", child, "0 100000 10\n10 200000 5\n20 200003 2\n");
  map_of("uid_map", child, "0 100000 10\n5 200000 10\n");
  map_of("uid_map", child, "0 4294967295 1\n");
  map_of("uid_map", child, "0 4294967290 10\n");
  map_of("uid_map", child, "0 100000 10\n10 200000 5\n");
  map_of("gid_map", child, " 0\t300000  1000\n");
  signal_peer(go);
  await_peer(ready);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/uid_map", child);
  say("uid_map outside: %s", get(path));
  snprintf(path, sizeof path, "/proc/%d/status", child);
  status_lines(path);
  owner("made");
  siginfo_t info;
  signal_peer(go);
  NEED(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
  say("waitid: uid %u", info.si_uid);
  reap("mapped by root", child);
}

/* Nested namespaces, and what a parent may do in a child's. */
static void nested(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(unshare(CLONE_NEWUSER));
    map_of("uid_map", getpid(), "0 0 1\n");
    map_of("gid_map", getpid(), "0 0 1\n");
    map_of("setgroups", getpid(), "deny");
    map_of("gid_map", getpid(), "0 0 1\n");
    capabilities("first level");
    pid_t grandchild = NEED(fork());
    if (grandchild == 0) {
      NEED(unshare(CLONE_NEWUSER));
      map_of("uid_map", getpid(), "5 0 1\n");
      map_of("setgroups", getpid(), "allow");
      say("second level uid_map: %s", get("/proc/self/uid_map"));
      ids("second level");
      capabilities("second level");
      int fd = NEED(open("/proc/self/ns/user", O_RDONLY));
      uid_t uid = 99;
      TRY(ioctl(fd, NS_GET_OWNER_UID, &uid));
      INT(uid);
      TRY(ioctl(fd, NS_GET_PARENT));
      TRY(ioctl(fd, NS_GET_USERNS));
      TRY(setns(fd, CLONE_NEWUSER));
      TRY(sethostname("x", 1));
      signal_peer(ready);
      await_peer(go);
      _exit(0);
    }
    await_peer(ready);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/uid_map", grandchild);
    say("second level seen from the first: %s", get(path));
    snprintf(path, sizeof path, "/proc/%d/ns/user", grandchild);
    int fd = NEED(open(path, O_RDONLY));
    uid_t uid = 99;
    TRY(ioctl(fd, NS_GET_OWNER_UID, &uid));
    INT(uid);
    int parent = ioctl(fd, NS_GET_PARENT);
    struct stat mine, theirs;
    NEED(fstat(parent, &theirs));
    NEED(stat("/proc/self/ns/user", &mine));
    IS(mine.st_ino == theirs.st_ino);
    TRY(setns(fd, CLONE_NEWUSER));
    capabilities("entered");
    ids("entered");
    TRY(setns(parent, CLONE_NEWUSER));
    signal_peer(go);
    reap("grandchild", grandchild);
    _exit(0);
  }
  reap("nested", child);
}

static int count;

/* More levels than there may be. */
static void deep(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    for (count = 0; count < 40; count++) {
      if (unshare(CLONE_NEWUSER) == -1) break;
      put_file("/proc/self/uid_map", "0 0 1");
      put_file("/proc/self/setgroups", "deny");
      put_file("/proc/self/gid_map", "0 0 1");
    }
    say("levels: %d then %s", count, errname(errno));
    _exit(0);
  }
  reap("deep", child);
}

/* Credentials over a socket, and the uid in a signal. */
static uid_t signal_uid;
static void note(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)context;
  signal_uid = info->si_uid;
}

static void travel(void) {
  int pair[2];
  NEED(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
  int on = 1;
  NEED(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
  NEED(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
  struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
  NEED(sigaction(SIGUSR1, &action, NULL));
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  NEED(sigprocmask(SIG_BLOCK, &blocked, NULL));
  pid_t parent = getpid();
  pid_t child = NEED(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
  char space[256], byte;
  struct iovec vector = {&byte, 1};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  if (child == 0) {
    await_peer(go);
    NEED(recvmsg(pair[1], &message, 0));
    struct ucred *sender = (struct ucred *)CMSG_DATA(CMSG_FIRSTHDR(&message));
    say("received inside: uid %u gid %u", sender->uid, sender->gid);
    struct ucred peer;
    socklen_t length = sizeof peer;
    NEED(getsockopt(pair[1], SOL_SOCKET, SO_PEERCRED, &peer, &length));
    say("peer inside: uid %u gid %u", peer.uid, peer.gid);
    NEED(setresgid(4, 4, 4));
    NEED(setresuid(3, 3, 3));
    NEED(send(pair[1], "x", 1, 0));
    /* claims */
    message.msg_controllen = CMSG_SPACE(sizeof(struct ucred));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(struct ucred)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS};
    struct ucred *claim = (struct ucred *)CMSG_DATA(header);
    *claim = (struct ucred){getpid(), 3, 4};
    TRY(sendmsg(pair[1], &message, 0));
    *claim = (struct ucred){getpid(), 0, 0};
    TRY(sendmsg(pair[1], &message, 0));
    *claim = (struct ucred){getpid(), 60000, 4};
    TRY(sendmsg(pair[1], &message, 0));
    TRY(kill(parent, SIGUSR1));
    siginfo_t info;
    struct timespec second = {5, 0};
    TRY(sigtimedwait(&blocked, &info, &second));
    say("signal inside from uid %u", info.si_uid);
    _exit(0);
  }
  map_of("uid_map", child, "0 100000 10\n");
  map_of("gid_map", child, "0 200000 10\n");
  NEED(send(pair[0], "x", 1, 0));
  signal_peer(go);
  struct ucred senders[2];
  for (int i = 0; i < 2; i++) {
    message.msg_controllen = sizeof space;
    NEED(recvmsg(pair[0], &message, 0));
    memcpy(&senders[i], CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof *senders);
  }
  NEED(kill(child, SIGUSR1));
  reap("traveller", child);
  for (int i = 0; i < 2; i++) say("received outside: uid %u gid %u", senders[i].uid, senders[i].gid);
  siginfo_t info;
  struct timespec none = {0, 0};
  TRY(sigtimedwait(&blocked, &info, &none));
  NEED(sigprocmask(SIG_UNBLOCK, &blocked, NULL));
}

/* execve(2): root in the namespace keeps everything, another loses it. */
static void execution(char *self) {
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(unshare(CLONE_NEWUSER));
    char *argv[] = {self, (char *)"unmapped", NULL};
    execv(self, argv);
    _exit(1);
  }
  reap("exec unmapped", child);
  child = NEED(fork());
  if (child == 0) {
    NEED(unshare(CLONE_NEWUSER));
    put_file("/proc/self/uid_map", "0 0 1");
    char *argv[] = {self, (char *)"root", NULL};
    execv(self, argv);
    _exit(1);
  }
  reap("exec root", child);
  child = NEED(fork());
  if (child == 0) {
    NEED(unshare(CLONE_NEWUSER));
    put_file("/proc/self/uid_map", "1000 0 1");
    ids("mapped to 1000");
    capabilities("mapped to 1000");
    char *argv[] = {self, (char *)"user", NULL};
    execv(self, argv);
    _exit(1);
  }
  reap("exec user", child);
}

static void errors(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(mkdir("root", 0755));
    NEED(chroot("root"));
    TRY(unshare(CLONE_NEWUSER));
    _exit(0);
  }
  reap("chrooted", child);
  /* a user without a name in its own namespace makes none */
  child = NEED(fork());
  if (child == 0) {
    NEED(unshare(CLONE_NEWUSER));
    TRY(unshare(CLONE_NEWUSER));
    put_file("/proc/self/uid_map", "0 0 1");
    TRY(unshare(CLONE_NEWUSER));
    put_file("/proc/self/setgroups", "deny");
    put_file("/proc/self/gid_map", "0 0 1");
    TRY(unshare(CLONE_NEWUSER));
    _exit(0);
  }
  reap("unnamed", child);
  map_of("uid_map", getpid(), "0 0 1\n");
  map_of("setgroups", getpid(), "deny\n");
}

int main(int argc, char **argv) {
  if (argc > 1) {
    ids(argv[1]);
    capabilities(argv[1]);
    say("auxv: %lu %lu", getauxval(AT_UID), getauxval(AT_EGID));
    return 0;
  }
  if (geteuid() != 0) {
    /* what is tested needs ids to give away */
    say("not root");
    return 0;
  }
  char self[PATH_MAX];
  ssize_t n = NEED(readlink("/proc/self/exe", self, sizeof self - 1));
  self[n] = 0;
  scratch();
  unprivileged();
  mapped_by_root();
  nested();
  deep();
  travel();
  execution(self);
  errors();
  return 0;
}
