/**
 * Which errors of a system call a program must expect: those of section 2 of the manual that come from outside (the
 * disk, the network, limits, other processes, memory), not those that only a wrong argument brings about.
 *
 * A call that is not listed can't fail in that way: getpid(2), or sigaction(2).
 */
import type { SysName } from "../../src/Abi/Sysno.ts"

const OPEN = ["EACCES", "EINTR", "EIO", "EMFILE", "ENFILE", "ENOENT", "ENOMEM", "ENOSPC", "EROFS"]
const STAT = ["EACCES", "EIO", "ENOENT", "ENOMEM"]
const READ = ["EINTR", "EIO", "ENOMEM"]
const WRITE = ["EDQUOT", "EFBIG", "EINTR", "EIO", "ENOSPC"]
const SYNC = ["EDQUOT", "EIO", "ENOSPC"]
const NEW_NAME = ["EACCES", "EDQUOT", "EEXIST", "EIO", "ENOSPC", "EROFS"]
const REMOVE = ["EACCES", "EBUSY", "EIO", "ENOENT", "EPERM", "EROFS"]
const RENAME = ["EACCES", "EBUSY", "EIO", "ENOENT", "ENOSPC", "EPERM", "EROFS", "EXDEV"]
const ATTRIBUTES = ["EACCES", "EIO", "ENOENT", "EPERM", "EROFS"]
const DESCRIPTOR = ["EMFILE"]
const REPLACE = ["EBUSY", "EINTR"]
const COPY = ["EINVAL", "EIO", "ENOSPC", "EOPNOTSUPP", "EXDEV"]
const UNLABEL = ["ENODATA", "EOPNOTSUPP", "EPERM", "EROFS"]
const PROCESS = ["EAGAIN", "ENOMEM"]

const ERRNOS: Readonly<Partial<Record<SysName, ReadonlyArray<string>>>> = {
  access: ["EACCES", "EIO", "ENOENT", "EROFS"],
  chdir: STAT,
  chmod: ATTRIBUTES,
  chown: ATTRIBUTES,
  clone: PROCESS,
  clone3: [...PROCESS, "ENOSYS"],
  close: ["EDQUOT", "EINTR", "EIO", "ENOSPC"],
  copy_file_range: COPY,
  creat: OPEN,
  dup: DESCRIPTOR,
  dup2: REPLACE,
  dup3: REPLACE,
  execve: ["E2BIG", "EACCES", "EIO", "ENOENT", "ENOMEM"],
  faccessat: ["EACCES", "EIO", "ENOENT", "EROFS"],
  faccessat2: ["EACCES", "EIO", "ENOENT", "ENOSYS", "EROFS"],
  fadvise64: ["EINVAL", "ESPIPE"],
  fallocate: ["EIO", "ENOSPC", "EOPNOTSUPP"],
  fchdir: STAT,
  fchmod: ["EIO", "EPERM", "EROFS"],
  fchmodat: ATTRIBUTES,
  fchmodat2: [...ATTRIBUTES, "ENOSYS"],
  fchown: ["EIO", "EPERM", "EROFS"],
  fchownat: ATTRIBUTES,
  fcntl: ["EACCES", "EAGAIN", "EINTR", "EMFILE", "ENOLCK"],
  fdatasync: SYNC,
  fgetxattr: ["ENODATA", "EOPNOTSUPP"],
  flistxattr: ["EOPNOTSUPP"],
  flock: ["EINTR", "ENOLCK", "EWOULDBLOCK"],
  fork: PROCESS,
  fsetxattr: ["EDQUOT", "ENOSPC", "EOPNOTSUPP", "EPERM"],
  fstat: ["EIO", "ENOMEM"],
  fstatfs: ["EIO", "ENOSYS"],
  fsync: SYNC,
  ftruncate: ["EINTR", "EIO", "EROFS"],
  getcwd: ["EACCES", "ENOENT", "ENOMEM"],
  getdents64: ["EIO", "ENOENT"],
  getrandom: ["EINTR", "ENOSYS"],
  getxattr: ["ENODATA", "EOPNOTSUPP"],
  ioctl: ["EINVAL", "ENOTTY", "EOPNOTSUPP"],
  lchown: ATTRIBUTES,
  lgetxattr: ["ENODATA", "EOPNOTSUPP"],
  link: [...NEW_NAME, "EMLINK"],
  linkat: [...NEW_NAME, "EMLINK"],
  listxattr: ["EOPNOTSUPP"],
  llistxattr: ["EOPNOTSUPP"],
  lseek: ["EINVAL", "ENXIO", "ESPIPE"],
  lsetxattr: ["EDQUOT", "ENOSPC", "EOPNOTSUPP", "EPERM"],
  lstat: STAT,
  madvise: ["EAGAIN", "EINVAL", "ENOMEM"],
  mkdir: NEW_NAME,
  mkdirat: NEW_NAME,
  mknodat: NEW_NAME,
  mlock: ["EAGAIN", "ENOMEM", "EPERM"],
  mmap: ["EACCES", "EAGAIN", "ENODEV", "ENOMEM"],
  mprotect: ["EACCES", "ENOMEM"],
  mremap: ["EAGAIN", "ENOMEM"],
  munmap: ["ENOMEM"],
  newfstatat: STAT,
  open: OPEN,
  openat: OPEN,
  openat2: [...OPEN, "ENOSYS"],
  pipe: ["EMFILE", "ENFILE"],
  pipe2: ["EMFILE", "ENFILE"],
  poll: ["EINTR", "ENOMEM"],
  pread64: READ,
  prlimit64: ["EPERM"],
  pwrite64: WRITE,
  read: READ,
  readlink: ["EACCES", "EINVAL", "EIO", "ENOENT"],
  readlinkat: ["EACCES", "EINVAL", "EIO", "ENOENT"],
  readv: READ,
  rename: RENAME,
  renameat: RENAME,
  renameat2: [...RENAME, "EEXIST", "EINVAL"],
  removexattr: UNLABEL,
  lremovexattr: UNLABEL,
  fremovexattr: UNLABEL,
  rmdir: [...REMOVE, "ENOTEMPTY"],
  sched_getaffinity: ["EINVAL"],
  sendfile: COPY,
  setxattr: ["EDQUOT", "ENOSPC", "EOPNOTSUPP", "EPERM"],
  sigaltstack: ["ENOMEM"],
  socket: ["EACCES", "EAFNOSUPPORT", "EMFILE", "ENFILE", "ENOMEM"],
  connect: ["EACCES", "ECONNREFUSED", "EINTR", "ENOENT"],
  splice: COPY,
  stat: STAT,
  statfs: ["EACCES", "EIO", "ENOENT", "ENOSYS"],
  statx: [...STAT, "ENOSYS"],
  symlink: NEW_NAME,
  symlinkat: NEW_NAME,
  truncate: ["EINTR", "EIO", "EROFS"],
  unlink: REMOVE,
  unlinkat: [...REMOVE, "ENOTEMPTY"],
  utimensat: ATTRIBUTES,
  utimes: ATTRIBUTES,
  vfork: PROCESS,
  wait4: ["ECHILD", "EINTR"],
  write: WRITE,
  writev: WRITE
}

/** Errors of a call, by name, for which a program should be prepared. */
export const plausibleErrnos = (name: string): ReadonlyArray<string> => new Map(Object.entries(ERRNOS)).get(name) ?? []
