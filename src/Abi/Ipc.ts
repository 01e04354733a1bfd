/**
 * System V IPC, sysvipc(7): flags, commands, structures, and the limits of a default kernel.
 */
import * as Struct from "./Struct.ts"

export const IPC_PRIVATE = 0
export const IPC_CREAT = 0o1000
export const IPC_EXCL = 0o2000
export const IPC_NOWAIT = 0o4000

export const IPC_RMID = 0
export const IPC_SET = 1
export const IPC_STAT = 2
export const IPC_INFO = 3

/** `struct ipc64_perm`. */
export const Ipc64Perm = Struct.make("ipc64_perm", {
  key: Struct.i32,
  uid: Struct.u32,
  gid: Struct.u32,
  cuid: Struct.u32,
  cgid: Struct.u32,
  mode: Struct.u32,
  seq: Struct.u16,
  pad2: Struct.u16,
  unused1: Struct.u64,
  unused2: Struct.u64
})
export type Ipc64Perm = Struct.Type<typeof Ipc64Perm>

export const SHM_EXEC = 0o100000
export const SHM_RDONLY = 0o10000
export const SHM_RND = 0o20000
export const SHM_REMAP = 0o40000
export const SHM_HUGETLB = 0o4000

/** In the mode of a segment: it goes with its last user; it is locked. */
export const SHM_DEST = 0o1000
export const SHM_LOCKED = 0o2000

export const SHM_LOCK = 11
export const SHM_UNLOCK = 12
export const SHM_STAT = 13
export const SHM_INFO = 14
export const SHM_STAT_ANY = 15

/** In bytes, pages and segments. */
export const SHMMAX = 18446744073692774399n
export const SHMALL = 18446744073692774399n
export const SHMMNI = 4096

/** `struct shmid64_ds`. */
export const Shmid64Ds = Struct.make("shmid64_ds", {
  shm_perm: Ipc64Perm,
  shm_segsz: Struct.ulong,
  shm_atime: Struct.long,
  shm_dtime: Struct.long,
  shm_ctime: Struct.long,
  shm_cpid: Struct.i32,
  shm_lpid: Struct.i32,
  shm_nattch: Struct.ulong,
  unused4: Struct.u64,
  unused5: Struct.u64
})
export type Shmid64Ds = Struct.Type<typeof Shmid64Ds>

/** `struct shminfo64`. */
export const Shminfo64 = Struct.make("shminfo64", {
  shmmax: Struct.u64,
  shmmin: Struct.u64,
  shmmni: Struct.u64,
  shmseg: Struct.u64,
  shmall: Struct.u64,
  unused1: Struct.u64,
  unused2: Struct.u64,
  unused3: Struct.u64,
  unused4: Struct.u64
})

/** `struct shm_info`. */
export const ShmInfo = Struct.make("shm_info", {
  used_ids: Struct.i32,
  shm_tot: Struct.ulong,
  shm_rss: Struct.ulong,
  shm_swp: Struct.ulong,
  swap_attempts: Struct.ulong,
  swap_successes: Struct.ulong
})

export const SEM_UNDO = 0x1000

export const GETPID = 11
export const GETVAL = 12
export const GETALL = 13
export const GETNCNT = 14
export const GETZCNT = 15
export const SETVAL = 16
export const SETALL = 17
export const SEM_STAT = 18
export const SEM_INFO = 19
export const SEM_STAT_ANY = 20

/** Sets; semaphores in a set; semaphores; operations in a call; the largest value; the largest adjustment. */
export const SEMMNI = 32_000
export const SEMMSL = 32_000
export const SEMMNS = SEMMNI * SEMMSL
export const SEMOPM = 500
export const SEMVMX = 32_767
export const SEMAEM = SEMVMX

/** `struct sembuf`. */
export const Sembuf = Struct.make("sembuf", { sem_num: Struct.u16, sem_op: Struct.i16, sem_flg: Struct.i16 })
export type Sembuf = Struct.Type<typeof Sembuf>

/** `struct semid64_ds`. */
export const Semid64Ds = Struct.make("semid64_ds", {
  sem_perm: Ipc64Perm,
  sem_otime: Struct.long,
  unused1: Struct.u64,
  sem_ctime: Struct.long,
  unused2: Struct.u64,
  sem_nsems: Struct.ulong,
  unused3: Struct.u64,
  unused4: Struct.u64
})
export type Semid64Ds = Struct.Type<typeof Semid64Ds>

/** `struct seminfo`. */
export const Seminfo = Struct.make("seminfo", {
  semmap: Struct.i32,
  semmni: Struct.i32,
  semmns: Struct.i32,
  semmnu: Struct.i32,
  semmsl: Struct.i32,
  semopm: Struct.i32,
  semume: Struct.i32,
  semusz: Struct.i32,
  semvmx: Struct.i32,
  semaem: Struct.i32
})

export const MSG_NOERROR = 0o10000
export const MSG_EXCEPT = 0o20000
export const MSG_COPY = 0o40000

export const MSG_STAT = 11
export const MSG_INFO = 12
export const MSG_STAT_ANY = 13

/** Queues; bytes of a message; bytes of a queue. */
export const MSGMNI = 32_000
export const MSGMAX = 8192
export const MSGMNB = 16_384

/** `struct msqid64_ds`. */
export const Msqid64Ds = Struct.make("msqid64_ds", {
  msg_perm: Ipc64Perm,
  msg_stime: Struct.long,
  msg_rtime: Struct.long,
  msg_ctime: Struct.long,
  msg_cbytes: Struct.ulong,
  msg_qnum: Struct.ulong,
  msg_qbytes: Struct.ulong,
  msg_lspid: Struct.i32,
  msg_lrpid: Struct.i32,
  unused4: Struct.u64,
  unused5: Struct.u64
})
export type Msqid64Ds = Struct.Type<typeof Msqid64Ds>

/** `struct msginfo`. */
export const Msginfo = Struct.make("msginfo", {
  msgpool: Struct.i32,
  msgmap: Struct.i32,
  msgmax: Struct.i32,
  msgmnb: Struct.i32,
  msgmni: Struct.i32,
  msgssz: Struct.i32,
  msgtql: Struct.i32,
  msgseg: Struct.u16
})

type Names = ReadonlyArray<readonly [name: string, value: number]>

export const SHM_NAMES: Names = Object.entries({ SHM_RDONLY, SHM_RND, SHM_REMAP, SHM_EXEC })
export const SHMGET_NAMES: Names = Object.entries({ IPC_CREAT, IPC_EXCL, SHM_HUGETLB, SHM_NORESERVE: 0o10000 })
export const IPCGET_NAMES: Names = Object.entries({ IPC_CREAT, IPC_EXCL })
export const MSG_NAMES: Names = Object.entries({ IPC_NOWAIT, MSG_NOERROR, MSG_EXCEPT, MSG_COPY })
const COMMANDS = { IPC_RMID, IPC_SET, IPC_STAT, IPC_INFO }
export const SHMCTL_NAMES: Names = Object.entries({
  ...COMMANDS,
  SHM_LOCK,
  SHM_UNLOCK,
  SHM_STAT,
  SHM_INFO,
  SHM_STAT_ANY
})
export const SEMCTL_NAMES: Names = Object.entries({
  ...COMMANDS,
  GETPID,
  GETVAL,
  GETALL,
  GETNCNT,
  GETZCNT,
  SETVAL,
  SETALL,
  SEM_STAT,
  SEM_INFO,
  SEM_STAT_ANY
})
export const MSGCTL_NAMES: Names = Object.entries({ ...COMMANDS, MSG_STAT, MSG_INFO, MSG_STAT_ANY })
