/**
 * `npm run bench`: the same programs natively, in this sandbox, and under whichever of strace, proot and runsc are on
 * PATH; interleaved round by round, so that a slow minute of the machine hurts everybody; the median of each, and its
 * ratio to native; at the end, how many calls a second the simulated platform answers. Options: --rounds N (5), --only WORD,
 * --systems NAME,NAME, --json FILE.
 *
 * Programs that time themselves print nanoseconds per operation; the others are timed from start to finish.
 */
import { execFileSync, spawn } from "node:child_process"
import { accessSync, constants, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { cpus, release } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { inWords, measureSimulated } from "./simulated.ts"

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

/** One program's one run may take this long, ms. */
const RUN_LIMIT = 60_000

interface Benchmark {
  readonly name: string
  readonly command: ReadonlyArray<string>
  /** Prints nanoseconds itself; else the whole run is timed. */
  readonly timesItself: boolean
}

interface System {
  readonly name: string
  readonly prefix: ReadonlyArray<string>
}

/** Where `program` is on PATH; undefined if it is not. */
const which = (program: string): string | undefined =>
  (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((directory) => join(directory, program))
    .find((candidate) => {
      try {
        accessSync(candidate, constants.X_OK)
        return true
      } catch {
        return false
      }
    })

const built = (name: string): string => path(`programs/build/${name}`)

const FORKS = "i=0; while [ $i -lt 500 ]; do (:); i=$((i+1)); done"

const INSERTS =
  "create table t (a integer primary key, b text); begin; " +
  "with recursive c(i) as (select 1 union all select i + 1 from c where i < 10000) " +
  "insert into t select i, 'row ' || i from c; commit; select count(*) from t"

/** A benchmark of a whole program, if that is installed. */
const installed = (name: string, command: ReadonlyArray<string>): ReadonlyArray<Benchmark> =>
  existsSync(command[0]!) ? [{ name, command, timesItself: false }] : []

/** A tree of 20,000 small files, made once. */
const files = path("programs/build/files")
const makeFiles = (): void => {
  if (existsSync(files)) return
  const unfinished = `${files}.tmp`
  rmSync(unfinished, { recursive: true, force: true })
  for (let directory = 0; directory < 200; directory++) {
    mkdirSync(`${unfinished}/${directory}`, { recursive: true })
    for (let file = 0; file < 100; file++) writeFileSync(`${unfinished}/${directory}/${file}`, "x".repeat(file * 20))
  }
  renameSync(unfinished, files)
}

// Debian's python3: another one on PATH may be a shell script around it
const python = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : which("python3")

const BENCHMARKS: ReadonlyArray<Benchmark> = [
  { name: "getppid", command: [built("calls"), "getppid"], timesItself: true },
  { name: "syscall(SYS_getpid)", command: [built("calls"), "syscall"], timesItself: true },
  { name: "clock_gettime", command: [built("calls"), "clock"], timesItself: true },
  { name: "signal to self", command: [built("calls"), "signal"], timesItself: true },
  { name: "futex round trip, 2 threads", command: [built("futex")], timesItself: true },
  { name: "pipe round trip, 2 processes", command: [built("pipe")], timesItself: true },
  { name: "open + fstat + read + close", command: [built("calls"), "file"], timesItself: true },
  { name: "pread of 64 KiB", command: [built("calls"), "pread"], timesItself: true },
  { name: "pwrite of 64 KiB", command: [built("calls"), "pwrite"], timesItself: true },
  { name: "mmap + touch + munmap", command: [built("calls"), "mmap"], timesItself: true },
  { name: "10 µs and a call, 1 thread", command: [built("threads"), "1", "10"], timesItself: true },
  { name: "10 µs and a call, 2 threads", command: [built("threads"), "2", "10"], timesItself: true },
  { name: "200 µs and a call, 1 thread", command: [built("threads"), "1", "200"], timesItself: true },
  { name: "200 µs and a call, 2 threads", command: [built("threads"), "2", "200"], timesItself: true },
  { name: "fork + exec + wait", command: [built("spawn"), built("noop")], timesItself: true },
  { name: "true", command: ["/bin/true"], timesItself: false },
  { name: "sh, 500 forks", command: ["/bin/sh", "-c", FORKS], timesItself: false },
  { name: "find, 20,000 files", command: ["/usr/bin/find", files, "-type", "f", "-size", "+1"], timesItself: false },
  { name: "computing only", command: [built("compute")], timesItself: false },
  ...installed("gcc, one file", ["/usr/bin/gcc", "-O2", "-c", "-o", "/tmp/calls.o", path("programs/calls.c")]),
  ...installed("git status", ["/usr/bin/git", "-C", path("../.."), "status", "--short"]),
  ...installed("sqlite3, 10,000 inserts", ["/usr/bin/sqlite3", ":memory:", INSERTS]),
  ...(python === undefined ? [] : [{ name: "python3 start", command: [python, "-c", "pass"], timesItself: false }])
]

/** This sandbox's command line, up to the program. */
const sandbox = (platform: string, ...options: ReadonlyArray<string>): ReadonlyArray<string> => [
  path("../../bin/effect-sentry"),
  "run",
  "--platform",
  platform,
  ...options,
  "--"
]

/** What is there to compare with. */
const systems = (): ReadonlyArray<System> => {
  const list: Array<System> = [
    { name: "native", prefix: [] },
    { name: "systrap", prefix: sandbox("systrap") },
    { name: "systrap, unpatched", prefix: sandbox("systrap", "--no-patch") },
    { name: "ptrace", prefix: sandbox("ptrace") }
  ]
  // both sides on one core, which is what many runnable guests come down to
  if (which("taskset") !== undefined) {
    list.push({ name: "systrap, 1 core", prefix: ["taskset", "-c", "0", ...sandbox("systrap")] })
  }
  const strace = which("strace")
  if (strace !== undefined) list.push({ name: "strace -f", prefix: [strace, "-f", "-o", "/dev/null"] })
  const proot = which("proot")
  if (proot !== undefined) list.push({ name: "proot", prefix: [proot] })
  const runsc = which("runsc")
  if (runsc !== undefined) {
    for (const platform of ["ptrace", "systrap"]) {
      const flags = ["--network=none", "--ignore-cgroups", `--platform=${platform}`]
      if (process.getuid?.() !== 0) flags.unshift("--rootless")
      list.push({ name: `runsc ${platform}`, prefix: [runsc, ...flags, "do"] })
    }
  }
  return list
}

/** Nanoseconds of one run; undefined if it failed or took too long. */
const measure = (system: System, benchmark: Benchmark): Promise<number | undefined> =>
  new Promise((resolve) => {
    const [program, ...args] = [...system.prefix, ...benchmark.command]
    const start = process.hrtime.bigint()
    const child = spawn(program!, args, {
      stdio: ["ignore", "pipe", "ignore"],
      timeout: RUN_LIMIT,
      killSignal: "SIGKILL"
    })
    let output = ""
    child.stdout.setEncoding("latin1").on("data", (chunk: string) => (output += chunk))
    child.on("error", () => resolve(undefined))
    child.on("close", (code) => {
      const wall = Number(process.hrtime.bigint() - start)
      const nanos = benchmark.timesItself ? Number.parseInt(output, 10) : wall
      resolve(code === 0 && Number.isFinite(nanos) ? nanos : undefined)
    })
  })

const median = (values: ReadonlyArray<number>): number | undefined => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? sorted[middle]
    : sorted.length === 0
      ? undefined
      : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const duration = (nanos: number): string =>
  nanos < 1e3
    ? `${nanos.toFixed(0)} ns`
    : nanos < 1e6
      ? `${(nanos / 1e3).toFixed(1)} µs`
      : nanos < 1e9
        ? `${(nanos / 1e6).toFixed(1)} ms`
        : `${(nanos / 1e9).toFixed(2)} s`

/** `1.24 ms (6.1×)`; a dash for what did not run. */
const cell = (nanos: number | undefined, native: number | undefined): string => {
  if (nanos === undefined) return "–"
  if (native === undefined || nanos === native) return duration(nanos)
  const ratio = nanos / native
  return `${duration(nanos)} (${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(1)}×)`
}

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const line = (row: ReadonlyArray<string>): string =>
    `| ${row.map((text, i) => (i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join(" | ")} |`
  const rule = `| ${widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)].join("\n")
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    only: { type: "string", default: "" },
    systems: { type: "string" },
    json: { type: "string" }
  }
})

execFileSync("make", ["-s", "-C", path("programs")], { stdio: ["ignore", "inherit", "inherit"] })
makeFiles()

// native is always there, to compare with
const wanted = values.systems?.split(",")
const everything = systems().filter(
  (system) => wanted === undefined || system.prefix.length === 0 || wanted.includes(system.name)
)
const benchmarks = BENCHMARKS.filter((one) => one.name.includes(values.only))
const results = new Map(everything.map((system) => [system, new Map<Benchmark, Array<number>>()]))
const out = new Set<System>()
for (let round = 0; round < Number(values.rounds); round++) {
  for (const benchmark of benchmarks) {
    for (const system of everything) {
      if (out.has(system)) continue
      process.stderr.write(`\r\x1b[Kround ${round + 1}: ${benchmark.name}, ${system.name}`)
      const nanos = await measure(system, benchmark)
      const perBenchmark = results.get(system)!
      if (nanos === undefined) {
        // a tool that cannot even run the first program here is left out (old runsc has no systrap)
        if (round === 0 && benchmark === benchmarks[0] && system.prefix.length > 0) out.add(system)
        continue
      }
      perBenchmark.set(benchmark, [...(perBenchmark.get(benchmark) ?? []), nanos])
    }
  }
}
process.stderr.write("\r\x1b[K")

const shown = everything.filter((system) => !out.has(system))
const medians = (system: System, benchmark: Benchmark): number | undefined =>
  median(results.get(system)!.get(benchmark) ?? [])
const rows = benchmarks.map((benchmark) => [
  benchmark.name,
  ...shown.map((system) => cell(medians(system, benchmark), medians(everything[0]!, benchmark)))
])
process.stdout.write(
  `Median of ${values.rounds}, interleaved; ${cpus().length} × ${cpus()[0]?.model ?? "CPU"}, Linux ${release()}, Node ${process.version}\n\n` +
    `${table([["", ...shown.map((system) => system.name)], ...rows])}\n`
)
if ("simulated platform".includes(values.only)) {
  process.stdout.write("\nThe simulated platform, one core:\n")
  for (const { median, name } of measureSimulated(Number(values.rounds)))
    process.stdout.write(`${name}: ${inWords(median)}\n`)
}
for (const system of out) process.stdout.write(`Left out, does not run here: ${system.name}\n`)

if (values.json !== undefined) {
  const data = shown.map((system) => ({
    system: system.name,
    nanos: Object.fromEntries(benchmarks.map((one) => [one.name, results.get(system)!.get(one) ?? []]))
  }))
  writeFileSync(values.json, `${JSON.stringify(data, undefined, 2)}\n`)
}
