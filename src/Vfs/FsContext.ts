/**
 * What fs_struct is in Linux: a root directory, a working directory and a umask. Tasks made with CLONE_FS share one;
 * fork copies it. It also says in which mount namespace they are: Linux refuses to let tasks that share a root and a
 * working directory be in different ones.
 *
 * Atomic: every method.
 */
import { Location, type Mount } from "./Mount.ts"
import type { MountNamespace } from "./MountNamespace.ts"

export class FsContext {
  umask: number
  #namespace: MountNamespace
  #root: Location
  #workingDirectory: Location
  #users = 1

  constructor(
    root: Location,
    workingDirectory: Location = root,
    umask = 0o022,
    namespace: MountNamespace = root.mount.namespace!
  ) {
    this.#root = root
    this.#workingDirectory = workingDirectory
    this.#namespace = namespace
    this.umask = umask
    root.mount.use()
    workingDirectory.mount.use()
    namespace.use()
  }

  get root(): Location {
    return this.#root
  }

  set root(place: Location) {
    const before = this.#root
    place.mount.use()
    this.#root = place
    before.mount.unuse()
  }

  get workingDirectory(): Location {
    return this.#workingDirectory
  }

  set workingDirectory(place: Location) {
    const before = this.#workingDirectory
    place.mount.use()
    this.#workingDirectory = place
    before.mount.unuse()
  }

  get namespace(): MountNamespace {
    return this.#namespace
  }

  /** Goes to another mount namespace, where the place of each mount is another one. */
  enter(namespace: MountNamespace, root: Location, workingDirectory: Location): void {
    const before = this.#namespace
    this.#namespace = namespace.use()
    this.root = root
    this.workingDirectory = workingDirectory
    before.unuse()
  }

  /** One more task shares it (CLONE_FS). */
  share(): this {
    this.#users++
    return this
  }

  get shared(): boolean {
    return this.#users > 1
  }

  /** One's own with the same values (fork, unshare). */
  copy(): FsContext {
    return new FsContext(this.root, this.workingDirectory, this.umask, this.#namespace)
  }

  /** One's own in `namespace`, made as a copy of this one's: `copies` says which mount became which. */
  copyInto(namespace: MountNamespace, copies: ReadonlyMap<Mount, Mount>): FsContext {
    const moved = ({ dentry, mount }: Location): Location => new Location(copies.get(mount) ?? mount, dentry)
    return new FsContext(moved(this.root), moved(this.workingDirectory), this.umask, namespace)
  }

  /** A task leaves; the last one lets go of the places and the namespace. */
  leave(): void {
    this.#users--
    if (this.#users > 0) return
    this.#root.mount.unuse()
    this.#workingDirectory.mount.unuse()
    this.#namespace.unuse()
  }
}
