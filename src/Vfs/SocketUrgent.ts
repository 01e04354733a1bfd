/**
 * Out-of-band data of a stream socket, send(2) with MSG_OOB: one byte, in a message of its own in the queue. It is read
 * with MSG_OOB, or in line with SO_OOBINLINE, and leaves a mark in the stream that no read passes over.
 *
 * Atomic: every method.
 */
import { EINVAL } from "../Abi/Errno.ts"
import type { Message } from "./SocketMessage.ts"

export class UrgentData {
  /** Not read yet. What was urgent before it is ordinary data. */
  message: Message | undefined
  /** SO_OOBINLINE */
  inline = false

  /** recv(2) with MSG_OOB: how many bytes, or -EINVAL where there is none to be read so. */
  receive(into: Uint8Array, peek: boolean): number {
    const { message } = this
    if (this.inline || message === undefined) return -EINVAL
    const part = message.data.subarray(0, into.length)
    into.set(part)
    if (!peek) {
      this.message = undefined
      message.offset = message.data.length
    }
    return part.length
  }

  /** Whether `message` is where a read of what is before it ends. */
  isMark(message: Message): boolean {
    return message === this.message || message.offset === message.data.length
  }

  /** The index of the first message of `queue` that a read is to read; `drop` takes the first one out. */
  skip(queue: ReadonlyArray<Message>, peek: boolean, drop: () => void): number {
    let index = 0
    for (;;) {
      const message = queue[index]
      const reads =
        message === undefined || (message === this.message ? this.inline : message.offset < message.data.length)
      if (reads) {
        if (!peek && message === this.message) this.message = undefined
        return index
      }
      if (peek) index++
      else {
        if (message === this.message) this.message = undefined
        drop()
      }
    }
  }

  /** SIOCATMARK: whether the next byte of the stream is where out-of-band data is, or was. */
  atMark([first]: ReadonlyArray<Message>): boolean {
    return first !== undefined && (first === this.message || (this.message === undefined && this.isMark(first)))
  }
}
