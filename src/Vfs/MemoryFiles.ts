/**
 * Files in memory without a name in the tree: memfd_create(2) and shared anonymous memory.
 */
import { S_IFREG } from "../Abi/FileMode.ts"
import { O_LARGEFILE, O_RDWR } from "../Abi/OpenFlags.ts"
import type { Caller } from "./Inode.ts"
import { MemoryFile } from "./MemoryFile.ts"
import { Location } from "./Mount.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"
import type { Vfs } from "./Vfs.ts"

/** A new empty file shown as "/<name> (deleted)", open for reading and writing; or -errno. */
export const memoryFile = (
  vfs: Vfs,
  caller: Caller,
  name: string,
  permissions: number,
  sealable = false
): OpenFileDescription | number => {
  const root = vfs.unnamedFiles
  const { fsuid, fsgid } = caller.credentials
  const inode = root.dentry.inode!.createUnnamed({ mode: S_IFREG | permissions, uid: fsuid, gid: fsgid, rdev: 0 })
  if (typeof inode === "number") return inode
  if (inode instanceof MemoryFile) inode.sealable = sealable
  const location = new Location(root.mount, vfs.unnamedDentry(root.dentry, name, inode))
  return inode.open({ flags: O_RDWR | O_LARGEFILE, location, caller, created: true })
}
