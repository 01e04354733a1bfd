/**
 * Where sockets are found: by inode, for names in the filesystem, and by abstract name. One per sandbox.
 *
 * Atomic: every method.
 */
import { EADDRINUSE, ECONNREFUSED } from "../Abi/Errno.ts"
import type { SocketName } from "./SocketMessage.ts"
import type { UnixSocket } from "./SocketUnix.ts"

const MAX_AUTOBIND = 0xfffff

export class SocketNames {
  readonly #byInode = new WeakMap<object, UnixSocket>()
  readonly #byName = new Map<string, UnixSocket>()
  #lastAutobind = 0

  /** The socket bound to an inode; -ECONNREFUSED if its socket is gone. */
  atInode(inode: object): UnixSocket | number {
    return this.#byInode.get(inode) ?? -ECONNREFUSED
  }

  bindInode(inode: object, socket: UnixSocket): void {
    this.#byInode.set(inode, socket)
  }

  forgetInode(inode: object): void {
    this.#byInode.delete(inode)
  }

  /** The socket with an abstract name (its leading NUL included), or -ECONNREFUSED. */
  atName(name: Uint8Array): UnixSocket | number {
    return this.#byName.get(key(name)) ?? -ECONNREFUSED
  }

  bindName(name: Uint8Array, socket: UnixSocket): number {
    if (this.#byName.has(key(name))) return -EADDRINUSE
    this.#byName.set(key(name), socket)
    return 0
  }

  forgetName(name: Uint8Array): void {
    this.#byName.delete(key(name))
  }

  /** A free abstract name of five hexadecimal digits, unix(7) autobind. */
  freeName(): NonNullable<SocketName> {
    for (;;) {
      this.#lastAutobind = (this.#lastAutobind + 1) & MAX_AUTOBIND
      const name = Buffer.from(`\0${this.#lastAutobind.toString(16).padStart(5, "0")}`, "latin1")
      if (!this.#byName.has(key(name))) return name
    }
  }
}

const key = (name: Uint8Array): string => Buffer.from(name).toString("latin1")
