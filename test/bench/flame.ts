/**
 * `node test/bench/flame.ts NAME PROGRAM [ARGUMENTS]`: where the sentry's thread spends its time while it runs a program,
 * as a flame graph: docs/flames/NAME.svg. Loading the kernel is left out, and the first second, in which most of it is compiled.
 *
 * Width is time, a frame stands on its caller; move the pointer over one for its name and share.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Left out at the start, µs. */
const START = 1_000_000
/** Narrower frames are not drawn, as a share of all. */
const LEAST = 0.004
const WIDTH = 1200
const ROW = 16
/** Pixels of a letter, about. */
const LETTER = 6.2

/** A V8 CPU profile, as `node --cpu-prof` writes it: the parts used here. */
interface Profile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
    readonly children?: ReadonlyArray<number>
  }>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

interface Frame {
  readonly name: string
  /** µs, with all that it called. */
  time: number
  readonly callees: Map<string, Frame>
}

/** The profile of one run. */
const record = (command: ReadonlyArray<string>): Profile => {
  const directory = mkdtempSync(join(tmpdir(), "effect-sentry-flame-"))
  try {
    const flags = ["--cpu-prof", `--cpu-prof-dir=${directory}`, "--cpu-prof-interval", "500"]
    execFileSync(process.execPath, [...flags, join(root, "src/Cli/Main.ts"), "run", "--", ...command], {
      stdio: ["ignore", "ignore", "inherit"]
    })
    const file = readdirSync(directory).find((name) => name.endsWith(".cpuprofile"))
    return JSON.parse(readFileSync(join(directory, file ?? ""), "utf8")) as Profile
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** What it says, one frame for each chain of callers, but for the start. */
const fold = ({ nodes, samples, timeDeltas }: Profile): Frame => {
  const parents = new Map(nodes.flatMap(({ children = [], id }) => children.map((child) => [child, id] as const)))
  const names = new Map(
    nodes.map(({ callFrame: { functionName, lineNumber, url }, id }) => {
      const file = basename(url)
      return [
        id,
        `${functionName === "" ? "anonymous" : functionName}${file === "" ? "" : ` ${file}:${lineNumber + 1}`}`
      ]
    })
  )
  const all: Frame = { name: "all", time: 0, callees: new Map() }
  let passed = 0
  for (const [i, sample] of samples.entries()) {
    const time = timeDeltas[i] ?? 0
    passed += time
    if (passed < START) continue
    const chain: Array<string> = []
    for (let id: number | undefined = sample; id !== undefined; id = parents.get(id)) chain.push(names.get(id) ?? "?")
    if (chain.some((name) => name.includes("run_main_module"))) continue
    let frame = all
    frame.time += time
    for (const name of chain.toReversed().slice(1)) {
      let callee = frame.callees.get(name)
      if (callee === undefined) frame.callees.set(name, (callee = { name, time: 0, callees: new Map() }))
      callee.time += time
      frame = callee
    }
  }
  return all
}

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/** Warm for our code, grey for waiting and what is V8's own. */
const color = (name: string): string => {
  if (name.startsWith("(") || /#spin|hasEvent|ready|drain/.test(name)) return "#c8c8c8"
  let hash = 0
  for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) % 997
  return `hsl(${10 + (hash % 45)} 80% ${62 + (hash % 12)}%)`
}

const draw = (title: string, all: Frame): string => {
  const boxes: Array<{ frame: Frame; x: number; depth: number }> = []
  const place = (frame: Frame, x: number, depth: number): void => {
    if (frame.time < all.time * LEAST) return
    boxes.push({ frame, x, depth })
    let at = x
    for (const callee of [...frame.callees.values()].toSorted((a, b) => b.time - a.time)) {
      place(callee, at, depth + 1)
      at += callee.time
    }
  }
  place(all, 0, 0)
  const height = (Math.max(...boxes.map(({ depth }) => depth)) + 1) * ROW + 24
  const scale = WIDTH / all.time
  const shapes = boxes.map(({ depth, frame: { name, time }, x }) => {
    const width = time * scale
    const label = name.slice(0, Math.floor((width - 4) / LETTER))
    const [left, top] = [(x * scale).toFixed(1), height - (depth + 1) * ROW]
    const text = label.length > 2 ? `<text x="${Number(left) + 2}" y="${top + 12}">${escape(label)}</text>` : ""
    const share = ((100 * time) / all.time).toFixed(1)
    return (
      `<g><title>${escape(name)}: ${share} %</title><rect x="${left}" y="${top}" width="${width.toFixed(1)}" ` +
      `height="${ROW - 1}" fill="${color(name)}"/>${text}</g>`
    )
  })
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="10">\n` +
    `<text x="4" y="14" font-size="12">${escape(title)}</text>\n${shapes.join("\n")}\n</svg>\n`
  )
}

const [name, ...command] = process.argv.slice(2)
if (name === undefined || command.length === 0) {
  process.stderr.write("usage: node test/bench/flame.ts NAME PROGRAM [ARGUMENTS]\n")
  process.exitCode = 2
} else {
  const directory = join(root, "docs/flames")
  mkdirSync(directory, { recursive: true })
  const title = `${name}: the sentry's thread`
  writeFileSync(join(directory, `${name}.svg`), draw(title, fold(record(command))))
}
