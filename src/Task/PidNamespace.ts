/**
 * A PID namespace, pid_namespaces(7).
 */
import type { Namespace, NamespaceIdentity } from "../Vfs/Namespace.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"

export class PidNamespace implements Namespace {
  readonly kind = "pid"
  readonly ino: number
  readonly owner: UserNamespace
  readonly parent: PidNamespace | undefined

  constructor({ ino, owner }: NamespaceIdentity, parent: PidNamespace | undefined) {
    this.ino = ino
    this.owner = owner
    this.parent = parent
  }
}
