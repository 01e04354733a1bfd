/**
 * Loads programs into an address space that only records what is asked of it.
 */
import * as Effect from "effect/Effect"
import { Registers, registersSize } from "../../src/Abi/Registers.ts"
import * as Loader from "../../src/Loader/Loader.ts"
import { type PlatformContext, unsampled } from "../../src/Platform/Platform.ts"
import { firstUserNamespace } from "../../src/Vfs/UserNamespace.ts"
import { FakeAddressSpace } from "../Memory/FakeAddressSpace.ts"
import { type Files, memoryFiles } from "./ElfFiles.ts"

export const TASK_SIZE = 0x7fff_ffff_d000

const unused = Effect.die("not used when loading")

/** A context that cannot run. */
export const fakeContext = (space: FakeAddressSpace): PlatformContext => ({
  addressSpace: space,
  registers: new Registers(new ArrayBuffer(registersSize), 0),
  switch: () => unused,
  extendedStateNow: () => undefined,
  setExtendedStateNow: () => false,
  readExtendedState: unused,
  writeExtendedState: () => unused,
  clone: () => unused,
  cpuTime: () => 0n,
  usage: () => unsampled(0n),
  release: Effect.void
})

export interface LoadOptions {
  readonly files: Files
  readonly path?: string
  readonly argv?: ReadonlyArray<string>
  readonly envp?: ReadonlyArray<string>
  readonly stackLimit?: number
  readonly randomize?: boolean
  /** What the host answers to the change of mappings. */
  readonly refuse?: number
}

/** Loads `path` ("./program" if not given) and tells everything about it. */
export const loadFiles = (options: LoadOptions) => {
  const { open, opened } = memoryFiles(options.files)
  const space = new FakeAddressSpace()
  space.keepsPages = false
  space.failure = options.refuse ?? 0
  const context = fakeContext(space)
  const path = options.path ?? "./program"
  const prepared = Loader.prepare({
    open,
    path,
    argv: options.argv ?? [path],
    envp: options.envp ?? [],
    stackLimit: options.stackLimit ?? 8 * 1024 * 1024
  })
  const committed =
    typeof prepared === "number"
      ? undefined
      : Effect.runSync(
          Loader.commit(prepared, {
            context,
            platform: { taskSize: TASK_SIZE },
            credentials,
            secure: false,
            entropy: { fill: (into) => into.fill(0xa5) },
            randomize: options.randomize ?? false,
            vdso: undefined,
            tellsTime: true,
            hardware: { hwcap: 0xbfeb_fbff, hwcap2: 2, minSigStackSize: 3632, memory: 2 ** 36 }
          })
        )
  return { prepared, committed, space, context, opened }
}

const credentials = {
  userNamespace: firstUserNamespace,
  ruid: 1000,
  euid: 1001,
  suid: 1001,
  fsuid: 1001,
  rgid: 100,
  egid: 101,
  sgid: 101,
  fsgid: 101,
  groups: [],
  effective: 0n,
  permitted: 0n,
  inheritable: 0n,
  bounding: 0n,
  ambient: 0n
}
