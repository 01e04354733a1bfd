/**
 * What one system call costs on a platform (argument: "ptrace" or "systrap") when its handler answers at once: a guest that calls getpid(2) in
 * a loop. Prints µs a call: the best of several runs, the median, and the worst.
 */
import * as Effect from "effect/Effect"
import { Reg } from "../../src/Abi/Registers.ts"
import { Platform } from "../../src/Platform/Platform.ts"
import * as PtracePlatform from "../../src/Platform/PtracePlatform.ts"
import * as SystrapPlatform from "../../src/Platform/SystrapPlatform.ts"

const CODE = 0x10000
const CALLS = 20_000

const program = Effect.gen(function* () {
  const platform = yield* Platform
  const context = yield* platform.makeContext
  const { addressSpace, registers } = context
  yield* addressSpace.change([
    { _tag: "Map", address: CODE, length: 4096, protection: 7, shared: false, backing: undefined, populate: true }
  ])
  // 1: mov $39,%eax; syscall; jmp 1b
  addressSpace.write(CODE, Uint8Array.of(0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7))
  registers.set(Reg.rip, CODE)
  const times: Array<number> = []
  for (let run = 0; run < 12; run++) {
    let left = CALLS
    const start = performance.now()
    yield* context.switch(() => {
      registers.set(Reg.rax, 42)
      return --left > 0
    })
    times.push(((performance.now() - start) * 1000) / CALLS)
  }
  times.sort((a, b) => a - b)
  console.log(`getpid: best ${times[0]!.toFixed(2)} µs, median ${times[6]!.toFixed(2)}, worst ${times[11]!.toFixed(2)}`)
  yield* context.release
})

await Effect.runPromise(
  program.pipe(Effect.provide(process.argv[2] === "systrap" ? SystrapPlatform.layer : PtracePlatform.layer))
)
