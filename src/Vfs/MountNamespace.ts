/**
 * A mount namespace, mount_namespaces(7): a tree of mounts. It lives as long as a task is in it or a file refers to it.
 */
import { Location, type Mount } from "./Mount.ts"
import type { Namespace, NamespaceIdentity } from "./Namespace.ts"
import type { UserNamespace } from "./UserNamespace.ts"

export class MountNamespace implements Namespace {
  readonly kind = "mnt"
  readonly ino: number
  readonly owner: UserNamespace
  /** The mounts of the tree. Atomic: MountTree. */
  readonly mounts = new Set<Mount>()
  #root: Mount | undefined
  /** File contexts of tasks, and open files, that refer to it. Atomic: `use`, `unuse`. */
  #users = 0
  readonly #ended: (namespace: MountNamespace) => void

  /** `ended` is told when the last user has gone. */
  constructor({ ino, owner }: NamespaceIdentity, ended: (namespace: MountNamespace) => void) {
    this.ino = ino
    this.owner = owner
    this.#ended = ended
  }

  /** The mount at the bottom, which nothing can unmount: tasks see what is mounted on it. Atomic: set once. */
  get root(): Mount {
    return this.#root!
  }

  set root(mount: Mount) {
    this.#root = mount
  }

  /** What "/" is for who has just entered it. */
  get top(): Location {
    return new Location(this.root, this.root.root).covered
  }

  /** The mounts as mountinfo lists them: in the order in which they were made. */
  get inOrder(): ReadonlyArray<Mount> {
    return [...this.mounts].sort((a, b) => a.id - b.id)
  }

  use(): this {
    this.#users++
    return this
  }

  unuse(): void {
    this.#users--
    if (this.#users === 0) this.#ended(this)
  }
}
