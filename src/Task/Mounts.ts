/**
 * What a sandbox sees as its file tree: the host's, or a directory of it, under a copy-on-write overlay; binds; and the
 * kernel's own /proc, /sys, /dev.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { ENOTDIR } from "../Abi/Errno.ts"
import { S_IFDIR, S_IFREG, isDirectory } from "../Abi/FileMode.ts"
import { MS_RDONLY, MS_RELATIME } from "../Abi/MountFlags.ts"
import { kernelSigInfo } from "../Abi/SigInfo.ts"
import type { Credentials } from "../Vfs/Credentials.ts"
import { DevFs } from "../Vfs/DevFs.ts"
import { devPtsType } from "../Vfs/DevPtsFs.ts"
import { DEVICE, DeviceFiles } from "../Vfs/DeviceFiles.ts"
import type { Filesystem } from "../Vfs/Filesystem.ts"
import { type FilesystemType, refuseOptions } from "../Vfs/FilesystemType.ts"
import { FsContext } from "../Vfs/FsContext.ts"
import { HostFs } from "../Vfs/HostFs.ts"
import type { Caller } from "../Vfs/Inode.ts"
import type { Location, Mount } from "../Vfs/Mount.ts"
import { OverlayFs } from "../Vfs/OverlayFs.ts"
import { PseudoFs } from "../Vfs/PseudoFs.ts"
import { TmpFs, memoryTypes } from "../Vfs/TmpFs.ts"
import { firstUserNamespace } from "../Vfs/UserNamespace.ts"
import { namespacesOf } from "./Namespaces.ts"
import { ProcFilesystems } from "./ProcFs.ts"
import { makeSysFs } from "./SysFs.ts"
import type { System } from "./System.ts"
import { sendToGroup } from "./TaskSignals.ts"
import { controllingTerminal } from "./Terminal.ts"

/** A host directory or file shown at a place in the sandbox. Byte strings. */
export interface Bind {
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
}

/** A root that is empty memory: needs nothing of the host. */
export interface EmptyRoot {
  readonly _tag: "Empty"
}

export interface MountPlan {
  /** The host directory that becomes "/", never written to; or none. */
  readonly root: string | EmptyRoot
  readonly binds: ReadonlyArray<Bind>
}

/** The root or a bind could not be mounted. */
export class MountFailed extends Data.TaggedError("MountFailed")<{
  /** The host path, or the place in the sandbox. */
  readonly path: string
  /** Positive errno. */
  readonly errno: number
}> {}

/** Mounts everything and gives /dev; what the mounts hold of the host's is closed by `vfs.dispose`. */
export const mountAll = Effect.fnUntraced(function* (
  system: System,
  plan: MountPlan,
  credentials: Credentials
): Effect.fn.Return<DevFs, MountFailed> {
  const { vfs } = system
  const root = vfs.mountRoot(yield* rootFilesystem(system, plan.root))
  const caller: Caller = { fs: new FsContext(root), credentials, tid: 0, threadGroup: { tgid: 0 } }
  const devices = new DeviceFiles({
    entropy: system.entropy,
    signals: {
      toGroup: (id, signo) => {
        for (const group of system.taskSet.processGroups.get(id)?.members ?? [])
          sendToGroup(group, kernelSigInfo(signo))
      },
      toLeader: (id, signo) => {
        const leader = system.taskSet.sessions.get(id)?.leader
        if (leader !== undefined) sendToGroup(leader, kernelSigInfo(signo))
      }
    },
    sessionOf: ({ threadGroup }) => {
      const group = system.taskSet.groups.get(threadGroup.tgid)
      return group === undefined ? undefined : controllingTerminal(group)?.session
    }
  })
  vfs.special = devices
  const addType = (type: FilesystemType): void => void vfs.filesystemTypes.set(type.name, type)
  for (const type of [...memoryTypes(vfs), devPtsType(vfs, DEVICE.ptmx)]) addType(type)
  const devFs = new DevFs({ device: vfs.newDevice(), ptsDevice: vfs.newDevice(), clock: vfs.clock, devices })
  const procs = new ProcFilesystems(system, (session) => devices.terminalOf(session))
  const sysFs = makeSysFs(system)
  // there is one of each of these, however often it is mounted
  const addOnly = (filesystem: Filesystem, owner: FilesystemType["owner"]): void => {
    vfs.mountInternal(filesystem)
    addType({
      name: filesystem.name,
      owner,
      check: refuseOptions,
      make: (_, options) => refuseOptions(options) || filesystem
    })
  }
  addOnly(devFs, () => firstUserNamespace)
  addType({
    name: "proc",
    owner: (caller) => procs.namespaceOf(caller).owner,
    check: refuseOptions,
    make: (caller, options) => refuseOptions(options) || procs.of(procs.namespaceOf(caller))
  })
  addOnly(sysFs, (caller) => namespacesOf(system, caller).net.owner)
  yield* mountAt(system, caller, "/dev", devFs)
  yield* mountAt(system, caller, "/dev/pts", devFs.pts)
  yield* mountAt(system, caller, "/proc", procs.of(system.namespaces.pidForChildren))
  yield* mountAt(system, caller, "/sys", sysFs)
  yield* mountAt(system, caller, "/dev/shm", new TmpFs({ device: vfs.newDevice(), clock: vfs.clock, heap: vfs.heap }))
  for (const bind of plan.binds) {
    const source = HostFs.open(bind.source, {
      writable: !bind.readOnly,
      volatile: true,
      space: system.diskSpace
    })
    if (typeof source === "number") return yield* new MountFailed({ path: bind.source, errno: -source })
    const mount = yield* mountAt(system, caller, bind.target, source, bind.readOnly)
    // what whoever runs the sandbox has covered stays covered, and read-only if it is
    mount.locked = true
    if (bind.readOnly) mount.lockedFlags |= MS_RDONLY
  }
  caller.fs.leave()
  return devFs
})

