/*
 * Random use of one room of the kernel at a time, in forked children: `rooms SEED [CHILDREN [STEPS]]`. Where fuzz.c makes any call with
 * any arguments, these are mostly sensible, so that they get further: trees of mounts, namespaces, queues, tracers and
 * tracees, filters, /proc, terminals. It ends with "done", or with a signal that a child sent it. ROOM=n in the
 * environment stays in one room.
 */
#include "hostile.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/xattr.h>

#define ONE_OF(list) (list)[below(sizeof(list) / sizeof *(list))]
static char buffer[70000];

static uint64_t edge(void) {
  static const uint64_t edges[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 63, 64, 65, 127, 255, 256, 1023, 4095, 4096, 4097, 65535, 65536, 0x7fffffff,
                                   0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~0ull, ~1ull, 1ull << 47,
                                   (1ull << 47) - 4096, 1ull << 53, (1ull << 53) + 1, 999999999, 1000000000};
  return ONE_OF(edges);
}
static uint64_t size(void) { return below(4) ? below(300) : below(3) ? below(sizeof buffer) : edge(); }
static uint64_t bits(void) { return (1ull << below(32)) | (below(2) ? 1ull << below(32) : 0); }
static void *place(void) { return below(12) ? buffer + below(2000) : (void *)edge(); }
static void noise(void) {
  for (int i = 0; i < 64; i++) ((uint64_t *)buffer)[i] = below(3) ? below(40) : below(2) ? edge() : next();
}
static pid_t spared; /* who reports in the end */
static pid_t somebody(void) {
  pid_t pid = below(4) ? (pid_t)(1 + below(40)) : below(2) ? getpid() : below(2) ? getppid() : (pid_t)edge();
  return pid <= 0 || pid == spared ? getpid() : pid;
}

static void end(pid_t pid) {
  if (pid < 0) return; /* fork failed: it would be everybody */
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

/* Paths of every shape. */
static const char *path(void) {
  static char text[4][9000];
  static int turn;
  static const char *const parts[] = {".", "..", "a", "b", "m", "n", "link", "loop", "file", "", "proc", "self", "fd", "task", "root", "cwd", "tmp", "dev",
                                      "pts", "etc", "sys", "1", "ns", "mnt", "\xff\xfe", "a b\\\n", "user:", "exe", "3", "..."};
  char *out = text[turn++ % 4];
  if (below(300) == 0) {
    size_t n = below(2) ? 4095 : below(8000);
    memset(out, below(2) ? '/' : 'x', n);
    out[n] = 0;
    return out;
  }
  out[0] = 0;
  if (below(3) == 0) strcpy(out, "/");
  for (uint64_t i = 1 + below(4); i > 0; i--) {
    strcat(out, ONE_OF(parts));
    if (i > 1 || below(6) == 0) strcat(out, "/");
  }
  return out;
}

static int fds[24];
static int fd(void) { return below(10) ? fds[below(24)] : (int)(below(2) ? AT_FDCWD : (int)edge()); }
static void keep(int value) {
  if (value < 3) return;
  int at = (int)below(24);
  if (fds[at] > 2) close(fds[at]);
  fds[at] = value;
}

/* A descriptor of any kind. */
static void open_something(void) {
  int pair[2] = {-1, -1};
  sigset_t set;
  sigfillset(&set);
  switch (below(18)) {
  case 0: pipe2(pair, O_NONBLOCK); break;
  case 1: socketpair(AF_UNIX, below(2) ? SOCK_STREAM : SOCK_DGRAM, 0, pair); fcntl(pair[0], F_SETFL, O_NONBLOCK); fcntl(pair[1], F_SETFL, O_NONBLOCK); break;
  case 2: pair[0] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0); break;
  case 3: pair[0] = epoll_create1(0); break;
  case 4: pair[0] = eventfd(0, EFD_NONBLOCK); break;
  case 5: pair[0] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK); break;
  case 6: pair[0] = inotify_init1(IN_NONBLOCK); break;
  case 7: pair[0] = signalfd(-1, &set, SFD_NONBLOCK); break;
  case 8: pair[0] = memfd_create("m", MFD_ALLOW_SEALING); break;
  case 9: pair[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK); unlockpt(pair[0]); break;
  case 10: pair[0] = open(path(), O_RDWR | O_NONBLOCK | O_NOCTTY); break;
  case 11: pair[0] = open(path(), O_RDONLY | O_NONBLOCK | (below(2) ? O_DIRECTORY : 0)); break;
  case 12: pair[0] = open("file", O_RDWR | O_CREAT, 0600); break;
  case 13: pair[0] = open(path(), O_PATH); break;
  case 14: pair[0] = (int)syscall(SYS_pidfd_open, somebody(), 0); break;
  case 15: pair[0] = (int)syscall(SYS_fsopen, "tmpfs", 0); break;
  case 16: pair[0] = open("/dev/pts/0", O_RDWR | O_NOCTTY | O_NONBLOCK); break;
  case 17: pair[0] = open("/proc/self/mem", O_RDWR); break;
  }
  keep(pair[0]);
  keep(pair[1]);
}

