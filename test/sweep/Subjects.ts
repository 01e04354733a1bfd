/**
 * The programs of the errno sweep, and the files that they work on: the same whenever they are made.
 */
import { execFileSync } from "node:child_process"
import {
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import type * as Sim from "../../src/Testing/Sim.ts"
import { type Subject, type Work, workOf } from "./Sweep.ts"

export const BUILD = fileURLToPath(new URL("build/", import.meta.url))

/** Where they work. What they change there stays in the sandbox's memory. */
const PLACE = `${BUILD}place`
/** On another filesystem of the sandbox's. */
const ELSEWHERE = "/dev/shm"

const MODIFIED = new Date("2025-06-01T12:00:00Z")

/** Makes the files, once: sweeps can go on side by side. */
export const makeFiles = (): void => {
  if (existsSync(PLACE)) return
  const unfinished = `${PLACE}.tmp`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(`${unfinished}/in/sub`, { recursive: true, mode: 0o755 })
  writeFileSync(`${unfinished}/in/text`, "one\ntwo\nthree\n", { mode: 0o640 })
  writeFileSync(`${unfinished}/in/sub/large`, "0123456789abcdef".repeat(12_500))
  symlinkSync("sub/large", `${unfinished}/in/link`)
  writeFileSync(`${unfinished}/lines`, Array.from({ length: 2000 }, (_, i) => `${(i * 7919) % 2003}\n`).join(""))
  lutimesSync(`${unfinished}/in/link`, MODIFIED, MODIFIED)
  for (const name of ["in/text", "in/sub/large", "in/sub", "in", "lines"])
    utimesSync(`${unfinished}/${name}`, MODIFIED, MODIFIED)
  execFileSync("tar", ["--sort=name", "-cf", "in.tar", "in"], { cwd: unfinished })
  utimesSync(`${unfinished}/in.tar`, MODIFIED, MODIFIED)
  renameSync(unfinished, PLACE)
}

/** A database is what it tells: its bytes also say how often it was written. */
const tableOf = (run: Sim.Run): Work => {
  const directory = mkdtempSync(join(tmpdir(), "sweep-"))
  try {
    // with the journal, if one is left: whoever opens the database next rolls it back
    const parts = [...run.files].filter(([path]) => path.includes("/numbers.db"))
    for (const [path, bytes] of parts) writeFileSync(join(directory, path.slice(path.lastIndexOf("/") + 1)), bytes)
    const database = new DatabaseSync(join(directory, "numbers.db"))
    const rows = database.prepare("select a, b from numbers order by a").all()
    database.close()
    return new Map([
      ["standard output", run.stdout],
      ["rows of numbers.db", JSON.stringify(rows)]
    ])
  } catch (error) {
    return new Map([
      ["standard output", run.stdout],
      ["rows of numbers.db", String(error)]
    ])
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const INSERT =
  "create table numbers(a integer primary key, b text); begin; " +
  "insert into numbers select value, 'row ' || value from generate_series(1, 50); commit; " +
  "update numbers set b = 'changed' where a = 7; select count(*), sum(a) from numbers;"

const subject = (name: string, words: ReadonlyArray<string>, keep: ReadonlyArray<string>, work = workOf): Subject => ({
  name,
  command: { command: words[0]!, args: words.slice(1), cwd: PLACE, env: { LC_ALL: "C" } },
  options: { keep },
  work
})

export const SUBJECTS: ReadonlyArray<Subject> = [
  subject("cp", ["cp", "-a", "in", "out"], [PLACE]),
  subject("tar, creating", ["tar", "-cf", "out.tar", "in"], [PLACE]),
  subject("tar, extracting", ["tar", "-C", ELSEWHERE, "-xf", "in.tar"], [PLACE, ELSEWHERE]),
  subject("mv, in place", ["mv", "in", "out"], [PLACE]),
  subject("mv, elsewhere", ["mv", "in", `${ELSEWHERE}/out`], [PLACE, ELSEWHERE]),
  subject("sort", ["sort", "-n", "-o", "sorted", "lines"], [PLACE]),
  subject("sqlite3", ["sqlite3", "numbers.db", INSERT], [PLACE], tableOf)
]
