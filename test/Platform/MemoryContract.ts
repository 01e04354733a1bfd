/** What every platform promises of guest memory (`AddressSpace` of src/Platform/Platform.ts), as tests over its Layer. */
import { assert, layer as describeLayer } from "@effect/vitest"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { EACCES, EBADF, EINVAL, ENOMEM } from "../../src/Abi/Errno.ts"
import { Reg } from "../../src/Abi/Registers.ts"
import { SIGBUS } from "../../src/Abi/Signal.ts"
import { Platform, type PlatformFailed } from "../../src/Platform/Platform.ts"
import { asm, bytes, CODE, DATA, expectFault, guest, map, PAGE, run } from "./Guest.ts"

const withFile = Effect.fnUntraced(function* (name: string, contents: Uint8Array, flags = "r+") {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "platform-"))),
    (d) => Effect.sync(() => rmSync(d, { recursive: true }))
  )
  const path = join(directory, name)
  writeFileSync(path, contents)
  const fd = yield* Effect.acquireRelease(
    Effect.sync(() => openSync(path, flags)),
    (f) => Effect.sync(() => closeSync(f))
  )
  return { path, fd }
})

export const memoryContract = (name: string, layer: Layer.Layer<Platform, PlatformFailed>): void =>
  describeLayer(layer)(name, (it) => {
    it.effect("copies are short at the first page that is missing or protected", () =>
      Effect.gen(function* () {
        const { addressSpace: space } = yield* guest(bytes(asm.syscall))
        const at = 0x100_0000
        yield* space.change([map(at, 3 * PAGE, 3), map(at + 4 * PAGE, PAGE, 1), map(at + 5 * PAGE, PAGE, 0)])
        const data = Uint8Array.from({ length: 8 * PAGE }, (_, i) => i * 7)
        assert.strictEqual(space.write(at + 100, data), 3 * PAGE - 100)
        const into = new Uint8Array(8 * PAGE)
        assert.strictEqual(space.read(at + 100, into), 3 * PAGE - 100)
        assert.deepStrictEqual(into.subarray(0, 3 * PAGE - 100), data.subarray(0, 3 * PAGE - 100))
        assert.strictEqual(space.read(at + 3 * PAGE - 1, into), 1)
        assert.strictEqual(space.read(at + 3 * PAGE, into), 0)
        assert.strictEqual(space.read(at + 4 * PAGE + 10, into), PAGE - 10)
        assert.strictEqual(space.write(at + 4 * PAGE, data), 0)
        assert.strictEqual(space.writeForced(at + 4 * PAGE + 1, data.subarray(0, 100)), 100)
        assert.strictEqual(space.readForced(at + 4 * PAGE + 10, into), 2 * PAGE - 10) // the last page, too
        assert.strictEqual(space.read(at + 5 * PAGE, into), 0)
        assert.strictEqual(space.read(at, new Uint8Array(0)), 0)
        for (const bad of [0, -1, NaN, 2 ** 47, 2 ** 53, 2 ** 64, 0x7fff_ffff_f000, Infinity]) {
          assert.strictEqual(space.read(bad, into), 0)
          assert.strictEqual(space.write(bad, data), 0)
          assert.strictEqual(space.writeForced(bad, data), 0)
          assert.strictEqual(space.readForced(bad, into), 0)
        }
        const window = new Uint8Array(into.buffer, 64, 16)
        assert.strictEqual(space.read(at + 100, window), 16)
        assert.deepStrictEqual(window, data.slice(0, 16))
      })
    )

    it.effect("large copies are whole", () =>
      Effect.gen(function* () {
        const { addressSpace: space } = yield* guest(bytes(asm.syscall))
        const size = 8 * 1024 * 1024
        yield* space.change([map(0x1000_0000, size, 3)])
        const data = Uint8Array.from({ length: size - 5 }, (_, i) => (i * 31) >> 3)
        assert.strictEqual(space.write(0x1000_0003, data), data.length)
        const into = new Uint8Array(data.length)
        assert.strictEqual(space.read(0x1000_0003, into), data.length)
        assert.isTrue(Buffer.from(into.buffer).equals(Buffer.from(data.buffer)))
        const forced = data.subarray(0, 100_000)
        assert.strictEqual(space.writeForced(0x1000_0000, forced), forced.length)
        const back = new Uint8Array(forced.length)
        assert.strictEqual(space.readForced(0x1000_0000, back), back.length)
        assert.isTrue(Buffer.from(back).equals(Buffer.from(forced)))
      })
    )

    it.effect("no change reaches the platform's own pages", () =>
      Effect.gen(function* () {
        const platform = yield* Platform
        const { addressSpace: space } = yield* guest(bytes(asm.syscall))
        const top = platform.taskSize
        assert.strictEqual(yield* space.change([map(top - PAGE, PAGE, 3)]), 0)
        assert.strictEqual(yield* space.change([map(top - PAGE, 2 * PAGE, 3)]), -ENOMEM)
        for (const address of [top, top + PAGE, 2 ** 47 - PAGE, 2 ** 52]) {
          const range = { address, length: PAGE }
          assert.strictEqual(yield* space.change([map(address, PAGE, 3)]), -ENOMEM)
          assert.strictEqual(yield* space.change([{ _tag: "Unmap", ...range }]), -ENOMEM)
          assert.strictEqual(yield* space.change([{ _tag: "Protect", ...range, protection: 7 }]), -ENOMEM)
          assert.strictEqual(yield* space.change([{ _tag: "Advise", ...range, advice: 4 }]), -ENOMEM)
          const to = { _tag: "Remap", oldLength: PAGE, newLength: PAGE, keepOld: false } as const
          assert.strictEqual(yield* space.change([{ ...to, address: DATA, newAddress: address }]), -ENOMEM)
          assert.strictEqual(yield* space.change([{ ...to, address, newAddress: DATA }]), -ENOMEM)
        }
        assert.strictEqual(yield* space.change([map(-PAGE, PAGE, 3)]), -EINVAL)
        assert.strictEqual(yield* space.change([map(NaN, PAGE, 3)]), -EINVAL)
        assert.strictEqual(yield* space.change([map(DATA + 1, PAGE, 3)]), -EINVAL)
        assert.strictEqual(yield* space.change([{ _tag: "Unmap", address: 0, length: top }]), 0)
      })
    )

    it.effect("changes are made in order up to the first that fails", () =>
      Effect.gen(function* () {
        const { addressSpace: space } = yield* guest(bytes(asm.syscall))
        const at = 0x200_0000
        const missing = { _tag: "Protect", address: 0x300_0000, length: PAGE, protection: 1 } as const
        assert.strictEqual(yield* space.change([map(at, PAGE, 3), missing, map(at + PAGE, PAGE, 3)]), -ENOMEM)
        assert.strictEqual(space.read(at, new Uint8Array(2 * PAGE)), PAGE)
        assert.strictEqual(yield* space.change([]), 0)
        const many = Array.from({ length: 150 }, (_, i) => map(at + 2 * i * PAGE, PAGE, 3))
        assert.strictEqual(yield* space.change(many), 0)
        for (const { address } of many) assert.strictEqual(space.read(address, new Uint8Array(2 * PAGE)), PAGE)
        assert.strictEqual(yield* space.change([...many, map(2 ** 50, PAGE, 3)]), -ENOMEM)
      })
    )

    it.effect("ranges move, with their contents", () =>
      Effect.gen(function* () {
        const { addressSpace: space } = yield* guest(bytes(asm.syscall))
        const from = 0x200_0000
        const to = 0x300_0000
        const remap = { _tag: "Remap", address: from, oldLength: PAGE, keepOld: false } as const
        assert.strictEqual(yield* space.change([map(from, PAGE, 3)]), 0)
        space.write(from, Uint8Array.of(1, 2, 3))
        assert.strictEqual(yield* space.change([{ ...remap, newLength: 3 * PAGE, newAddress: to }]), 0)
        assert.strictEqual(space.read(from, new Uint8Array(3)), 0)
        const into = new Uint8Array(4 * PAGE)
        assert.strictEqual(space.read(to, into), 3 * PAGE)
        assert.deepStrictEqual([...into.subarray(0, 3)], [1, 2, 3])
        const grow = { ...remap, address: to, oldLength: 3 * PAGE, newAddress: to }
        assert.strictEqual(yield* space.change([{ ...grow, newLength: 4 * PAGE }]), 0)
        assert.strictEqual(space.read(to, into), 4 * PAGE)
        assert.strictEqual(yield* space.change([{ ...grow, oldLength: 4 * PAGE, newLength: PAGE }]), 0)
        assert.strictEqual(space.read(to, into), PAGE)
        const keep = { ...remap, address: to, newAddress: from, newLength: PAGE, keepOld: true }
        assert.strictEqual(yield* space.change([keep]), 0)
        assert.strictEqual(space.read(from, into), PAGE)
        assert.strictEqual(into[1], 2)
        assert.strictEqual(space.read(to, into), PAGE)
        assert.strictEqual(into[1], 0)
      })
    )

    it.effect("files are mapped, private and shared, many at once, from any offset", () =>
      Effect.gen(function* () {
        const context = yield* guest(bytes([0xc6, 0x07, 0x42], asm.syscall)) // movb $0x42,(%rdi)
        const space = context.addressSpace
        const contents = Uint8Array.from({ length: 2 * PAGE + 10 }, (_, i) => 1 + (i >> 12))
        const files = []
        for (let i = 0; i < 20; i++)
          files.push(
            yield* withFile(
              `f${i}`,
              contents.map((b) => b + i)
            )
          )
        const at = 0x200_0000
        const into = new Uint8Array(1)
        const changes = files.flatMap(({ fd }, i) => [
          map(at + i * 0x1_0000, PAGE, 3, { fd, offset: 0 }, true),
          map(at + i * 0x1_0000 + PAGE, 2 * PAGE, 3, { fd, offset: PAGE }, false),
          map(at + i * 0x1_0000 + 0x8000, PAGE, 3)
        ])
        assert.strictEqual(yield* space.change(changes), 0)
        for (let i = 0; i < 20; i++) {
          for (const [offset, expected] of [
            [0, 1 + i],
            [PAGE, 2 + i],
            [2 * PAGE, 3 + i],
            [0x8000, 0]
          ] as const) {
            space.read(at + i * 0x1_0000 + offset, into)
            assert.strictEqual(into[0], expected, `file ${i} offset ${offset}`)
          }
        }
        for (const [target, seen] of [
          [at, 0x42],
          [at + PAGE, 2]
        ] as const) {
          context.registers.set(Reg.rip, CODE)
          context.registers.set(Reg.rdi, target)
          assert.strictEqual((yield* run(context))._tag, "Syscall")
          space.read(target, into)
          assert.strictEqual(into[0], 0x42)
          assert.strictEqual(readFileSync(files[0]!.path)[target - at], seen)
        }
        const short = yield* withFile("short", Uint8Array.of(1))
        assert.strictEqual(yield* space.change([map(DATA, 2 * PAGE, 3, { fd: short.fd, offset: 0 })]), 0)
        context.registers.set(Reg.rip, CODE)
        context.registers.set(Reg.rdi, DATA + PAGE)
        yield* expectFault(context, SIGBUS, DATA + PAGE)
      })
    )

    it.effect("a mapping that the file does not allow fails, and the next one works", () =>
      Effect.gen(function* () {
        const { addressSpace: space } = yield* guest(bytes(asm.syscall))
        const file = yield* withFile("file", Uint8Array.of(9, 9), "r")
        const other = yield* withFile("other", Uint8Array.of(5))
        const backing = { fd: file.fd, offset: 0 }
        const good = map(DATA, PAGE, 1, { fd: other.fd, offset: 0 }, true)
        const into = new Uint8Array(1)
        for (let i = 0; i < 5; i++) {
          assert.strictEqual(yield* space.change([map(DATA, PAGE, 3, backing, true), good]), -EACCES)
          assert.strictEqual(yield* space.change([map(DATA, PAGE, 3, { fd: 9999, offset: 0 }, true), good]), -EBADF)
          assert.strictEqual(yield* space.change([good, map(DATA + 1, PAGE, 3, backing)]), -EINVAL)
          assert.strictEqual(yield* space.change([good]), 0)
          space.read(DATA, into)
          assert.strictEqual(into[0], 5)
        }
      })
    )
  })