static void mounts(void) {
  static const char *const types[] = {"tmpfs", "proc", "sysfs", "devpts", "mqueue", "ext4", "overlay", "ramfs", "devtmpfs", "cgroup2", "bind", ""};
  static const char *const options[] = {"", "size=4k", "size=99999999999999999999", "mode=0777,uid=1", "ro", "nr_inodes=3", "ptmxmode=0666,newinstance", "size=50%", "a=b,c", ",,,,"};
  static const unsigned long propagation[] = {MS_SHARED, MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE};
  switch (below(14)) {
  case 0:
  case 1: mount(path(), path(), ONE_OF(types), below(2) ? 0 : bits(), ONE_OF(options)); break;
  case 2: mount("t", path(), "tmpfs", 0, ONE_OF(options)); break;
  case 3:
  case 4: mount(path(), path(), NULL, MS_BIND | (below(2) ? MS_REC : 0), NULL); break;
  case 5: mount(path(), path(), NULL, MS_MOVE, NULL); break;
  case 6: mount(NULL, path(), NULL, ONE_OF(propagation) | (below(2) ? MS_REC : 0), NULL); break;
  case 7: mount(NULL, path(), NULL, MS_REMOUNT | (below(2) ? MS_BIND : 0) | bits(), ONE_OF(options)); break;
  case 8: umount2(path(), (int)below(16)); break;
  case 9: syscall(SYS_pivot_root, path(), path()); break;
  case 10: unshare(CLONE_NEWNS); break;
  case 11: if (chroot(path()) == 0 && below(2)) chdir("/"); break;
  case 12: mkdir(path(), 0755); chdir(path()); break;
  case 13: {
    char into[512];
    int list = open("/proc/self/mountinfo", O_RDONLY);
    while (read(list, into, sizeof into) > 0) {
    }
    close(list);
    struct statfs st;
    statfs(path(), &st);
    rename(path(), path());
    rmdir(path());
    symlink(path(), path());
    break;
  }
  }
}

static void write_to(const char *name, const char *text) {
  int to = open(name, O_WRONLY);
  if (to < 0) return;
  pwrite(to, text, strlen(text), below(8) ? 0 : (off_t)edge());
  close(to);
}

static int nothing(void *argument) { return argument == NULL ? 0 : 1; }

