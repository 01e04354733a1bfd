/**
 * Random operations on a tree of files, carried out by the host's kernel in a real directory and by a Vfs; what both
 * answer must be equal. Paths are relative and stay near the base directory.
 */
import * as fs from "node:fs"
import * as fc from "fast-check"
import { FsContext } from "../../src/Vfs/FsContext.ts"
import * as Attributes from "../../src/Vfs/Attributes.ts"
import * as Host from "../../src/Vfs/HostCalls.ts"
import * as Names from "../../src/Vfs/Names.ts"
import { EBADF, EINVAL, ENOTDIR } from "../../src/Abi/Errno.ts"
import { isDirectory } from "../../src/Abi/FileMode.ts"
import { pathOf } from "../../src/Vfs/Mount.ts"
import type { OpenFileDescription } from "../../src/Vfs/OpenFileDescription.ts"
import type { Stat } from "../../src/Vfs/Stat.ts"
import { type Fixture, text } from "./VfsFixture.ts"

export type Operation =
  | { readonly _tag: "mkdir"; readonly path: string; readonly mode: number }
  | { readonly _tag: "rmdir"; readonly path: string }
  | { readonly _tag: "unlink"; readonly path: string }
  | { readonly _tag: "rename"; readonly from: string; readonly to: string }
  | { readonly _tag: "rename2"; readonly from: string; readonly to: string; readonly flags: number }
  | { readonly _tag: "link"; readonly from: string; readonly to: string }
  | { readonly _tag: "symlink"; readonly target: string; readonly path: string }
  | { readonly _tag: "readlink"; readonly path: string }
  | { readonly _tag: "stat"; readonly path: string }
  | { readonly _tag: "lstat"; readonly path: string }
  | {
      readonly _tag: "write"
      readonly path: string
      readonly flags: number
      readonly at: number
      readonly data: string
    }
  | { readonly _tag: "read"; readonly path: string }
  | { readonly _tag: "truncate"; readonly path: string; readonly length: number }
  | { readonly _tag: "chmod"; readonly path: string; readonly mode: number }
  | { readonly _tag: "list"; readonly path: string }
  | { readonly _tag: "chdir"; readonly path: string }
  | { readonly _tag: "cwd" }
  // with a file that stays open, one of few
  | { readonly _tag: "open"; readonly slot: number; readonly path: string; readonly flags: number }
  | { readonly _tag: "fwrite"; readonly slot: number; readonly data: string }
  | { readonly _tag: "fread"; readonly slot: number; readonly at: number }
  | { readonly _tag: "fstat"; readonly slot: number }
  | { readonly _tag: "ftruncate"; readonly slot: number; readonly length: number }
  | { readonly _tag: "close"; readonly slot: number }

const name = fc.constantFrom("a", "b", "c", "f", "l")
const plainPath = fc.oneof(
  { weight: 4, arbitrary: name },
  { weight: 4, arbitrary: fc.tuple(name, name).map((parts) => parts.join("/")) },
  { weight: 2, arbitrary: fc.tuple(name, name, name).map((parts) => parts.join("/")) }
)
/** Mostly plain; sometimes with dots, doubled and trailing slashes, or names that are too long. */
const path = fc.oneof(
  { weight: 20, arbitrary: plainPath },
  { weight: 3, arbitrary: plainPath.map((p) => `${p}/`) },
  { weight: 1, arbitrary: plainPath.map((p) => `${p}/.`) },
  { weight: 1, arbitrary: plainPath.map((p) => `${p}/..`) },
  { weight: 1, arbitrary: plainPath.map((p) => `./${p.replace("/", "//")}`) },
  { weight: 1, arbitrary: fc.constantFrom("", ".", "x".repeat(255), "x".repeat(256), `a/${"x".repeat(256)}`) }
)
const target = fc.oneof(plainPath, fc.constantFrom("../a", "../b/c", ".", "..", "l", "a/", "", "c/../f"))
const mode = fc.constantFrom(0o755, 0o644, 0o600, 0o4755, 0o2755, 0o1777, 0)

const slot = fc.constantFrom(0, 1)

