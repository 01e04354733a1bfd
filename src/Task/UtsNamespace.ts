/**
 * The names of the system, uts_namespaces(7).
 */
import type { Namespace, NamespaceIdentity } from "../Vfs/Namespace.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"

export class UtsNamespace implements Namespace {
  readonly kind = "uts"
  readonly ino: number
  readonly owner: UserNamespace
  /** Byte strings. */
  hostname: string
  domainname: string

  constructor({ ino, owner }: NamespaceIdentity, names: { readonly hostname: string; readonly domainname: string }) {
    this.ino = ino
    this.owner = owner
    this.hostname = names.hostname
    this.domainname = names.domainname
  }
}
