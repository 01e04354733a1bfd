/**
 * What the errno sweep (test/sweep, `npm run sweep`) says of a run: each verdict, on a shell script that deserves it.
 */
import * as Effect from "effect/Effect"
import { assert, describe, it } from "vitest"
import { plausibleErrnos } from "../sweep/Errnos.ts"
import { type Place, Sweep } from "../sweep/Sweep.ts"
import { IS_SANDBOX } from "../conformance/Platforms.ts"

/** Judges a script. */
const judge = async (script: string, place: Place) => {
  const command = { command: "/bin/sh", args: ["-c", script], cwd: "/srv" }
  const sweep = await Effect.runPromise(Sweep.of({ name: "sh", command, options: { keep: ["/srv"] } }))
  const { detail, verdict } = await Effect.runPromise(sweep.judge(place))
  return [verdict, detail]
}

const full: Place = { call: "write", nth: 1, errno: "ENOSPC" }

describe.runIf(IS_SANDBOX)("the errno sweep", { timeout: 300_000 }, () => {
  it("tells who fails, copes, crashes, hangs and lies", async () => {
    assert.deepStrictEqual(await judge("echo one > file", full), ["failed", "status 1"])
    assert.deepStrictEqual(await judge("echo one > file || echo one > file", full), ["coped", ""])
    assert.deepStrictEqual(await judge("echo one > file || kill -SEGV $$", full), ["crashed", "SIGSEGV"])
    assert.deepStrictEqual(await judge("echo one > file || sleep infinity", full), ["hung", "Stuck"])
    const [verdict, detail] = await judge("echo one > file; true", full)
    assert.strictEqual(verdict, "warned")
    assert.match(detail ?? "", /^other contents of file; it says: \/bin\/sh: .*echo/)
    assert.deepStrictEqual(await judge("echo one > file", { ...full, nth: 9 }), ["missed", ""])
  })

  it("sees what is missing, left over, and of another mode", async () => {
    const place: Place = { call: "write", nth: 1, errno: "EIO" }
    const report = (script: string) => judge(`{ ${script}; } 2> /dev/null; true`, place)
    assert.deepStrictEqual(await report("echo one && echo > file"), ["lied", "file is missing"])
    assert.deepStrictEqual(await report("echo one > /dev/null || echo > file"), ["lied", "file is left over"])
    assert.deepStrictEqual(await report("> file; echo > /dev/null || chmod 400 file"), [
      "lied",
      "other permissions of file"
    ])
    assert.deepStrictEqual(await report("echo one"), ["lied", "other standard output"])
  })

  it("tries what may come from outside, and nothing that only a wrong argument brings about", async () => {
    assert.includeMembers([...plausibleErrnos("write")], ["EINTR", "EIO", "ENOSPC"])
    assert.notInclude(plausibleErrnos("write"), "EFAULT")
    assert.deepStrictEqual(plausibleErrnos("getpid"), [])
    const command = { command: "/bin/true" }
    const sweep = await Effect.runPromise(Sweep.of({ name: "true", command, options: {} }))
    assert.isAbove(sweep.places.length, 50)
    assert.include([...sweep.safe], "exit_group")
  })
})
