/**
 * The door to native code: the only module that imports koffi.
 *
 * `native/` builds one shared library; `bind` gives one of its functions as a synchronous JavaScript function. Whoever
 * binds a function states its C prototype once, next to its use. Strings never cross this border: a path is passed as
 * bytes with a terminating NUL, because Linux paths are bytes.
 */
import { createRequire } from "node:module"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type * as Koffi from "koffi"

const require = createRequire(import.meta.url)

interface Loaded {
  readonly koffi: typeof Koffi
  readonly library: ReturnType<typeof Koffi.load>
}

/** Finds native/build upwards of this module: two levels up in src/ and dist/, one in a bundle. */
const findLibrary = (): string => {
  for (const relative of ["../../native/build/sentry.so", "../native/build/sentry.so"]) {
    const path = fileURLToPath(new URL(relative, import.meta.url))
    if (existsSync(path)) return path
  }
  throw new Error("native/build/sentry.so is missing: run `npm run build:native` (needs gcc and make)")
}

/** The directory that holds the library and the stub program. */
export const nativeDirectory = (): string => findLibrary().slice(0, -"/sentry.so".length)

/**
 * koffi's own entry point first finds out which of its builds this host needs, which takes some 10 ms of a start.
 * Nearly always it is this one; where it isn't (musl) or isn't found (another layout of node_modules), ask koffi.
 */
const loadKoffi = (): typeof Koffi => {
  try {
    return require("@koromix/koffi-linux-x64/linux_x64/koffi.node")
  } catch {
    return require("koffi")
  }
}

let loaded: Loaded | undefined

const load = (): Loaded => {
  if (loaded === undefined) {
    const koffi = loadKoffi() // lazily: the simulated platform and --help never pay for it
    loaded = { koffi, library: koffi.load(findLibrary()) }
  }
  return loaded
}

/**
 * A function of the library from its C prototype, e.g. `bind<[fd: number], number>("int sentry_close(int fd)")`.
 * Resolved at the first call. The caller vouches that the TypeScript type matches the prototype.
 */
export const bind = <Args extends ReadonlyArray<unknown>, A>(prototype: string): ((...args: Args) => A) => {
  let f: ((...args: Args) => A) | undefined
  return (...args) => {
    f ??= load().library.func(prototype) as unknown as (...args: Args) => A // the ABI boundary: koffi's are untyped
    return f(...args)
  }
}

/** A view over `length` bytes of native memory at `address`, without copying. The memory must outlive the view. */
export const view = (address: bigint, length: number): ArrayBuffer => load().koffi.view(address, length)

/** A NUL-terminated copy of a byte string (one character per byte), for a `const uint8_t *` parameter. */
export const cString = (bytes: string): Uint8Array => Buffer.from(`${bytes}\0`, "latin1")
