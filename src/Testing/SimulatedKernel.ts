/**
 * A kernel for programs written in TypeScript: on the simulated platform, with an empty filesystem but for the programs.
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { errnoName } from "../Abi/Errno.ts"
import { O_CREAT, O_WRONLY } from "../Abi/OpenFlags.ts"
import * as Kernel from "../Kernel.ts"
import type { Platform, PlatformFailed } from "../Platform/Platform.ts"
import { imageOf } from "../Platform/SimulatedPlatform.ts"
import type { Credentials } from "../Vfs/Credentials.ts"
import { FsContext } from "../Vfs/FsContext.ts"
import type { Caller } from "../Vfs/Inode.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { firstUserNamespace } from "../Vfs/UserNamespace.ts"
import { SimulationFailed } from "./SimulationFailed.ts"

const ALL = (1n << 41n) - 1n

/** In a simulation there is nobody else. */
export const superuser: Credentials = {
  ruid: 0,
  euid: 0,
  suid: 0,
  fsuid: 0,
  rgid: 0,
  egid: 0,
  sgid: 0,
  fsgid: 0,
  groups: [],
  effective: ALL,
  permitted: ALL,
  inheritable: 0n,
  bounding: ALL,
  ambient: 0n,
  userNamespace: firstUserNamespace
}

/** The superuser at the root directory, belonging to no task. */
export const callerIn = ({ system: { vfs } }: Kernel.Kernel): Caller => ({
  fs: new FsContext(vfs.root, vfs.root, 0),
  credentials: superuser,
  tid: 0,
  threadGroup: { tgid: 0 }
})

export interface SimulatedKernelOptions extends Omit<Kernel.KernelOptions, "platform" | "mounts" | "credentials"> {
  /** Programs that can be executed, each as /NAME. */
  readonly names: Iterable<string>
  /** A simulated platform that has programs of these names. */
  readonly platform: Layer.Layer<Platform, PlatformFailed>
}

export const make = Effect.fnUntraced(function* ({ names, ...options }: SimulatedKernelOptions) {
  const mounts = { root: { _tag: "Empty" }, binds: [] } as const
  const kernel = yield* Effect.mapError(
    Kernel.make({ ...options, mounts, credentials: superuser }),
    (error) => new SimulationFailed({ reason: error.message })
  )
  const { vfs } = kernel.system
  for (const name of names) {
    const file = vfs.open(callerIn(kernel), vfs.root, `/${name}`, O_CREAT | O_WRONLY, 0o755)
    if (!(file instanceof OpenFileDescription))
      return yield* new SimulationFailed({ reason: `/${name} can't be made: ${errnoName(-Number(file))}` })
    file.write(imageOf(name))
    file.release()
  }
  return kernel
})
