/**
 * The files of a sandbox at the end of a run.
 */
import { isDirectory, isRegular } from "../Abi/FileMode.ts"
import { O_DIRECTORY } from "../Abi/OpenFlags.ts"
import type { Kernel } from "../Kernel.ts"
import type { Credentials } from "../Vfs/Credentials.ts"
import { FsContext } from "../Vfs/FsContext.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"

/** Contents of regular files by absolute path; other kinds of files are left out. */
export type FileTree = ReadonlyMap<string, Uint8Array>

/** Bytes of one file that are kept. */
const MAX_SIZE = 16 * 1024 * 1024

/** What is below `directories`, or at them. What is not there is left out. */
export const readTree = (kernel: Kernel, credentials: Credentials, directories: ReadonlyArray<string>): FileTree => {
  const { vfs } = kernel.system
  const caller = { fs: new FsContext(vfs.root, vfs.root, 0), credentials, tid: 0, threadGroup: { tgid: 0 } }
  const tree = new Map<string, Uint8Array>()
  const open = (path: string, flags: number): OpenFileDescription | undefined => {
    const file = vfs.open(caller, vfs.root, path, flags, 0)
    return file instanceof OpenFileDescription ? file : undefined
  }
  const visit = (path: string): void => {
    const location = vfs.walk(caller, vfs.root, path, { follow: false })
    const mode = typeof location === "number" ? 0 : location.dentry.inode?.mode
    if (mode === undefined) return
    if (isDirectory(mode)) visitAll(path)
    else if (isRegular(mode)) {
      const file = open(path, 0)
      if (file === undefined) return
      tree.set(path, contents(file))
      file.release()
    }
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
