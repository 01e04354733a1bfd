/**
 * /proc/[pid]/timens_offsets: how clocks are shifted for the children of a process, time_namespaces(7).
 */
import { CAP_SYS_TIME } from "../Abi/Capability.ts"
import { EINVAL, EPERM, ESRCH } from "../Abi/Errno.ts"
import { hasCapabilityIn } from "../Vfs/Credentials.ts"
import type { Caller } from "../Vfs/Inode.ts"
import { GeneratedFile, type PseudoFs } from "../Vfs/PseudoFs.ts"
import { type Subject, hasEnded, ownerOf } from "./ProcSubject.ts"
import { parseOffsets, showOffsets } from "./TimeNamespace.ts"

/** A write of a page or more is refused. */
const MAX_WRITTEN = 4095

const write = ({ gone, task }: Subject, bytes: Uint8Array, { credentials }: Caller): number => {
  if (bytes.length > MAX_WRITTEN) return -EINVAL
  const wanted = parseOffsets(Buffer.from(bytes).toString("latin1"))
  if (typeof wanted === "number") return wanted
  if (gone || hasEnded(task)) return -ESRCH
  const { timeForChildren } = task.namespaces
  if (!hasCapabilityIn(credentials, timeForChildren.owner, CAP_SYS_TIME)) return -EPERM
  const error = timeForChildren.adjust(wanted.changes, task.system.timekeeper.monotonic())
  return error < 0 ? error : wanted.length
}

export const timeOffsets = (filesystem: PseudoFs, subject: Subject): GeneratedFile =>
  new GeneratedFile(
    filesystem,
    {
      read: () =>
        subject.gone || hasEnded(subject.task) ? -ESRCH : showOffsets(subject.task.namespaces.timeForChildren.offsets),
      write: (bytes, caller) => write(subject, bytes, caller)
    },
    { owner: () => ownerOf(subject) }
  )