export const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ _tag: fc.constant("mkdir" as const), path, mode }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("rmdir" as const), path }) },
  { weight: 3, arbitrary: fc.record({ _tag: fc.constant("unlink" as const), path }) },
  { weight: 6, arbitrary: fc.record({ _tag: fc.constant("rename" as const), from: path, to: path }) },
  // one above the other
  {
    weight: 2,
    arbitrary: fc.tuple(plainPath, name, fc.boolean()).map(([above, name, up]) => {
      const below = `${above}/${name}`
      return { _tag: "rename" as const, from: up ? below : above, to: up ? above : below }
    })
  },
  {
    weight: 4,
    arbitrary: fc.record({ _tag: fc.constant("rename2" as const), from: name, to: name, flags: fc.constantFrom(1, 2) })
  },
  { weight: 4, arbitrary: fc.record({ _tag: fc.constant("link" as const), from: path, to: path }) },
  { weight: 4, arbitrary: fc.record({ _tag: fc.constant("symlink" as const), target, path }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("readlink" as const), path }) },
  { weight: 3, arbitrary: fc.record({ _tag: fc.constant("stat" as const), path }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("lstat" as const), path }) },
  {
    weight: 8,
    arbitrary: fc.record({
      _tag: fc.constant("write" as const),
      path,
      // O_WRONLY | O_CREAT, and with O_EXCL, O_TRUNC, O_APPEND, O_NOFOLLOW, O_DIRECTORY
      flags: fc.constantFrom(0o101, 0o101, 0o301, 0o1101, 0o2101, 0o400101, 0o1, 0o1001, 0o200000, 0o400000),
      at: fc.constantFrom(0, 1, 4095, 4096, 9000),
      data: fc.constantFrom("", "x", "hello", "y".repeat(5000))
    })
  },
  { weight: 3, arbitrary: fc.record({ _tag: fc.constant("read" as const), path }) },
  {
    weight: 3,
    arbitrary: fc.record({
      _tag: fc.constant("truncate" as const),
      path,
      length: fc.constantFrom(0, 1, 100, 4096, 8193)
    })
  },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("chmod" as const), path, mode }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("list" as const), path }) },
  { weight: 3, arbitrary: fc.record({ _tag: fc.constant("chdir" as const), path: plainPath }) },
  { weight: 1, arbitrary: fc.constant({ _tag: "cwd" as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      _tag: fc.constant("open" as const),
      slot,
      path,
      flags: fc.constantFrom(0, 2, 0o102, 0o302, 0o1102, 0o2102, 0o400000, 0o200000)
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      _tag: fc.constant("fwrite" as const),
      slot,
      data: fc.constantFrom("a", "bcd", "e".repeat(4097))
    })
  },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("fread" as const), slot, at: fc.constantFrom(0, 1, 4096) }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("fstat" as const), slot }) },
  {
    weight: 1,
    arbitrary: fc.record({ _tag: fc.constant("ftruncate" as const), slot, length: fc.constantFrom(0, 2, 5000) })
  },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("close" as const), slot }) }
)

/** What an operation answers: -errno, or a description of success. */
export type Answer = number | string

const show = (mode: number, nlink: number, size: number): string => {
  const directory = (mode & 0o170000) === 0o040000
  return `${mode.toString(8)} links ${nlink} size ${directory ? "-" : size}`
}

const listing = (names: Array<string>): string => names.toSorted().join(" ")

/** Descriptors by slot. */
export type Slots<File> = Map<number, File>

