/**
 * The files of a sandbox at the end of a run.
 */
import { isDirectory, isRegular, isSymlink } from "../Abi/FileMode.ts"
import { O_DIRECTORY } from "../Abi/OpenFlags.ts"
import type { Kernel } from "../Kernel.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { callerIn } from "./SimulatedKernel.ts"

/** A file as stat(2) has it, and what is in it. */
export interface TreeEntry {
  /** Type and permissions. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Seconds since 1970. */
  readonly mtime: number
  /** Of a regular file. */
  readonly contents?: Uint8Array
  /** Of a symbolic link. */
  readonly target?: string
}

/** Files by absolute path. */
export type FileTree = ReadonlyMap<string, TreeEntry>

/** Bytes of one file that are kept. */
const MAX_SIZE = 16 * 1024 * 1024

/** What is below `directories`, or at them. What is not there is left out. */
export const readTree = (kernel: Kernel, directories: ReadonlyArray<string>): FileTree => {
  const { vfs } = kernel.system
  const caller = callerIn(kernel)
  const tree = new Map<string, TreeEntry>()
  const open = (path: string, flags: number): OpenFileDescription | undefined => {
    const file = vfs.open(caller, vfs.root, path, flags, 0)
    return file instanceof OpenFileDescription ? file : undefined
  }
  const contentsAt = (path: string): Uint8Array => {
    const file = open(path, 0)
    if (file === undefined) return new Uint8Array()
    const bytes = contents(file)
    file.release()
    return bytes
  }
  const visit = (path: string): void => {
    const location = vfs.walk(caller, vfs.root, path, { follow: false })
    const inode = typeof location === "number" ? undefined : location.dentry.inode
    const stat = inode?.stat() ?? 0
    if (inode === undefined || typeof stat === "number") return
    const { gid, mode, mtime, uid } = stat
    const target = isSymlink(mode) ? inode.readlink(caller) : undefined
    tree.set(path, {
      mode,
      uid,
      gid,
      mtime: mtime.seconds,
      ...(isRegular(mode) ? { contents: contentsAt(path) } : {}),
      ...(typeof target === "string" ? { target } : {})
    })
    if (isDirectory(mode)) visitAll(path)
  }
  const visitAll = (path: string): void => {
    const directory = open(path, O_DIRECTORY)
    if (directory === undefined) return
    const names: Array<string> = []
    directory.readDirectory(({ name }) => names.push(name) > 0)
    directory.release()
    for (const name of names.sort()) if (name !== "." && name !== "..") visit(`${path === "/" ? "" : path}/${name}`)
  }
  for (const path of directories) visit(path)
  return tree
}

/** The contents of the regular files among them. */
export const contentsOf = (tree: FileTree): ReadonlyMap<string, Uint8Array> =>
  new Map([...tree].flatMap(([path, { contents }]) => (contents === undefined ? [] : [[path, contents] as const])))

const contents = (file: OpenFileDescription): Uint8Array => {
  const chunks: Array<Uint8Array> = []
  let size = 0
  while (size < MAX_SIZE) {
    const chunk = new Uint8Array(65_536)
    const count = file.readAt(chunk, size)
    if (count <= 0) break
    chunks.push(chunk.subarray(0, count))
    size += count
  }
  return Buffer.concat(chunks)
}