static void namespaces(void) {
  static const int kinds[] = {CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWUTS, CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWCGROUP};
  static const char *const links[] = {"user", "pid", "pid_for_children", "uts", "mnt", "ipc", "net", "cgroup", "time"};
  static char stack[65536];
  char text[200];
  switch (below(11)) {
  case 0: unshare(ONE_OF(kinds) | (below(3) ? 0 : ONE_OF(kinds))); break;
  case 1: {
    int pid = clone(nothing, stack + sizeof stack, ONE_OF(kinds) | (below(2) ? ONE_OF(kinds) : 0) | SIGCHLD, (void *)below(2));
    if (pid > 0) waitpid(pid, NULL, __WALL);
    break;
  }
  case 2:
    snprintf(text, sizeof text, "/proc/%d/ns/%s", somebody(), ONE_OF(links));
    keep(open(text, O_RDONLY));
    break;
  case 3: setns(fd(), below(2) ? 0 : ONE_OF(kinds)); break;
  case 4:
    snprintf(text, sizeof text, "%lu %lu %lu\n", below(3), below(2) ? 0 : edge(), below(2) ? 1 : edge());
    if (below(4) == 0) snprintf(text, sizeof text, "%lu%s%lu\n%lu\n0 0 1", edge(), below(2) ? " " : "", edge(), next());
    write_to(below(2) ? "/proc/self/uid_map" : "/proc/self/gid_map", text);
    break;
  case 5: write_to("/proc/self/setgroups", below(2) ? "deny" : "allow\n"); break;
  case 6: sethostname(buffer, size()); break;
  case 7: setresuid((uid_t)below(3), (uid_t)below(3), (uid_t)(below(3) ? 0 : edge())); break;
  case 8: ioctl(fd(), 0xb701 + below(4), place()); break;
  case 9: {
    pid_t pid = fork();
    if (pid == 0) {
      namespaces();
      kill(somebody() == getppid() ? 0 : getpid(), SIGKILL);
      _exit(0);
    }
    if (pid > 0 && below(2)) waitpid(pid, NULL, below(2) ? 0 : WNOHANG);
    break;
  }
  case 10:
    mount("p", "m", "proc", 0, NULL);
    kill(somebody(), 0);
    waitpid(-1, NULL, WNOHANG);
    break;
  }
}

static void queues(void) {
  static const char *const names[] = {"/q", "/r", "", "/", "//", "/q/r", "q", "/.."};
  static int ids[8];
  struct timespec soon = {0, (long)below(2000000)};
  switch (below(12)) {
  case 0: {
    struct mq_attr attributes = {0, below(2) ? 4 : (long)edge(), below(2) ? 64 : (long)edge(), 0, {0}};
    keep(mq_open(ONE_OF(names), O_RDWR | O_CREAT | (below(2) ? O_NONBLOCK : 0), 0600, below(3) ? &attributes : NULL));
    break;
  }
  case 1: mq_timedsend(fd(), place(), size(), (unsigned)below(40000), &soon); break;
  case 2: mq_timedreceive(fd(), place(), size(), NULL, &soon); break;
  case 3: {
    struct sigevent event = {.sigev_notify = (int)below(4), .sigev_signo = (int)below(70)};
    syscall(SYS_mq_notify, fd(), below(4) ? (void *)&event : place());
    break;
  }
  case 4: mq_unlink(ONE_OF(names)); break;
  case 5: ids[below(8)] = msgget((key_t)below(3), IPC_CREAT | 0600); break;
  case 6: msgsnd(ids[below(8)], place(), size(), IPC_NOWAIT); break;
  case 7: msgrcv(ids[below(8)], place(), size(), (long)below(4) - 2, IPC_NOWAIT | (below(3) ? 0 : MSG_COPY)); break;
  case 8: msgctl(ids[below(8)], (int)below(20), place()); break;
  case 9: {
    int id = semget((key_t)below(3), (int)(below(4) ? below(8) : edge()), IPC_CREAT | 0600);
    struct sembuf operations[8];
    for (int i = 0; i < 8; i++) operations[i] = (struct sembuf){(unsigned short)below(9), (short)(below(5) - 2), (short)(below(2) ? IPC_NOWAIT | SEM_UNDO : SEM_UNDO)};
    semtimedop(id, below(8) ? operations : place(), below(8) ? 1 + below(8) : edge(), &soon);
    semctl(id, (int)below(9), (int)below(20), place());
    break;
  }
  case 10: {
    int id = shmget((key_t)below(4), below(3) ? below(70000) : edge(), IPC_CREAT | 0600);
    void *at = shmat(id, below(4) ? NULL : (void *)edge(), (int)(below(2) ? 0 : bits()));
    if (at != (void *)-1 && below(2)) shmdt(at);
    shmctl(id, (int)below(20), place());
    break;
  }
  case 11: mq_setattr(fd(), place(), place()); break;
  }
}