const rootFilesystem = Effect.fnUntraced(function* (
  { diskSpace, vfs }: System,
  root: MountPlan["root"]
): Effect.fn.Return<Filesystem, MountFailed> {
  if (typeof root === "object")
    return new TmpFs({ device: vfs.newDevice(), clock: vfs.clock, heap: vfs.heap, mode: 0o755 })
  const lower = HostFs.open(root, { writable: false, volatile: false, space: diskSpace })
  if (typeof lower === "number") return yield* new MountFailed({ path: root, errno: -lower })
  if (!isDirectory(lower.root.mode)) {
    lower.dispose()
    return yield* new MountFailed({ path: root, errno: ENOTDIR })
  }
  return new OverlayFs({ lower, clock: vfs.clock, heap: vfs.heap })
})

/** Mounts `filesystem` at `path`, which is made if it is missing (in the overlay: the host sees nothing of it). */
const mountAt = Effect.fnUntraced(function* (
  system: System,
  caller: Caller,
  path: string,
  filesystem: Parameters<System["vfs"]["mount"]>[0],
  readOnly = false
): Effect.fn.Return<Mount, MountFailed> {
  const point = makePoint(system, caller, path, isDirectory(filesystem.root.mode))
  if (typeof point !== "number" && filesystem instanceof PseudoFs) {
    const covered = point.dentry.inode?.stat()
    if (typeof covered === "object") filesystem.mountPoint = covered
  }
  const mounted =
    typeof point === "number"
      ? point
      : system.vfs.mount(filesystem, point, readOnly ? { flags: MS_RDONLY | MS_RELATIME } : {})
  return typeof mounted === "number" ? yield* new MountFailed({ path, errno: -mounted }) : mounted
})

/** The place at `path`; directories that are missing on the way, and the place itself, are made. */
const makePoint = (system: System, caller: Caller, path: string, directory: boolean): Location | number => {
  const { vfs } = system
  const names = path.split("/").filter((name) => name !== "" && name !== ".")
  let at = "/"
  for (const [index, name] of names.entries()) {
    const next = at === "/" ? `/${name}` : `${at}/${name}`
    const found = vfs.walk(caller, vfs.root, next, { follow: true })
    if (typeof found === "number") {
      const type = index < names.length - 1 || directory ? S_IFDIR : S_IFREG
      const made = makeFile(system, caller, next, type | 0o755)
      if (made < 0) return made
    }
    at = next
  }
  return vfs.walk(caller, vfs.root, at, { follow: true })
}

/** 0 or -errno. Only the kernel calls this, before any guest runs: no permission is checked. */
const makeFile = (system: System, caller: Caller, path: string, mode: number): number => {
  const walk = system.vfs.walkToLast(caller, system.vfs.root, path)
  if (typeof walk === "number") return walk
  const found = walk.lookupLast()
  if (typeof found === "number") return found
  const made = walk.at.dentry.inode!.create(walk.last, { mode, uid: 0, gid: 0, rdev: 0 }) // a directory: toLast says so
  if (typeof made === "number") return made
  found.dentry.inode = made
  return 0
}