/** Runs an operation with the host's kernel in this process's working directory; `top` is cut off what it answers. */
export const runOnHost = (top: string, slots: Slots<number>, operation: Operation): Answer => {
  const at = (path: string): string => path
  const fd = "slot" in operation ? (slots.get(operation.slot) ?? -1) : -1
  try {
    switch (operation._tag) {
      case "mkdir":
        fs.mkdirSync(at(operation.path), operation.mode)
        return 0
      case "rmdir":
        fs.rmdirSync(at(operation.path))
        return 0
      case "unlink":
        fs.unlinkSync(at(operation.path))
        return 0
      case "rename":
        fs.renameSync(at(operation.from), at(operation.to))
        return 0
      case "rename2": {
        const directory = Host.openRoot(".")
        const error = Host.renameAt(directory, operation.from, directory, operation.to, operation.flags)
        Host.close(directory)
        return error
      }
      case "link":
        fs.linkSync(at(operation.from), at(operation.to))
        return 0
      case "symlink":
        fs.symlinkSync(operation.target, at(operation.path))
        return 0
      case "readlink":
        return fs.readlinkSync(at(operation.path))
      case "stat":
      case "lstat": {
        const stat = operation._tag === "stat" ? fs.statSync(at(operation.path)) : fs.lstatSync(at(operation.path))
        return show(stat.mode, stat.nlink, stat.size)
      }
      case "write": {
        const fd = fs.openSync(at(operation.path), operation.flags, 0o666)
        try {
          if ((operation.flags & 3) === 0) return 0
          return fs.writeSync(fd, Buffer.from(operation.data), 0, operation.data.length, operation.at)
        } finally {
          fs.closeSync(fd)
        }
      }
      case "read":
        return fs.readFileSync(at(operation.path), "latin1")
      case "truncate":
        fs.truncateSync(at(operation.path), operation.length)
        return 0
      case "chmod":
        fs.chmodSync(at(operation.path), operation.mode)
        return 0
      case "list":
        return listing(fs.readdirSync(at(operation.path)))
      case "chdir":
        process.chdir(operation.path)
        return 0
      case "cwd":
        return fs.readlinkSync("/proc/self/cwd").replace(top, "")
      case "open": {
        const opened = fs.openSync(operation.path, operation.flags, 0o666)
        if (fd >= 0) fs.closeSync(fd)
        slots.set(operation.slot, opened)
        return fs.readlinkSync(`/proc/self/fd/${opened}`).replace(top, "")
      }
    }
    if (fd < 0) return 0
    switch (operation._tag) {
      case "fwrite":
        return fs.writeSync(fd, Buffer.from(operation.data))
      case "fread": {
        const into = Buffer.alloc(10_000)
        return into.toString("latin1", 0, fs.readSync(fd, into, 0, into.length, operation.at))
      }
      case "fstat": {
        const stat = fs.fstatSync(fd)
        const name = fs.readlinkSync(`/proc/self/fd/${fd}`).replace(top, "")
        return `${name} ${show(stat.mode, stat.nlink, stat.size)}`
      }
      case "ftruncate":
        fs.ftruncateSync(fd, operation.length)
        return 0
      case "close":
        slots.delete(operation.slot)
        fs.closeSync(fd)
        return 0
    }
  } catch (error) {
    if (error instanceof Error && "errno" in error && typeof error.errno === "number") return error.errno
    throw error
  }
}

const showStat = (stat: Stat | number): Answer =>
  typeof stat === "number" ? stat : show(stat.mode, stat.nlink, stat.size)

/** Runs an operation with the Vfs, from the working directory. */
export const runOnVfs = (
  fixture: Fixture,
  operation: Operation,
  slots: Slots<OpenFileDescription> = new Map()
): Answer => {
  if ("slot" in operation && operation._tag !== "open") return runOnFile(slots, operation)
  const { vfs, caller, cwd } = fixture
  switch (operation._tag) {
    case "mkdir":
      return Names.mkdir(vfs, caller, cwd, operation.path, operation.mode)
    case "rmdir":
      return Names.rmdir(vfs, caller, cwd, operation.path)
    case "unlink":
      return Names.unlink(vfs, caller, cwd, operation.path)
    case "rename":
      return Names.rename(vfs, caller, cwd, operation.from, cwd, operation.to, 0)
    case "rename2":
      return Names.rename(vfs, caller, cwd, operation.from, cwd, operation.to, operation.flags)
    case "link": {
      const source = fixture.walk(operation.from, false)
      return typeof source === "number" ? source : Names.link(vfs, caller, source, cwd, operation.to)
    }
    case "symlink":
      return Names.symlink(vfs, caller, operation.target, cwd, operation.path)
    case "readlink": {
      const found = fixture.walk(operation.path, false)
      return typeof found === "number" ? found : found.dentry.inode!.readlink(caller)
    }
    case "stat":
      return showStat(fixture.stat(operation.path))
    case "lstat":
      return showStat(fixture.stat(operation.path, false))
    case "write": {
      const file = fixture.open(operation.path, operation.flags)
      if (typeof file === "number") return file
      const count = (operation.flags & 3) === 0 ? 0 : file.writeAt(text(operation.data), operation.at)
      file.release()
      return count
    }
    case "read": {
      const file = fixture.open(operation.path, 0)
      if (typeof file === "number") return file
      const into = new Uint8Array(65_536)
      const count = file.read(into)
      file.release()
      return count < 0 ? count : Buffer.from(into.subarray(0, count)).toString("latin1")
    }
    case "truncate": {
      const found = fixture.walk(operation.path)
      return typeof found === "number" ? found : Attributes.changeSize(vfs, caller, found, operation.length)
    }
    case "chmod": {
      const found = fixture.walk(operation.path)
      return typeof found === "number" ? found : Attributes.changeMode(caller, found, operation.mode)
    }
    case "list": {
      const names = fixture.names(operation.path)
      return typeof names === "number" ? names : listing(names)
    }
    case "chdir": {
      const found = fixture.walk(operation.path)
      if (typeof found === "number") return found
      if (!isDirectory(found.dentry.inode!.mode)) return -ENOTDIR
      fixture.caller.fs.workingDirectory = found
      return 0
    }
    case "cwd":
      return pathOf(cwd, fixture.root)
    case "open": {
      const file = fixture.open(operation.path, operation.flags)
      if (typeof file === "number") return file
      slots.get(operation.slot)?.release()
      slots.set(operation.slot, file)
      return file.describe()
    }
  }
}