static void traced(void) {
  for (int i = 0; i < 30; i++) {
    switch (below(6)) {
    case 0: getppid(); break;
    case 1: raise((int)(1 + below(40))); break;
    case 2: {
      pid_t pid = below(2) ? fork() : vfork();
      if (pid == 0) _exit(0);
      if (pid > 0) waitpid(pid, NULL, WNOHANG);
      break;
    }
    case 3: execl("/bin/true", "true", NULL); break;
    case 4: mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); break;
    case 5: *(volatile char *)(below(8) ? buffer : NULL) = 1; break;
    }
  }
  _exit(0);
}

static void tracing(void) {
  static pid_t tracees[4];
  static struct user_regs_struct registers;
  int which = (int)below(4), status;
  if (tracees[which] == 0) {
    pid_t pid = fork();
    if (pid == 0) {
      if (below(2)) ptrace(PTRACE_TRACEME, 0, 0, 0);
      if (below(2)) raise(SIGSTOP);
      traced();
    }
    if (pid < 0) return;
    if (below(2)) ptrace(below(2) ? PTRACE_SEIZE : PTRACE_ATTACH, pid, 0, below(2) ? 0 : bits());
    tracees[which] = pid;
    return;
  }
  pid_t pid = below(16) ? tracees[which] : somebody();
  switch (below(12)) {
  case 0: waitpid(pid, &status, WNOHANG | __WALL | WUNTRACED); break;
  case 1: ptrace((int)(below(2) ? PTRACE_CONT : PTRACE_SYSCALL), pid, 0, below(3) ? 0 : below(70)); break;
  case 2: ptrace(below(2) ? PTRACE_SINGLESTEP : PTRACE_SYSEMU, pid, 0, below(40)); break;
  case 3: ptrace(PTRACE_SETOPTIONS, pid, 0, below(3) ? bits() : 0xff); break;
  case 4:
    if (ptrace(PTRACE_GETREGS, pid, 0, &registers) == 0) {
      ((uint64_t *)&registers)[below(27)] = below(2) ? edge() : next();
      ptrace(PTRACE_SETREGS, pid, 0, &registers);
    }
    break;
  case 5: ptrace(PTRACE_POKEUSER, pid, below(2) ? below(912) & ~7ull : edge(), edge()); break;
  case 6: ptrace(below(2) ? PTRACE_PEEKDATA : PTRACE_POKEDATA, pid, below(2) ? (uint64_t)buffer : edge(), place()); break;
  case 7: {
    struct iovec vector = {place(), size()};
    ptrace(below(2) ? PTRACE_GETREGSET : PTRACE_SETREGSET, pid, below(3) ? (below(2) ? 1 : 0x202) : edge(), &vector);
    break;
  }
  case 8: ptrace((int)(below(2) ? PTRACE_INTERRUPT : PTRACE_LISTEN), pid, 0, 0); break;
  case 9: ptrace(PTRACE_DETACH, pid, 0, below(70)); break;
  case 10: kill(pid, (int)below(66)); break;
  case 11: ptrace((int)(below(2) ? 0x4200 + below(18) : below(35)), pid, below(2) ? size() : (uint64_t)place(), place()); break;
  }
  if (below(12) == 0 && waitpid(tracees[which], &status, WNOHANG) == tracees[which] && !WIFSTOPPED(status)) tracees[which] = 0;
}

static void filters(void) {
  struct sock_filter code[24];
  static const uint32_t actions[] = {SECCOMP_RET_ALLOW, SECCOMP_RET_ALLOW, SECCOMP_RET_LOG, SECCOMP_RET_ERRNO | 5, SECCOMP_RET_TRAP, SECCOMP_RET_TRACE, SECCOMP_RET_USER_NOTIF, SECCOMP_RET_KILL_THREAD};
  uint64_t count = 1 + below(23);
  for (uint64_t i = 0; i < count; i++) {
    code[i] = (struct sock_filter){(uint16_t)(below(4) ? (below(2) ? BPF_LD | BPF_W | BPF_ABS : BPF_JMP | BPF_JEQ | BPF_K) : below(0x100)),
                                   (uint8_t)(below(8) ? below(count - i) : next()), (uint8_t)(below(8) ? below(count - i) : next()),
                                   (uint32_t)(below(3) ? below(16) * 4 : edge())};
  }
  for (uint64_t i = count; i-- > (count > 6 ? count - 6 : 0);) code[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ONE_OF(actions));
  struct sock_fprog program = {(unsigned short)(below(12) ? count : edge()), below(12) ? code : place()};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  pid_t pid = fork();
  if (pid == 0) {
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, below(2) ? 0 : bits(), &program);
    for (int i = 0; i < 10; i++) {
      if (listener > 2) {
        ioctl(listener, below(2) ? SECCOMP_IOCTL_NOTIF_RECV : next(), place());
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, place());
        ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, place());
      }
      syscall((long)below(60), -1, 0, 0);
    }
    _exit(0);
  }
  sleep_ms(2);
  end(pid);
}

