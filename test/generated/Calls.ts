/**
 * System-call programs: thousands, one after the other, in one sandbox. The programs are made inside of it (`calls.c`), each
 * from its number; what it saw is compared by a digest with what it sees on the host.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { REPOSITORY } from "../conformance/Platforms.ts"
import { ENVIRONMENT } from "../conformance/Run.ts"
import type { PlatformChoice } from "../../src/Platform/Platform.ts"
import * as Sentry from "../../src/Sentry/Sentry.ts"
import { build, type Executable } from "./Interpreter.ts"

const CALLS: Executable = {
  name: "calls",
  sources: ["calls.c", "calls_files.c", "calls_channels.c", "calls_tasks.c", "calls.h"]
}

export const buildCalls = (): void => build({ executables: [CALLS] })

const PATH = `${REPOSITORY}test/guest/build/${CALLS.name}`

/** Programs `first` up to `first + count` of `seed`. */
export interface Batch {
  readonly seed: number
  readonly first: number
  readonly count: number
}

const print = ({ count, first, seed }: Batch): string => `${seed} ${first} ${count} hide\n`

/** By number: how each program ended, and the digest of what it saw. */
export type Digests = ReadonlyMap<number, string>

const parse = (lines: ReadonlyArray<string>): Digests =>
  new Map(
    lines.map((line) => {
      const [index, ...rest] = line.split(" ")
      return [Number(index), rest.join(" ")]
    })
  )

/** Collects the lines of a batch, which ends with "end". */
const collector = () => {
  let lines: Array<string> = []
  let take: (lines: ReadonlyArray<string>) => void = () => {}
  return {
    add: (line: string): void => {
      if (line !== "end") lines.push(line)
      else {
        take(lines)
        lines = []
      }
    },
    batch: () =>
      new Promise<ReadonlyArray<string>>((resolve) => {
        take = resolve
      })
  }
}

/** Makes programs on the host. */
export const onHost = (): { readonly run: (batch: Batch) => Promise<Digests>; readonly child: ChildProcess } => {
  const child = spawn(PATH, { stdio: ["pipe", "pipe", "ignore"], env: ENVIRONMENT, cwd: "/" })
  const collected = collector()
  let rest = ""
  child.stdout.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) collected.add(line)
  })
  return {
    child,
    run: async (batch) => {
      const lines = collected.batch()
      child.stdin.write(print(batch))
      return parse(await lines)
    }
  }
}

/** Makes programs in one sandbox, which lives as long as the scope. */
export const inSandbox = Effect.fnUntraced(function* (
  platform: PlatformChoice
): Effect.fn.Return<
  { readonly run: (batch: Batch) => Effect.Effect<Digests> },
  Sentry.StartError,
  Scope.Scope | Sentry.Sentry
> {
  const child = yield* Sentry.spawn({ command: PATH, platform, env: ENVIRONMENT })
  const input = yield* Queue.unbounded<Uint8Array>()
  yield* Effect.forkScoped(Stream.run(Stream.fromQueue(input), child.stdin))
  const collected = collector()
  yield* child.stdout.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((line) => Effect.sync(() => collected.add(line))),
    Effect.forkScoped
  )
  return {
    run: (batch) =>
      Effect.suspend(() => {
        const lines = collected.batch()
        return Effect.andThen(
          Queue.offer(input, new TextEncoder().encode(print(batch))),
          Effect.map(
            Effect.promise(() => lines),
            parse
          )
        )
      })
  }
})
