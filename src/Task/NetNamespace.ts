/**
 * A network namespace, network_namespaces(7). There is no network in a sandbox: what one has of its own is the abstract
 * names of UNIX sockets.
 */
import type { Namespace, NamespaceIdentity } from "../Vfs/Namespace.ts"
import { AbstractNames } from "../Vfs/SocketNames.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"

export class NetNamespace implements Namespace {
  readonly kind = "net"
  readonly ino: number
  readonly owner: UserNamespace
  readonly names = new AbstractNames()

  constructor({ ino, owner }: NamespaceIdentity) {
    this.ino = ino
    this.owner = owner
  }
}
