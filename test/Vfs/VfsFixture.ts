/**
 * A Vfs with a root user and one without privileges, for tests.
 */
import type { Credentials } from "../../src/Vfs/Credentials.ts"
import type { Filesystem } from "../../src/Vfs/Filesystem.ts"
import { FsContext } from "../../src/Vfs/FsContext.ts"
import type { Caller } from "../../src/Vfs/Inode.ts"
import { Location, pathOf } from "../../src/Vfs/Mount.ts"
import { OpenFileDescription } from "../../src/Vfs/OpenFileDescription.ts"
import type { Stat } from "../../src/Vfs/Stat.ts"
import { TmpFs } from "../../src/Vfs/TmpFs.ts"
import { Vfs } from "../../src/Vfs/Vfs.ts"
import { firstUserNamespace } from "../../src/Vfs/UserNamespace.ts"

const NONE = { userNamespace: firstUserNamespace, inheritable: 0n, bounding: 0n, ambient: 0n }

export const superuser: Credentials = {
  ...{ ruid: 0, euid: 0, suid: 0, fsuid: 0, rgid: 0, egid: 0, sgid: 0, fsgid: 0, groups: [0] },
  ...{ effective: (1n << 41n) - 1n, permitted: (1n << 41n) - 1n, ...NONE }
}

/** An ordinary user whose ids are all `id`. */
export const user = (id: number, groups: ReadonlyArray<number> = [id]): Credentials => ({
  ...{ ruid: id, euid: id, suid: id, fsuid: id, rgid: id, egid: id, sgid: id, fsgid: id, groups },
  ...{ effective: 0n, permitted: 0n, ...NONE }
})

/** A clock that moves one nanosecond at every look. */
export const tickingClock = () => {
  let nanoseconds = 0
  return () => ({ seconds: 1_000_000_000, nanoseconds: nanoseconds++ })
}

export class Fixture {
  readonly vfs: Vfs
  readonly root: Location
  caller: Caller

  constructor(make: (vfs: Vfs) => Filesystem = (vfs) => new TmpFs({ device: vfs.newDevice(), clock: vfs.clock })) {
    this.vfs = new Vfs({ clock: tickingClock() })
    this.root = this.vfs.mountRoot(make(this.vfs))
    this.caller = { fs: new FsContext(this.root), credentials: superuser, tid: 1, threadGroup: { tgid: 1 } }
  }

  get cwd(): Location {
    return this.caller.fs.workingDirectory
  }

  /** From now on everything is done by `credentials`. */
  become(credentials: Credentials): void {
    this.caller = { ...this.caller, credentials }
  }

  walk(path: string, follow = true, resolve = 0): Location | number {
    return this.vfs.walk(this.caller, this.cwd, path, { follow, resolve })
  }

  /** The path of what `path` leads to, or -errno. */
  resolved(path: string, resolve = 0): string | number {
    const found = this.walk(path, true, resolve)
    return typeof found === "number" ? found : pathOf(found, this.caller.fs.root)
  }

  stat(path: string, follow = true): Stat | number {
    const found = this.walk(path, follow)
    return typeof found === "number" ? found : found.dentry.inode!.stat()
  }

  open(path: string, flags: number, mode = 0o666): OpenFileDescription | number {
    const file = this.vfs.open(this.caller, this.cwd, path, flags, mode)
    if (typeof file === "number" || file instanceof OpenFileDescription) return file
    throw new Error("the open waits")
  }

  /** An open that must succeed. */
  opened(path: string, flags: number, mode = 0o666): OpenFileDescription {
    const file = this.open(path, flags, mode)
    if (typeof file === "number") throw new Error(`open ${path}: ${file}`)
    return file
  }

  /** The names in a directory, in order, without "." and "..". */
  names(path: string): Array<string> | number {
    const file = this.open(path, 0o200000)
    if (typeof file === "number") return file
    const names: Array<string> = []
    const error = file.readDirectory(({ name }) => {
      names.push(name)
      return true
    })
    file.release()
    return error < 0 ? error : names.filter((name) => name !== "." && name !== "..")
  }
}

export const text = (bytes: string): Uint8Array => Buffer.from(bytes, "latin1")

/** All of a file from `offset` on. */
export const contentOf = (file: OpenFileDescription, offset = 0): string | number => {
  const into = new Uint8Array(1 << 16)
  const count = file.readAt(into, offset)
  return count < 0 ? count : Buffer.from(into.subarray(0, count)).toString("latin1")
}
