/**
 * `npm run sweep`: the errno sweep over cp, tar, mv, sort and sqlite3, and its table, docs/errno-sweep.md.
 *
 * What has been judged is kept in test/sweep/build/, so that a sweep can be ended and taken up again. Options: --minutes
 * N (how long to go on; default: to the end), --only WORD, --again (forget what there is).
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import { report } from "./Report.ts"
import { BUILD, makeFiles, SUBJECTS } from "./Subjects.ts"
import { type Judgement, type Place, Sweep } from "./Sweep.ts"

const TARGET = fileURLToPath(new URL("../../docs/errno-sweep.md", import.meta.url))

const { values } = parseArgs({
  options: {
    minutes: { type: "string" },
    only: { type: "string", default: "" },
    again: { type: "boolean", default: false }
  }
})

const deadline = values.minutes === undefined ? Infinity : performance.now() + Number(values.minutes) * 60_000

/** What was judged before, of one subject. */
const fileOf = (name: string): string => `${BUILD}${name.replace(/\W+/g, "-")}.jsonl`
const keyOf = ({ call, errno, nth }: Place): string => `${call} ${nth} ${errno}`

const judgementsIn = (file: string): Map<string, Judgement> => {
  if (!existsSync(file)) return new Map()
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1)
  return new Map(
    lines.map((line) => {
      const judgement: Judgement = JSON.parse(line)
      return [keyOf(judgement), judgement]
    })
  )
}

mkdirSync(BUILD, { recursive: true })
makeFiles()
const done: Array<{ readonly sweep: Sweep; readonly judgements: ReadonlyArray<Judgement> }> = []
let left = 0
for (const subject of SUBJECTS) {
  const file = fileOf(subject.name)
  const isChosen = subject.name.includes(values.only)
  if (values.again && isChosen) rmSync(file, { force: true })
  const known = judgementsIn(file)
  const sweep = await Effect.runPromise(Sweep.of(subject))
  for (const place of sweep.places) {
    if (known.has(keyOf(place))) continue
    if (!isChosen || performance.now() > deadline) {
      left++
      continue
    }
    const judgement = await Effect.runPromise(sweep.judge(place))
    known.set(keyOf(place), judgement)
    appendFileSync(file, `${JSON.stringify(judgement)}\n`)
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${subject.name}: ${known.size} of ${sweep.places.length}`)
  }
  done.push({ sweep, judgements: sweep.places.flatMap((place) => known.get(keyOf(place)) ?? []) })
}
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K")
if (left > 0) process.stdout.write(`${left} places are left: run it again\n`)
else writeFileSync(TARGET, report(done))
