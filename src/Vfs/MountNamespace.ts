/**
 * A mount namespace, mount_namespaces(7).
 */
import type { Namespace, NamespaceIdentity } from "./Namespace.ts"
import type { UserNamespace } from "./UserNamespace.ts"

export class MountNamespace implements Namespace {
  readonly kind = "mnt"
  readonly ino: number
  readonly owner: UserNamespace

  constructor({ ino, owner }: NamespaceIdentity) {
    this.ino = ino
    this.owner = owner
  }
}
