/**
 * Which system calls `--strace=FILTER` shows: strace(1)'s `-e trace=` language. A list of names, %classes and /regexes,
 * separated by commas; `!` in front negates the whole list; a leading `trace=` is accepted and means nothing.
 */
import { sysno } from "../Abi/Sysno.ts"

/** Whether the call of that name is shown. */
export type TraceFilter = (name: string) => boolean

/** A filter that names nothing known, and what is wrong with it. */
export interface BadFilter {
  readonly _tag: "BadFilter"
  readonly reason: string
}

/** Every call. */
export const traceAll: TraceFilter = () => true

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

/** strace's classes, restricted to calls that x86-64 has. */
const CLASSES: Readonly<Record<string, ReadonlySet<string>>> = {
  file: words(`
    open openat openat2 creat stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getcwd chdir
    chroot mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat mknod mknodat
    chmod fchmodat fchmodat2 chown lchown fchownat utime utimes futimesat utimensat truncate statfs execve execveat
    mount umount2 pivot_root swapon swapoff uselib acct quotactl setxattr lsetxattr getxattr lgetxattr listxattr
    llistxattr removexattr lremovexattr name_to_handle_at inotify_add_watch fanotify_mark open_tree move_mount fspick
    mount_setattr`),
  process: words(`
    clone clone3 fork vfork execve execveat exit exit_group wait4 waitid kill tkill tgkill rt_sigqueueinfo
    rt_tgsigqueueinfo pidfd_open pidfd_send_signal arch_prctl unshare`),
  network: words(`
    socket socketpair bind listen accept accept4 connect getsockname getpeername sendto recvfrom sendmsg recvmsg
    sendmmsg recvmmsg shutdown setsockopt getsockopt sendfile getpmsg putpmsg`),
  memory: words(`
    mmap munmap mprotect mremap brk madvise msync mincore mlock mlock2 munlock mlockall munlockall mbind
    get_mempolicy set_mempolicy migrate_pages move_pages pkey_mprotect pkey_alloc pkey_free remap_file_pages shmat shmdt
    process_madvise io_setup io_destroy io_uring_register set_mempolicy_home_node membarrier`),
  signal: words(`
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo
    rt_sigsuspend sigaltstack kill tkill tgkill pause signalfd signalfd4 pidfd_send_signal io_uring_enter`),
  desc: words(`
    read write open openat openat2 creat close close_range fstat newfstatat statx lseek mmap ioctl pread64 pwrite64
    readv writev preadv pwritev preadv2 pwritev2 pipe pipe2 select pselect6 poll ppoll dup dup2 dup3 fcntl flock fsync
    fdatasync sync_file_range syncfs ftruncate getdents getdents64 fchdir fchmod fchmodat fchmodat2 fchown fchownat
    mkdirat mknodat unlinkat renameat renameat2 linkat symlinkat readlinkat faccessat faccessat2 futimesat utimensat
    fstatfs sendfile splice tee vmsplice copy_file_range fallocate fadvise64 readahead epoll_create epoll_create1
    epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime
    timerfd_gettime inotify_init inotify_init1 inotify_add_watch inotify_rm_watch memfd_create execveat fsetxattr
    fgetxattr flistxattr fremovexattr pidfd_open pidfd_getfd name_to_handle_at open_by_handle_at`),
  ipc: words("shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl"),
  creds: words(`
    getuid getgid geteuid getegid setuid setgid setreuid setregid getgroups setgroups setresuid getresuid setresgid
    getresgid setfsuid setfsgid capget capset prctl`),
  clock: words("gettimeofday settimeofday time clock_gettime clock_settime clock_getres adjtimex clock_adjtime"),
  stat: words("stat"),
  lstat: words("lstat"),
  fstat: words("fstat newfstatat"),
  "%stat": words("stat lstat fstat newfstatat statx"),
  statfs: words("statfs"),
  fstatfs: words("fstatfs"),
  "%statfs": words("statfs fstatfs ustat"),
  pure: words("getpid getppid gettid getuid getgid geteuid getegid getpgrp umask")
}

/** strace's short and old names. */
const ALIASES: Readonly<Record<string, string>> = { net: "network", descriptor: "desc" }

const matcher = (item: string): TraceFilter | BadFilter => {
  const optional = item.startsWith("?")
  const name = optional ? item.slice(1) : item
  if (name === "all") return traceAll
  if (name === "none") return () => false
  if (name.startsWith("/")) {
    try {
      const pattern = new RegExp(name.slice(1))
      return (call) => pattern.test(call)
    } catch {
      return { _tag: "BadFilter", reason: `'${name}' is not a regular expression` }
    }
  }
  // old strace allowed the classes without their %, where no call has that name
  const asClass = name.startsWith("%") ? name.slice(1) : name in sysno ? undefined : name
  if (asClass !== undefined) {
    const members = CLASSES[ALIASES[asClass] ?? asClass]
    if (members !== undefined) return (call) => members.has(call)
  } else {
    return (call) => call === name
  }
  if (optional) return () => false
  return { _tag: "BadFilter", reason: `'${name}' is no system call or class` }
}

/** Parses what follows `--strace=`. */
export const parse = (text: string): TraceFilter | BadFilter => {
  const list = text.startsWith("trace=") ? text.slice("trace=".length) : text
  const negated = list.startsWith("!")
  const matchers: Array<TraceFilter> = []
  for (const item of (negated ? list.slice(1) : list).split(",")) {
    const one = matcher(item)
    if (typeof one !== "function") return one
    matchers.push(one)
  }
  return (name) => matchers.some((one) => one(name)) !== negated
}
