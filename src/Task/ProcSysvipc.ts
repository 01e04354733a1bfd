/**
 * /proc/sysvipc, proc(5): the System V IPC objects as tables.
 */
import type { IpcNamespace } from "../Ipc/IpcNamespace.ts"
import type { Caller } from "../Vfs/Inode.ts"
import { GeneratedFile, type PseudoFs } from "../Vfs/PseudoFs.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"
import { namespacesOf } from "./Namespaces.ts"
import type { System } from "./System.ts"

/** Right-aligned columns. */
const row = (...columns: ReadonlyArray<readonly [value: number | string, width: number]>): string =>
  `${columns.map(([value, width]) => `${value}`.padStart(width)).join(" ")}\n`

const octal = (mode: number): string => ` ${mode.toString(8).padStart(4)}`

const SHM_TITLE =
  "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime" +
  "      ctime                   rss                  swap\n"
const SEM_TITLE = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
const MSG_TITLE =
  "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime" +
  "      ctime\n"

const memory = (ipc: IpcNamespace, viewer: UserNamespace): string =>
  SHM_TITLE +
  ipc.memory.segments
    .all()
    .map((one) =>
      row(
        [one.key, 10],
        [one.id, 10],
        [octal(one.mode), 5],
        [one.size, 21],
        [one.creatorPid, 5],
        [one.lastPid, 5],
        [one.attached, 6],
        [viewer.userTo(one.uid), 5],
        [viewer.groupTo(one.gid), 5],
        [viewer.userTo(one.cuid), 5],
        [viewer.groupTo(one.cgid), 5],
        [one.attachTime, 10],
        [one.detachTime, 10],
        [one.ctime, 10],
        [one.resident, 21],
        [0, 21]
      )
    )
    .join("")

const semaphores = (ipc: IpcNamespace, viewer: UserNamespace): string =>
  SEM_TITLE +
  ipc.semaphores.sets
    .all()
    .map((one) =>
      row(
        [one.key, 10],
        [one.id, 10],
        [octal(one.mode), 5],
        [one.semaphores.length, 10],
        [viewer.userTo(one.uid), 5],
        [viewer.groupTo(one.gid), 5],
        [viewer.userTo(one.cuid), 5],
        [viewer.groupTo(one.cgid), 5],
        [one.operationTime, 10],
        [one.ctime, 10]
      )
    )
    .join("")

const messages = (ipc: IpcNamespace, viewer: UserNamespace): string =>
  MSG_TITLE +
  ipc.messages.queues
    .all()
    .map((one) =>
      row(
        [one.key, 10],
        [one.id, 10],
        [octal(one.mode), 5],
        [one.bytes, 11],
        [one.messages.length, 10],
        [one.lastSender, 5],
        [one.lastReceiver, 5],
        [viewer.userTo(one.uid), 5],
        [viewer.groupTo(one.gid), 5],
        [viewer.userTo(one.cuid), 5],
        [viewer.groupTo(one.cgid), 5],
        [one.sendTime, 10],
        [one.receiveTime, 10],
        [one.ctime, 10]
      )
    )
    .join("")

/** Adds them to the root of `filesystem`. */
export const addSysvipc = (filesystem: PseudoFs, system: System): void => {
  const directory = filesystem.root.directory("sysvipc")
  const ipc = (caller: Caller): IpcNamespace => namespacesOf(system, caller).ipc
  directory.add(
    "msg",
    new GeneratedFile(filesystem, { read: (caller) => messages(ipc(caller), caller.credentials.userNamespace) })
  )
  directory.add(
    "sem",
    new GeneratedFile(filesystem, { read: (caller) => semaphores(ipc(caller), caller.credentials.userNamespace) })
  )
  directory.add(
    "shm",
    new GeneratedFile(filesystem, { read: (caller) => memory(ipc(caller), caller.credentials.userNamespace) })
  )
}
