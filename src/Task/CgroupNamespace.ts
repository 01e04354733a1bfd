/**
 * A cgroup namespace, cgroup_namespaces(7). A sandbox has one cgroup, the root, and so it looks the same from everywhere.
 */
import type { Namespace, NamespaceIdentity } from "../Vfs/Namespace.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"

export class CgroupNamespace implements Namespace {
  readonly kind = "cgroup"
  readonly ino: number
  readonly owner: UserNamespace

  constructor({ ino, owner }: NamespaceIdentity) {
    this.ino = ino
    this.owner = owner
  }
}
