/**
 * Where sockets are found: by inode, for names in the filesystem, and by abstract name.
 *
 * Atomic: every method.
 */
import { EADDRINUSE, ECONNREFUSED } from "../Abi/Errno.ts"
import type { SocketName } from "./SocketMessage.ts"
import type { UnixSocket } from "./SocketUnix.ts"

const MAX_AUTOBIND = 0xfffff

/** The sockets with names in the filesystem. One per sandbox. */
export class SocketInodes {
  readonly #byInode = new WeakMap<object, UnixSocket>()

  /** The socket bound to an inode; -ECONNREFUSED if its socket is gone. */
  find(inode: object): UnixSocket | number {
    return this.#byInode.get(inode) ?? -ECONNREFUSED
  }

  bind(inode: object, socket: UnixSocket): void {
    this.#byInode.set(inode, socket)
  }

  forget(inode: object): void {
    this.#byInode.delete(inode)
  }
}

/** Abstract names, unix(7), with their leading NUL. One per network namespace. */
export class AbstractNames {
  readonly #byName = new Map<string, UnixSocket>()
  #lastAutobind = 0

  /** The socket with that name, or -ECONNREFUSED. */
  find(name: Uint8Array): UnixSocket | number {
    return this.#byName.get(key(name)) ?? -ECONNREFUSED
  }

  bind(name: Uint8Array, socket: UnixSocket): number {
    if (this.#byName.has(key(name))) return -EADDRINUSE
    this.#byName.set(key(name), socket)
    return 0
  }

  forget(name: Uint8Array): void {
    this.#byName.delete(key(name))
  }

  /** A free name of five hexadecimal digits, unix(7) autobind. */
  unused(): NonNullable<SocketName> {
    for (;;) {
      this.#lastAutobind = (this.#lastAutobind + 1) & MAX_AUTOBIND
      const name = Buffer.from(`\0${this.#lastAutobind.toString(16).padStart(5, "0")}`, "latin1")
      if (!this.#byName.has(key(name))) return name
    }
  }
}

const key = (name: Uint8Array): string => Buffer.from(name).toString("latin1")