static void processes(void) {
  static const char *const programs[] = {"/bin/true", "/bin/su", "/usr/bin/passwd", "file", "/proc/self/exe", "script", "/bin/sh", "a", "/dev/null"};
  char *arguments[] = {below(20) ? "x" : NULL, below(2) ? NULL : "--version", NULL};
  switch (below(6)) {
  case 0: {
    int made = open("script", O_WRONLY | O_CREAT | O_TRUNC, 0755);
    dprintf(made, "#!%s%s%s\n", below(2) ? " " : "", path(), below(2) ? " -x" : "");
    close(made);
    break;
  }
  case 1: {
    int made = open("file", O_WRONLY | O_CREAT, 0755), from = open("/bin/true", O_RDONLY);
    ssize_t n = read(from, buffer, 40000);
    for (uint64_t i = below(6); i > 0; i--) buffer[below(below(2) ? 64 : 1000)] = (char)next();
    write(made, buffer, (size_t)n);
    fchmod(made, (mode_t)(0755 | (below(2) ? 04000 : 02000)));
    if (below(3) == 0) ftruncate(made, (off_t)below(5000));
    close(made);
    close(from);
    break;
  }
  default: {
    pid_t pid = below(2) ? fork() : vfork();
    if (pid == 0) {
      if (below(3) == 0) setuid((uid_t)below(3));
      int null = open("/dev/null", O_RDWR);
      dup2(null, 0);
      execve(ONE_OF(programs), arguments, arguments);
      _exit(0);
    }
    sleep_ms(3);
    end(pid);
  }
  }
}

