import { assert, describe, it } from "@effect/vitest"
import { EEXIST, ELOOP, EINVAL, ENOENT, EPERM } from "../../src/Abi/Errno.ts"
import { EPOLLET, EPOLLONESHOT } from "../../src/Abi/EpollFlags.ts"
import { POLLHUP, POLLIN, POLLOUT } from "../../src/Abi/Poll.ts"
import { hostTimekeeper } from "../../src/Time/Timekeeper.ts"
import { Timers } from "../../src/Time/Timers.ts"
import { AnonymousFiles } from "../../src/Vfs/AnonymousFiles.ts"
import { EpollDescription } from "../../src/Vfs/Epoll.ts"
import { OpenFileDescription } from "../../src/Vfs/OpenFileDescription.ts"
import { PipeDescription } from "../../src/Vfs/Pipe.ts"

const files = new AnonymousFiles(hostTimekeeper, new Timers(hostTimekeeper))
const owner = { fsuid: 0, fsgid: 0 }
const makePipe = () => PipeDescription.pair(files.attributes("pipe", owner), 0)
const makeEpoll = () => new EpollDescription(files.attributes("anon_inode", owner))
const request = (events: number, data = 0) => ({ events: events >>> 0, data: BigInt(data) })
const collected = (epoll: EpollDescription, max = 10) =>
  epoll.collect(max).map(({ events, data }) => [events, Number(data)])
const byte = new Uint8Array(1)

class Plain extends OpenFileDescription {
  override stat(): number {
    return 0
  }
  override describe(): string {
    return "/plain"
  }
}

describe("epoll", () => {
  it("level-triggered: reports as long as the condition holds", () => {
    const { reader, writer } = makePipe()
    const epoll = makeEpoll()
    assert.strictEqual(epoll.add(3, reader, request(POLLIN, 7)), 0)
    assert.deepStrictEqual(collected(epoll), [])
    writer.write(byte)
    assert.deepStrictEqual(collected(epoll), [[POLLIN, 7]])
    assert.deepStrictEqual(collected(epoll), [[POLLIN, 7]])
    reader.read(byte)
    assert.deepStrictEqual(collected(epoll), [])
    writer.release()
    assert.deepStrictEqual(collected(epoll), [[POLLHUP, 7]])
  })

  it("edge-triggered: reports once for each write, not for what is left unread", () => {
    const { reader, writer } = makePipe()
    const epoll = makeEpoll()
    writer.write(byte)
    epoll.add(3, reader, request(POLLIN | EPOLLET))
    assert.strictEqual(collected(epoll).length, 1)
    assert.strictEqual(collected(epoll).length, 0)
    writer.write(byte)
    assert.strictEqual(collected(epoll).length, 1)
    assert.strictEqual(collected(epoll).length, 0)
  })

  it("one-shot: is silent until it is modified", () => {
    const { reader, writer } = makePipe()
    const epoll = makeEpoll()
    epoll.add(3, reader, request(POLLIN | EPOLLONESHOT))
    writer.write(byte)
    assert.strictEqual(collected(epoll).length, 1)
    writer.write(byte)
    assert.strictEqual(collected(epoll).length, 0)
    assert.strictEqual(epoll.modify(3, reader, request(POLLIN | EPOLLONESHOT)), 0)
    assert.strictEqual(collected(epoll).length, 1)
  })

  it("gives every ready file its turn when there is room for one event at a time", () => {
    const epoll = makeEpoll()
    const pipes = [makePipe(), makePipe(), makePipe()]
    pipes.forEach(({ reader, writer }, index) => {
      epoll.add(index, reader, request(POLLIN, index))
      writer.write(byte)
    })
    assert.deepStrictEqual(
      [1, 2, 3, 4].map(() => collected(epoll, 1)[0]![1]),
      [0, 1, 2, 0]
    )
  })

  it("forgets a file at its last close, whatever descriptors there were", () => {
    const { reader, writer } = makePipe()
    const epoll = makeEpoll()
    epoll.add(3, reader.retain(), request(POLLIN))
    writer.write(byte)
    reader.release()
    assert.strictEqual(collected(epoll).length, 1)
    reader.release()
    assert.strictEqual(collected(epoll).length, 0)
    assert.strictEqual([...epoll.registered()].length, 0)
  })

  it("keys a registration by file and descriptor", () => {
    const { reader } = makePipe()
    const epoll = makeEpoll()
    assert.strictEqual(epoll.add(3, reader, request(POLLIN)), 0)
    assert.strictEqual(epoll.add(3, reader, request(POLLIN)), -EEXIST)
    assert.strictEqual(epoll.add(4, reader, request(POLLIN)), 0)
    assert.strictEqual(epoll.remove(5, reader), -ENOENT)
    assert.strictEqual(epoll.remove(3, reader), 0)
    assert.strictEqual(epoll.modify(3, reader, request(POLLIN)), -ENOENT)
  })

  it("refuses itself and what is always ready", () => {
    const epoll = makeEpoll()
    assert.strictEqual(epoll.add(3, epoll, request(POLLIN)), -EINVAL)
    assert.strictEqual(epoll.add(3, new Plain(0), request(POLLIN)), -EPERM)
  })

  it("nests, to five instances and never in a circle", () => {
    const [a, b, c, d, e, f] = [0, 1, 2, 3, 4, 5].map(makeEpoll) as [
      EpollDescription,
      EpollDescription,
      EpollDescription,
      EpollDescription,
      EpollDescription,
      EpollDescription
    ]
    const { reader, writer } = makePipe()
    assert.strictEqual(e.add(3, reader, request(POLLIN, 1)), 0)
    assert.strictEqual(d.add(4, e, request(POLLIN, 2)), 0)
    assert.strictEqual(c.add(4, d, request(POLLIN, 3)), 0)
    assert.strictEqual(b.add(4, c, request(POLLIN, 4)), 0)
    assert.strictEqual(a.add(4, b, request(POLLIN, 5)), 0)
    assert.strictEqual(f.add(4, a, request(POLLIN)), -ELOOP)
    assert.strictEqual(e.add(4, f, request(POLLIN)), -ELOOP)
    assert.strictEqual(e.add(4, a, request(POLLIN)), -ELOOP)
    assert.strictEqual(a.readiness(), 0)
    writer.write(byte)
    assert.deepStrictEqual(collected(a), [[POLLIN, 5]])
    reader.read(byte)
    assert.deepStrictEqual(collected(a), [])
  })

  it("tells apart what it was not asked for", () => {
    const { reader, writer } = makePipe()
    const epoll = makeEpoll()
    epoll.add(3, writer, request(POLLOUT | EPOLLET))
    assert.strictEqual(collected(epoll).length, 1)
    writer.write(byte)
    assert.strictEqual(collected(epoll).length, 0)
    reader.release()
    assert.strictEqual(collected(epoll).length, 1)
  })
})
