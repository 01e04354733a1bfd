/**
 * `effect-sentry run --virtual-time --seed N`: the same program, files and seed give the same run, call by call.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { ENVIRONMENT, type Outcome, run } from "../conformance/Run.ts"
import { CLI, IS_SANDBOX, NIGHTLY, PLATFORMS, REPOSITORY } from "../conformance/Platforms.ts"

const RUNS = NIGHTLY ? 200 : 3

const PYTHON = `
import os, random, threading, time
seen = []
def work(me):
    for turn in range(10):
        seen.append((me, turn))
        time.sleep(0.001 * ((me * turn) % 3))
threads = [threading.Thread(target=work, args=(me,)) for me in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(seen), hash(tuple(seen)), hash("a"), os.getpid(), random.random(), time.time(), time.process_time(), id(seen))
`

/** The same programs whatever the developer has installed for himself. */
const PROGRAMS: Readonly<Record<string, ReadonlyArray<string>>> = {
  "a program with threads": [`${REPOSITORY}test/planted/build/lost_update`],
  "a shell pipeline": [
    "sh",
    "-c",
    "seq 1 200 | sort -rn | grep 7 | head -5 | wc -l; ls /proc | tail -3; cat /proc/meminfo"
  ],
  "python3 with threads": ["/usr/bin/python3", "-c", PYTHON],
  sqlite3: [
    "sqlite3",
    "/tmp/numbers.db",
    "create table t(a, b); insert into t select value, random() % 1000 from generate_series(1, 300);" +
      "create index i on t(b); select count(*), sum(b), datetime('now') from t;"
  ]
}

const sh = (script: string): ReadonlyArray<string> => ["sh", "-c", script]
const SOURCES = `${REPOSITORY}test/planted`
const AUTHOR = "export HOME=/tmp GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b"

/** Only at night. */
const MORE: typeof PROGRAMS = {
  perl: [
    "perl",
    "-e",
    'my %h; $h{$_ % 17} += $_ for 1..500; print "$_=$h{$_}\n" for keys %h; if (my $p = fork) { wait; print rand, time } else { exit 3 }'
  ],
  awk: [
    "awk",
    'BEGIN { srand(); for (i = 0; i < 300; i++) a[i % 7] += rand(); for (k in a) print k, a[k]; "date" | getline d; print d }'
  ],
  "bash with background jobs": [
    "bash",
    "-c",
    'for i in 1 2 3 4; do (sleep 0.$((5 - i)); echo job $i $RANDOM) & done; wait; trap "echo caught" USR1; kill -USR1 $$; echo $$ $! $SECONDS'
  ],
  git: sh(
    `${AUTHOR}; mkdir /tmp/r && cd /tmp/r && git init -q . && cp ${SOURCES}/*.c . && git add . && git commit -qm one && ` +
      "echo >> spin.c && git commit -qam two && git log --oneline && git fsck"
  ),
  "tar and xz": sh(`tar -C ${SOURCES} -cf - . | xz -T2 | tee /tmp/x.tar.xz | sha256sum; tar -tJf /tmp/x.tar.xz`),
  "make -j2": sh(`cp -r ${SOURCES} /tmp/p && cd /tmp/p && rm -rf build && make -j2 build/spin build/deadlock`),
  gcc: sh(`gcc -O2 -pipe -pthread -S -o - ${SOURCES}/deadlock.c | sha256sum`),
  "find and sort": sh("find /etc -type f 2>/dev/null | sort -r --parallel=2 -S 1M | sha256sum; df /")
}

let directory = ""
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "determinism-"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const deterministic = async (
  seed: number,
  program: ReadonlyArray<string>,
  platform = "auto"
): Promise<Outcome & { readonly trace: string }> => {
  const log = join(directory, "trace")
  const options = ["--platform", platform, "--virtual-time", "--seed", String(seed), "--strace-log", log]
  const outcome = await run([...CLI, "run", ...options, "--", ...program], { timeout: 60_000 })
  return { ...outcome, trace: readFileSync(log, "latin1") }
}

describe.runIf(IS_SANDBOX)("a deterministic run", { timeout: 3_600_000 }, () => {
  const programs = Object.entries(NIGHTLY ? { ...PROGRAMS, ...MORE } : PROGRAMS)
  const cases = PLATFORMS.flatMap(({ name: platform }) => programs.map((program) => [platform, ...program] as const))
  for (const [platform, name, program] of cases) {
    it(`of ${name} is a function of its seed on ${platform}`, async () => {
      const first = await deterministic(1, program, platform)
      assert.include([0, 1], first.status) // lost_update may have lost one
      assert.isAbove(first.trace.split("\n").length, 50)
      for (let count = 1; count < RUNS; count++) {
        const again = await deterministic(1, program, platform)
        assert.strictEqual(again.trace, first.trace)
        assert.strictEqual(again.stdout, first.stdout)
      }
      const other = await deterministic(2, program, platform)
      assert.notStrictEqual(other.trace, first.trace)
    })
  }

  it("shows a disk of its own", async () => {
    const { stdout } = await deterministic(1, ["stat", "-f", "-c", "%b %f %a %c %d", "/"])
    assert.equal(stdout.trim(), "16777216 8388608 8388608 4194304 2097152")
  })

  it("has its own time, which waiting costs nothing of", async () => {
    const program = ["sh", "-c", "sleep 604800; date -u +%F"]
    const options = ["--virtual-time=2030-01-01T00:00:00Z", "--seed", "1"]
    const outcome = await run([...CLI, "run", ...options, "--", ...program], { env: ENVIRONMENT })
    assert.strictEqual(outcome.stdout, "2030-01-08\n")
    assert.strictEqual(outcome.stderr, "")
    assert.isBelow(outcome.milliseconds, 5000) // a second, where nobody else needs the machine
  })

  it("lets time pass for a program that asks for it again and again", async () => {
    const script = "import time\nend = time.monotonic() + 0.005\nwhile time.monotonic() < end: pass\nprint('over')"
    const { stdout } = await deterministic(1, ["/usr/bin/python3", "-c", script])
    assert.strictEqual(stdout, "over\n")
  })
})
