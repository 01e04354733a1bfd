/**
 * The file that a core goes to, core(5): its name, by /proc/sys/kernel/core_pattern, and the conditions under which it is
 * made.
 */
import { EEXIST, EINVAL, EPERM } from "../Abi/Errno.ts"
import { isRegular } from "../Abi/FileMode.ts"
import { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } from "../Abi/OpenFlags.ts"
import { RLIMIT_CORE, RLIM_INFINITY } from "../Abi/Resource.ts"
import { NANOS_PER_SECOND } from "../Abi/Time.ts"
import { FsContext } from "../Vfs/FsContext.ts"
import type { Caller } from "../Vfs/Inode.ts"
import { unlink } from "../Vfs/Names.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { CORE_NAME_SIZE } from "./CoreSettings.ts"
import { namespacesOf } from "./Namespaces.ts"
import type { Task } from "./Task.ts"
import type { CoreDump } from "./ThreadGroup.ts"

/** What the process says of itself must lead to no other directory: never empty, ".", "..", and without a slash. */
const escaped = (value: string): string => {
  if (value === "") return "!"
  const plain = value === "." || value === ".." ? `!${value.slice(1)}` : value
  return plain.replaceAll("/", "!")
}

const executable = ({ commandName, memoryManager }: Task): string =>
  memoryManager.image.exe?.describe() ?? `${commandName} (path unknown)`

/** What stands for `%` and `letter`: nothing, for one that means nothing. */
const expand = (letter: string, { dumper, info }: CoreDump): string => {
  const { credentials, system, threadGroup } = dumper
  switch (letter) {
    case "%":
      return "%"
    case "p":
      return `${threadGroup.ownTgid}`
    case "P":
      return `${threadGroup.tgid}`
    case "i":
      return `${dumper.ownTid}`
    case "I":
      return `${dumper.tid}`
    case "u":
      return `${credentials.ruid}`
    case "g":
      return `${credentials.rgid}`
    case "d":
      return `${threadGroup.dumpable}`
    case "s":
      return `${info.signo}`
    case "t":
      return `${system.timekeeper.realtime() / NANOS_PER_SECOND}`
    case "h":
      return escaped(namespacesOf(system, dumper).uts.hostname)
    case "e":
      return escaped(dumper.commandName)
    case "f":
      return escaped(executable(dumper).replace(/^.*\//s, ""))
    case "E":
      return escaped(executable(dumper))
    case "c": {
      const { rlim_cur } = threadGroup.limits.get(RLIMIT_CORE)
      return `${rlim_cur === RLIM_INFINITY ? 2n ** 64n - 1n : rlim_cur}`
    }
    case "C":
      return "0" // the processor that the sandbox shows
    default:
      return ""
  }
}

/** The path of the core file. */
export const coreName = (dump: CoreDump): string => {
  const { pattern, usesPid } = dump.dumper.system.coreSettings
  const name = pattern.replaceAll(/%(.?)/gs, (_, letter: string) => expand(letter, dump))
  const namesPid = pattern.replaceAll("%%", "").includes("%p")
  return (usesPid !== 0 && !namesPid ? `${name}.${dump.dumper.threadGroup.ownTgid}` : name).slice(0, CORE_NAME_SIZE - 1)
}

/** The dumper as who it is; or as root, in the sandbox's own root directory, if it has changed its ids (suid_dumpable 2). */
const writerOf = (dumper: Task): { readonly caller: Caller; readonly isPrivileged: boolean } => {
  const { credentials, fs, system, threadGroup, tid } = dumper
  if (threadGroup.dumpable !== 2) return { caller: dumper, isPrivileged: false }
  const root = new FsContext(system.vfs.root, system.vfs.root, fs.umask)
  return { caller: { fs: root, credentials: { ...credentials, fsuid: 0 }, tid, threadGroup }, isPrivileged: true }
}

/** Makes the file anew and opens it: -errno if there is to be none. */
export const openCore = (dump: CoreDump): OpenFileDescription | number => {
  const { vfs } = dump.dumper.system
  const path = coreName(dump)
  const { caller, isPrivileged } = writerOf(dump.dumper)
  if (isPrivileged && !path.startsWith("/")) return -EPERM
  const start = caller.fs.workingDirectory
  // another's core file is not to be removed with rights that the program's user does not have
  if (!isPrivileged) unlink(vfs, caller, start, path)
  const file = vfs.open(caller, start, path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600)
  if (typeof file === "number") return file
  if (!(file instanceof OpenFileDescription)) return -EEXIST // nobody had opened what did not exist
  const error = refusesFile(file, caller)
  if (error === 0) return file
  file.release()
  return error
}

/** A filesystem that does not keep the file private is none for a core: 0 or -errno. */
const refusesFile = (file: OpenFileDescription, { credentials }: Caller): number => {
  const stat = file.stat()
  if (typeof stat === "number") return stat
  if (!isRegular(stat.mode) || stat.nlink !== 1) return -EINVAL
  return stat.uid === credentials.fsuid && (stat.mode & 0o677) === 0o600 ? 0 : -EPERM
}