static void proc(void) {
  char name[300];
  static const char *const tops[] = {"/proc", "/proc/self", "/proc/self/task", "/proc/self/fdinfo", "/proc/self/fd", "/proc/sys", "/proc/sys/kernel", "/proc/sys/vm",
                                     "/proc/sys/fs", "/proc/1", "/proc/self/ns", "/proc/sys/user", "/proc/net", "/sys", "/dev", "/proc/self/attr", "/proc/sys/fs/mqueue", "/proc/sysvipc"};
  const char *top = ONE_OF(tops);
  int directory = open(top, O_RDONLY | O_DIRECTORY);
  long n = syscall(SYS_getdents64, directory, buffer, below(8) ? 32768 : size()), at = 0;
  for (uint64_t skip = below(60); n > 0 && skip > 0 && at + *(unsigned short *)(buffer + at + 16) < n; skip--) at += *(unsigned short *)(buffer + at + 16);
  if (n <= 0) strcpy(buffer + 19, "x"), at = 0;
  snprintf(name, sizeof name, "%s/%s", top, buffer + at + 19);
  close(directory);
  if (below(4) == 0) { /* a hostile name */
    prctl(PR_SET_NAME, "a)\n R 0 \\\xff(");
    mkdir("w\n\t \\040", 0755);
    chdir("w\n\t \\040");
  }
  int file = open(name, (below(3) ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY);
  if (file < 0) return;
  switch (below(7)) {
  case 0: pread(file, place(), size(), below(2) ? (off_t)below(5000) : (off_t)edge()); break;
  case 1: lseek(file, (off_t)(below(2) ? below(5000) : edge()), (int)below(6)); read(file, place(), size()); break;
  case 2: noise(); pwrite(file, buffer, below(300), below(3) ? 0 : (off_t)edge()); break;
  case 3: snprintf(buffer, 100, "%ld\n", (long)edge()); if (strstr(name, "sysrq") == NULL) write(file, buffer, below(8) ? strlen(buffer) : size()); break;
  case 4: while (read(file, buffer, 1 + below(70000)) > 0 && below(20)) {} break;
  case 5: mmap(NULL, 4096, PROT_READ, below(2) ? MAP_PRIVATE : MAP_SHARED, file, 0); ioctl(file, next(), place()); break;
  case 6: readlink(name, buffer, size() % sizeof buffer); struct stat st; fstat(file, &st); ftruncate(file, (off_t)edge()); break;
  }
  if (below(2)) close(file);
  else keep(file);
}

static void ioctls(void) {
  static const unsigned long requests[] = {0x5401, 0x5402, 0x5403, 0x5404, 0x5408, 0x5409, 0x540a, 0x540b, 0x540e, 0x540f, 0x5410, 0x5411, 0x5412, 0x5413, 0x5414, 0x5415, 0x5420, 0x5421, 0x5422,
                                           0x5423, 0x5424, 0x5425, 0x5428, 0x5429, 0x542a, 0x542b, 0x5437, 0x541b, 0x5450, 0x5451, 0x5452, 0x5460, 0x80045430, 0x40045431, 0x5441, 0x80045432, 0x80045438,
                                           0x801c581f, 0x401c5820, 0x80086601, 0x40086602, 0x40049409, 0x4020940d, 0xc020660b, 0x1277, 0x1260, 0x1, 0x2, 0x894c, 0x8905, 0x8910, 0x8927, 0xc0c0583b, 0x80047601, 0x40085400, 0xc0182101};
  open_something();
  noise();
  for (int i = 0; i < 8; i++) {
    ioctl(fd(), below(6) ? ONE_OF(requests) : next(), below(4) ? place() : (void *)(uint64_t)below(70));
    int one = fd();
    switch (below(9)) {
    case 0: fcntl(one, (int)(below(2) ? below(20) : 1024 + below(20)), below(2) ? (uint64_t)place() : below(64)); break;
    case 1: read(one, place(), size()); break;
    case 2: write(one, buffer, size() % sizeof buffer); break;
    case 3: splice(one, NULL, fd(), NULL, size(), (unsigned)below(16)); break;
    case 4: fallocate(one, (int)below(128), (off_t)edge(), (off_t)size()); break;
    case 5: copy_file_range(one, NULL, fd(), NULL, size(), 0); sendfile(fd(), one, NULL, size()); break;
    case 6: fsetxattr(one, below(2) ? "user.a" : "trusted.b", place(), size(), (int)below(4)); flistxattr(one, place(), size()); break;
    case 7: getsockopt(one, below(2) ? SOL_SOCKET : (int)edge(), (int)below(80), place(), (socklen_t *)place()); break;
    case 8: setsockopt(one, SOL_SOCKET, (int)below(80), place(), (socklen_t)(below(2) ? 4 : size())); break;
    }
  }
}

static void sockets(void) {
  open_something();
  struct sockaddr_un address = {.sun_family = (sa_family_t)(below(8) ? AF_UNIX : next())};
  strncpy(address.sun_path, path(), sizeof address.sun_path);
  if (below(3) == 0) address.sun_path[0] = 0;
  socklen_t length = (socklen_t)(below(3) ? sizeof address : below(130));
  char control[256];
  for (size_t i = 0; i < sizeof control / 8; i++) ((uint64_t *)control)[i] = below(2) ? below(40) : edge();
  struct cmsghdr *header = (struct cmsghdr *)control;
  *header = (struct cmsghdr){below(4) ? CMSG_LEN(4 * below(6)) : size(), SOL_SOCKET, below(4) ? SCM_RIGHTS : (int)below(4)};
  for (int i = 0; i < 6; i++) ((int *)CMSG_DATA(header))[i] = fd();
  struct iovec vector[3] = {{place(), below(5000)}, {buffer, below(3) ? 1 : size()}, {place(), below(9)}};
  struct msghdr message = {below(2) ? &address : NULL, length, vector, below(20) ? below(4) : edge(), control, below(4) ? sizeof control : size(), 0};
  switch (below(8)) {
  case 0: bind(fd(), (void *)&address, length); break;
  case 1: listen(fd(), (int)edge()); break;
  case 2: connect(fd(), (void *)&address, length); break;
  case 3: keep(accept4(fd(), place(), (void *)place(), SOCK_NONBLOCK)); break;
  case 4: sendmsg(fd(), &message, (int)(MSG_DONTWAIT | MSG_NOSIGNAL | (below(3) ? 0 : bits()))); break;
  case 5: recvmsg(fd(), &message, (int)(MSG_DONTWAIT | (below(2) ? 0 : bits()))); break;
  case 6: shutdown(fd(), (int)below(4)); break;
  case 7: {
    struct epoll_event event = {(uint32_t)(below(2) ? EPOLLIN : next()), {.u64 = next()}};
    epoll_ctl(fd(), 1 + (int)below(4), fd(), &event);
    epoll_wait(fd(), place(), (int)below(8), 0);
    inotify_add_watch(fd(), path(), (uint32_t)(below(2) ? 0xfff : next()));
    keep(dup(fd()));
    break;
  }
  }
}

static void files(void) {
  struct stat st;
  switch (below(16)) {
  case 0: mkdir(path(), (mode_t)below(4096)); break;
  case 1: rename(path(), path()); syscall(SYS_renameat2, fd(), path(), fd(), path(), below(8)); break;
  case 2: link(path(), path()); linkat(fd(), below(2) ? "" : path(), fd(), path(), (int)bits()); break;
  case 3: symlink(path(), path()); break;
  case 4: unlink(path()); break;
  case 5: rmdir(path()); break;
  case 6: truncate(path(), (off_t)edge()); break;
  case 7: chmod(path(), (mode_t)next()); lchown(path(), (uid_t)edge(), (gid_t)edge()); break;
  case 8: setxattr(path(), below(2) ? "user.x" : path(), place(), size(), (int)below(4)); getxattr(path(), "user.x", place(), size()); listxattr(path(), place(), size()); break;
  case 9: mknod(path(), (mode_t)next(), below(2) ? 0x103 : next()); break;
  case 10: keep(openat(fd(), path(), (int)(next() & ~(uint64_t)O_NONBLOCK) | O_NONBLOCK, 0700)); break;
  case 11: {
    struct { uint64_t flags, mode, resolve; } how = {below(2) ? O_RDONLY : next(), below(2) ? 0 : 0600, below(64)};
    keep((int)syscall(SYS_openat2, fd(), path(), &how, below(8) ? sizeof how : size()));
    break;
  }
  case 12: fstatat(fd(), path(), &st, (int)bits()); syscall(SYS_statx, fd(), path(), (int)bits(), next(), buffer); break;
  case 13: chdir(path()); fchdir(fd()); getcwd(buffer, size()); break;
  case 14: {
    struct timespec times[2] = {{(time_t)edge(), (long)edge()}, {(time_t)edge(), 0x3ffffffe + (long)below(3)}};
    utimensat(fd(), path(), times, (int)bits());
    break;
  }
  case 15: pwrite(fd(), buffer, below(9000), (off_t)(below(3) ? below(100000) : edge())); syscall(SYS_getdents64, fd(), place(), size()); break;
  }
}

static void *other_thread(void *argument) {
  random_state += (uint64_t)argument;
  for (int i = 0; i < 20; i++) {
    open_something();
    close(fd());
    kill(getpid(), SIGUSR1);
  }
  return NULL;
}

static void memory(void) {
  static void *last[4];
  int at = (int)below(4);
  pthread_t thread;
  struct iovec here = {place(), size()}, there = {place(), size()};
  switch (below(11)) {
  case 0: last[at] = mmap(below(3) ? NULL : (void *)edge(), size(), (int)below(8), (int)(below(2) ? MAP_PRIVATE | MAP_ANONYMOUS : (bits() & ~0x10ull) | 1), fd(), (off_t)(below(2) ? 0 : edge())); break;
  case 1: mprotect(last[at], size(), (int)below(16)); break;
  case 2: if (last[at] > (void *)4096) munmap(last[at], below(70000)); break;
  case 3: mremap(last[at], size(), size(), (int)below(8) & ~2, 0); break;
  case 4: madvise(last[at], size(), (int)below(30)); break;
  case 5: syscall(SYS_process_vm_readv, somebody(), &here, below(3), &there, below(3), 0); break;
  case 6: syscall(SYS_process_vm_writev, somebody(), &here, below(3), &there, below(3), 0); break;
  case 7: mincore(last[at], size(), place()); msync(last[at], size(), (int)below(8)); mlock(last[at], size()); break;
  case 8: prctl((int)below(70), below(2) ? below(20) : edge(), place(), size(), below(3)); break;
  case 9: if (pthread_create(&thread, NULL, other_thread, (void *)next()) == 0) pthread_join(thread, NULL); break;
  case 10: {
    timer_t timer;
    struct sigevent event = {.sigev_notify = (int)below(6), .sigev_signo = (int)below(70), .sigev_value.sival_int = 1};
    struct itimerspec when = {{(time_t)below(2), (long)edge()}, {(time_t)below(2), (long)below(1000000000)}};
    if (timer_create((clockid_t)below(12), &event, &timer) == 0) timer_settime(timer, (int)below(3), &when, NULL);
    timerfd_settime(fd(), (int)below(4), &when, NULL);
    break;
  }
  }
}

static void (*const ROOMS[])(void) = {mounts, namespaces, queues, tracing, filters, processes, proc, ioctls, sockets, files, memory};
enum { ROOM_COUNT = sizeof ROOMS / sizeof *ROOMS };

static void on_signal(int signo) { (void)signo; }

static void child(int steps) {
  for (int signo = 1; signo < 65; signo++)
    if (signo != SIGCHLD && signo != SIGSEGV && signo != SIGBUS && signo != SIGILL && signo != SIGTRAP) signal(signo, on_signal);
  signal(SIGCHLD, SIG_DFL);
  static const char *const names[] = {"a", "b", "m", "n", "a/b", "m/a"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) mkdir(names[i], 0755);
  symlink("a", "link");
  symlink("loop", "loop");
  int null = open("/dev/null", O_RDWR);
  for (int i = 0; i < 3; i++) dup2(null, i);
  for (int i = 0; i < 16; i++) open_something();
  struct itimerval timer = {{0, 20000}, {0, 20000}};
  setitimer(ITIMER_REAL, &timer, NULL); /* or it would wait for ever */
  const char *only = getenv("ROOM");
  uint64_t room = only != NULL ? strtoull(only, NULL, 0) % ROOM_COUNT : below(ROOM_COUNT);
  for (int i = 0; i < steps; i++) {
    if (below(32) == 0) open_something();
    if (below(16) == 0) noise();
    ROOMS[below(10) ? room : only != NULL ? room : below(ROOM_COUNT)]();
  }
  _exit(0);
}

int main(int argc, char **argv) {
  only_in_the_sandbox();
  spared = getpid();
  uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
  int children = argc > 2 ? atoi(argv[2]) : 12, steps = argc > 3 ? atoi(argv[3]) : 150;
  char directory[64];
  snprintf(directory, sizeof directory, "/tmp/rooms.%d", (int)seed);
  mkdir(directory, 0755);
  if (chdir(directory) < 0) return 3;
  struct rlimit space = {1u << 30, 1u << 30}, file = {64u << 20, 64u << 20}, most = {60, 60};
  setrlimit(RLIMIT_AS, &space);
  setrlimit(RLIMIT_FSIZE, &file);
  setrlimit(RLIMIT_NPROC, &most);
  signal(SIGXFSZ, SIG_IGN);
  for (int i = 0; i < children; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      random_state = (seed << 20) + (uint64_t)i;
      setpgid(0, 0);
      child(steps);
    }
    if (pid < 0) {
      say("fork: %s", errname(errno));
      return 1;
    }
    int waited = 0;
    while (waitpid(pid, NULL, WNOHANG) == 0) {
      sleep_ms(2);
      if (++waited > 500) kill(pid, SIGKILL); /* stopped, or waiting where no signal reaches */
      if (waited > 8000) {
        say("child %d of seed %lu can't be killed", i, seed);
        return 1;
      }
    }
    kill(-pid, SIGKILL);
  }
  say("done");
  return 0;
}
