/**
 * Namespaces as files: what the links in /proc/[pid]/ns lead to, namespaces(7). They live in a filesystem that is mounted
 * nowhere, and each in one inode, by whose number users tell them apart.
 */
import { IpcNamespace } from "../Ipc/IpcNamespace.ts"
import { GeneratedFile, PseudoFs } from "../Vfs/PseudoFs.ts"
import type { OpenRequest } from "../Vfs/Inode.ts"
import { Location } from "../Vfs/Mount.ts"
import { MountNamespace } from "../Vfs/MountNamespace.ts"
import type { Namespace } from "../Vfs/Namespace.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import type { Stat } from "../Vfs/Stat.ts"
import type { Vfs } from "../Vfs/Vfs.ts"

/** NSFS_MAGIC. */
const MAGIC = 0x6e73_6673

/** What readlink(2) shows. */
export const nameOfNamespace = ({ ino, kind }: Namespace): string => `${kind}:[${ino}]`

class NamespaceInode extends GeneratedFile {
  override readonly ino: number
  readonly namespace: Namespace

  constructor(filesystem: PseudoFs, namespace: Namespace) {
    super(filesystem, {}, { mode: 0o444 })
    this.ino = namespace.ino
    this.namespace = namespace
  }

  override open(request: OpenRequest): OpenFileDescription {
    return new NamespaceDescription(this, request)
  }
}

/** Whether it ends when its last user goes. */
const isCounted = (namespace: Namespace): namespace is MountNamespace | IpcNamespace =>
  namespace instanceof MountNamespace || namespace instanceof IpcNamespace

/** A descriptor that setns(2) takes. */
export class NamespaceDescription extends OpenFileDescription {
  readonly namespace: Namespace
  readonly #inode: NamespaceInode
  readonly #location: Location

  constructor(inode: NamespaceInode, request: OpenRequest) {
    super(request.flags)
    this.namespace = inode.namespace
    this.#inode = inode
    this.#location = request.location
    if (isCounted(this.namespace)) this.namespace.use()
  }

  protected override onLastClose(): void {
    if (isCounted(this.namespace)) this.namespace.unuse()
  }

  override stat(): Stat | number {
    return this.#inode.stat()
  }

  override location(): Location {
    return this.#location
  }

  override describe(): string {
    return nameOfNamespace(this.namespace)
  }

  override lockTarget(): object {
    return this.#inode
  }
}

/** The filesystem. One per sandbox. */
export class NamespaceFiles {
  readonly #vfs: Vfs
  readonly #filesystem: PseudoFs
  readonly #root: Location
  /** A namespace that is gone takes its inode with it. */
  readonly #places = new WeakMap<Namespace, Location>()

  constructor(vfs: Vfs) {
    this.#vfs = vfs
    this.#filesystem = new PseudoFs({ name: "nsfs", device: vfs.newDevice(), magic: MAGIC, clock: vfs.clock })
    this.#root = vfs.mountInternal(this.#filesystem)
  }

  /** Where the file of `namespace` is. */
  place(namespace: Namespace): Location {
    let place = this.#places.get(namespace)
    if (place === undefined) {
      const { dentry, mount } = this.#root
      const inode = new NamespaceInode(this.#filesystem, namespace)
      place = new Location(mount, this.#vfs.unnamedDentry(dentry, nameOfNamespace(namespace), inode))
      this.#places.set(namespace, place)
    }
    return place
  }
}
