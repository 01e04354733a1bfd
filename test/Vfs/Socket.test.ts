import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { EAGAIN, ECONNREFUSED, ECONNRESET, EMSGSIZE, EPERM, EPIPE } from "../../src/Abi/Errno.ts"
import { POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from "../../src/Abi/Poll.ts"
import { SHUT_WR, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM } from "../../src/Abi/Socket.ts"
import { hostTimekeeper } from "../../src/Time/Timekeeper.ts"
import { Timers } from "../../src/Time/Timers.ts"
import { AnonymousFiles } from "../../src/Vfs/AnonymousFiles.ts"
import { PipeDescription } from "../../src/Vfs/Pipe.ts"
import { UnixSocket } from "../../src/Vfs/SocketUnix.ts"

const files = new AnonymousFiles(hostTimekeeper, new Timers(hostTimekeeper))
const me = { pid: 1, uid: 0, gid: 0 }
const make = (type: number) => new UnixSocket(files.attributes("socket", { fsuid: 0, fsgid: 0 }), type, 0, me)
const pair = (type: number) => {
  const [a, b] = [make(type), make(type)]
  a.connectPair(b)
  return [a, b] as const
}
const bytes = (text: string) => Buffer.from(text, "latin1")
const read = (socket: UnixSocket, room = 100): string | number => {
  const buffer = Buffer.alloc(room)
  const count = socket.read(buffer)
  return count < 0 ? count : buffer.toString("latin1", 0, count)
}

describe("AF_UNIX sockets", () => {
  it("stream: joins what was written, and ends when the other end closes", () => {
    const [a, b] = pair(SOCK_STREAM)
    a.write(bytes("ab"))
    a.write(bytes("cd"))
    assert.strictEqual(read(b, 3), "abc")
    assert.strictEqual(b.readiness() & (POLLIN | POLLOUT | POLLHUP), POLLIN | POLLOUT)
    a.release()
    assert.strictEqual(read(b), "d")
    assert.strictEqual(read(b), "")
    assert.strictEqual(b.readiness() & POLLHUP, POLLHUP)
    assert.strictEqual(b.write(bytes("x")), -EPIPE)
  })

  it("stream: bytes arrive in order, whatever the sizes", () => {
    const Step = fc.record({ write: fc.integer({ min: 1, max: 50_000 }), read: fc.integer({ min: 1, max: 60_000 }) })
    fc.assert(
      fc.property(fc.array(Step, { maxLength: 20 }), (steps) => {
        const [a, b] = pair(SOCK_STREAM)
        let sent = 0
        let seen = 0
        for (const step of steps) {
          const data = Uint8Array.from({ length: step.write }, (_, at) => (sent + at) % 251)
          const count = a.write(data)
          if (count > 0) sent += count
          else assert.strictEqual(count, -EAGAIN)
          const into = new Uint8Array(step.read)
          const got = b.read(into)
          if (got < 0) assert.strictEqual(sent, seen)
          else assert.isTrue(into.subarray(0, got).every((byte, at) => byte === (seen + at) % 251))
          seen += Math.max(0, got)
        }
      }),
      { numRuns: 50 }
    )
  })

  it("stream: what could not be delivered is put back, message by message", () => {
    const [a, b] = pair(SOCK_STREAM)
    a.write(bytes("one"))
    a.write(bytes("two"))
    assert.strictEqual(b.read(new Uint8Array(6)), 6)
    assert.strictEqual(b.unread(6, 4), 3)
    assert.strictEqual(read(b), "two")
  })

  it("packets keep their edges, even empty ones", () => {
    const [a, b] = pair(SOCK_DGRAM)
    a.write(bytes("first"))
    a.write(bytes(""))
    assert.strictEqual(read(b, 2), "fi")
    assert.strictEqual(read(b), "")
    assert.strictEqual(read(b), -EAGAIN)
    assert.strictEqual(a.write(new Uint8Array(300_000)), -EMSGSIZE)
  })

  it("a half-closed connection still reads what comes", () => {
    const [a, b] = pair(SOCK_SEQPACKET)
    b.write(bytes("last words"))
    b.shutdown(SHUT_WR)
    assert.strictEqual(b.write(bytes("x")), -EPIPE)
    assert.strictEqual(a.readiness() & POLLRDHUP, POLLRDHUP)
    assert.strictEqual(read(a), "last words")
    assert.strictEqual(read(a), "")
    assert.strictEqual(a.write(bytes("answer")), 6)
  })

  it("closing with unread data resets the connection", () => {
    const [a, b] = pair(SOCK_STREAM)
    a.write(bytes("unread"))
    b.release()
    assert.strictEqual(read(a), -ECONNRESET)
    assert.strictEqual(read(a), "")
  })

  it("connects through a backlog of bounded length; unaccepted ends are reset", () => {
    const listener = make(SOCK_STREAM)
    listener.bind(bytes("\0name"), () => {})
    listener.listen(1, me)
    const clients = [make(SOCK_STREAM), make(SOCK_STREAM), make(SOCK_STREAM)] as const
    const results = clients.map((client) => client.connect(listener, () => make(SOCK_STREAM), me))
    assert.deepStrictEqual(results, [0, 0, -EAGAIN])
    const end = listener.accept()
    if (typeof end === "number") throw new Error("no connection")
    clients[0].write(bytes("hi"))
    assert.strictEqual(read(end), "hi")
    listener.release()
    assert.strictEqual(read(clients[1]), -ECONNRESET)
    assert.strictEqual(
      clients[2].connect(listener, () => make(SOCK_STREAM), me),
      -ECONNREFUSED
    )
  })

  it("a datagram socket with a peer takes messages from nobody else", () => {
    const [a, b, c] = [make(SOCK_DGRAM), make(SOCK_DGRAM), make(SOCK_DGRAM)]
    a.setPeer(b)
    assert.strictEqual(c.send(bytes("x"), { credentials: me, rights: [] }, a), -EPERM)
    assert.strictEqual(c.send(bytes("x"), { credentials: me, rights: [] }, b), 1)
    b.release()
    assert.strictEqual(a.write(bytes("x")), -ECONNREFUSED)
  })

  it("descriptors in flight are closed with the socket that never received them", () => {
    const [a, b] = pair(SOCK_STREAM)
    const { reader, writer } = PipeDescription.pair(files.attributes("pipe", { fsuid: 0, fsgid: 0 }), 0)
    a.send(bytes("x"), { credentials: me, rights: [writer] })
    assert.strictEqual(reader.readiness() & POLLHUP, 0)
    a.release()
    b.release()
    assert.strictEqual(reader.readiness() & POLLHUP, POLLHUP)
  })
})