type FileOperation = Exclude<Extract<Operation, { readonly slot: number }>, { readonly _tag: "open" }>

const runOnFile = (slots: Slots<OpenFileDescription>, operation: FileOperation): Answer => {
  const file = slots.get(operation.slot)
  if (file === undefined) return 0
  switch (operation._tag) {
    case "fwrite":
      return file.writable ? file.write(text(operation.data)) : -EBADF
    case "fread": {
      const into = Buffer.alloc(10_000)
      const count = file.readable ? file.readAt(into, operation.at) : -EBADF
      return count < 0 ? count : into.toString("latin1", 0, count)
    }
    case "fstat": {
      const stat = file.stat()
      return typeof stat === "number" ? stat : `${file.describe()} ${showStat(stat)}`
    }
    case "ftruncate":
      return file.writable ? file.truncate(operation.length) : -EINVAL
    case "close":
      slots.delete(operation.slot)
      file.release()
      return 0
  }
}

/** Every file below `directory` with its type, mode, links, size and content: of the host. */
export const dumpHost = (directory: string, prefix = ""): Array<string> => {
  const lines: Array<string> = []
  for (const entry of fs.readdirSync(`${directory}/${prefix}`).toSorted()) {
    const path = `${prefix}${entry}`
    const stat = fs.lstatSync(`${directory}/${path}`)
    const shown = show(stat.mode, stat.nlink, stat.size)
    if (stat.isSymbolicLink()) lines.push(`${path} ${shown} -> ${fs.readlinkSync(`${directory}/${path}`)}`)
    else if (stat.isFile()) lines.push(`${path} ${shown} ${fs.readFileSync(`${directory}/${path}`, "latin1")}`)
    else lines.push(`${path} ${shown}`)
    if (stat.isDirectory()) lines.push(...dumpHost(directory, `${path}/`))
  }
  return lines
}

/** The same of the Vfs, below the working directory. */
export const dumpVfs = (fixture: Fixture, prefix = ""): Array<string> => {
  const lines: Array<string> = []
  const names = fixture.names(prefix === "" ? "." : prefix)
  if (typeof names === "number") throw new Error(`list ${prefix}: ${names}`)
  for (const entry of names.toSorted()) {
    const path = `${prefix}${entry}`
    const shown = runOnVfs(fixture, { _tag: "lstat", path })
    const stat = fixture.stat(path, false)
    const type = typeof stat === "number" ? 0 : stat.mode & 0o170000
    if (type === 0o120000) lines.push(`${path} ${shown} -> ${runOnVfs(fixture, { _tag: "readlink", path })}`)
    else if (type === 0o100000) lines.push(`${path} ${shown} ${runOnVfs(fixture, { _tag: "read", path })}`)
    else lines.push(`${path} ${shown}`)
    if (type === 0o040000) lines.push(...dumpVfs(fixture, `${path}/`))
  }
  return lines
}

/** Makes `path` the working directory. */
export const enter = (fixture: Fixture, path: string): void => {
  const found = fixture.walk(path)
  if (typeof found === "number") throw new Error(`chdir ${path}: ${found}`)
  const { fs } = fixture.caller
  fixture.caller = { ...fixture.caller, fs: new FsContext(fs.root, found, fs.umask) }
}
