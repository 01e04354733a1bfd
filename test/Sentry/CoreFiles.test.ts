/**
 * Names and places of core files, core(5): what /proc/sys says of them, which a test had better not change on the host.
 */
import { existsSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Sentry from "../../src/Sentry/Sentry.ts"

/** `die` leaves a core file, and says which files there are then; `as_user` does so with
 * other ids than it began with. */
const PRELUDE = `
ulimit -c unlimited
mkdir -p /tmp/core-files/here /tmp/core-files/cores; chmod 777 /tmp/core-files/here /tmp/core-files/cores; cd /tmp/core-files/here
files() { ls -A . ../cores | tr '\\n' ' ' | sed -E "s/\${1:-none}\\b/PID/g"; rm -rf /tmp/core-files/*/* /tmp/core-files/*/.[!.]*; }
die() { pid=$(sh -c 'echo $$; kill -QUIT $$'); echo "$? $(files $pid)"; }
as_user() { python3 -c "$CHANGES_IDS" 2> /dev/null; ls -ln ../cores | cut -d' ' -f1,3,4 | grep rw; files; echo; }
set_to() { echo "$2" > /proc/sys/$1; }
`

const run = (script: string) =>
  Effect.map(
    Sentry.run({
      command: "bash",
      args: ["-c", PRELUDE + script],
      env: { PATH: "/usr/bin:/bin" },
      timeout: "20 seconds"
    }),
    ({ stdout }) => Sentry.text(stdout).trim().split("\n")
  ).pipe(Effect.provide(Sentry.layer()))

describe("core files", { timeout: 30_000 }, () => {
  it.live("are called what core_pattern says", () =>
    Effect.gen(function* () {
      const found = yield* run(`
        die
        set_to kernel/core_uses_pid 1; die
        set_to kernel/core_pattern '/tmp/core-files/cores/%e-%s-%u-%g-%d-%%-%h-%p%'; die
        set_to kernel/core_pattern 'a%E.%q%i'; die
        set_to kernel/core_pattern '../cores/%f'; die
        set_to kernel/core_pattern ''; die
        set_to kernel/core_uses_pid 0; die`)
      assert.deepStrictEqual(found, [
        "131 .: core  ../cores: ",
        "131 .: core.PID  ../cores: ",
        "131 .:  ../cores: sh-3-0-0-1-%-sandbox-PID ",
        "131 .: a!usr!bin!dash.PID.PID  ../cores: ",
        "131 .:  ../cores: dash.PID ",
        "131 .: .PID  ../cores: ",
        "131 .:  ../cores:"
      ])
    })
  )

  it.live("go to no program and no socket, and only root says where", () =>
    Effect.gen(function* () {
      const found = yield* run(`
        for bad in '|/bin/cat' '@/socket'; do set_to kernel/core_pattern "$bad" 2> /dev/null; echo $?; done
        for bad in 3 -1 x; do set_to fs/suid_dumpable "$bad" 2> /dev/null; echo $?; done
        setpriv --reuid 1234 --clear-groups sh -c 'echo x > /proc/sys/kernel/core_pattern' 2> /dev/null; echo $?
        cat /proc/sys/kernel/core_pattern /proc/sys/fs/suid_dumpable`)
      assert.deepStrictEqual(found, ["1", "1", "1", "1", "1", "2", "core", "0"])
    })
  )

  it.live.skipIf(!existsSync("/usr/bin/python3"))(
    "of a process that has changed its ids are root's, in a place that it does not choose, or there are none",
    () =>
      Effect.gen(function* () {
        const found = yield* run(`
        CHANGES_IDS='import os, signal; os.setgid(1234); os.setuid(1234); os.kill(os.getpid(), signal.SIGQUIT)'
        set_to kernel/core_pattern ../cores/relative
        for how in 0 1 2; do set_to fs/suid_dumpable $how; as_user; done
        set_to kernel/core_pattern /tmp/core-files/cores/absolute; as_user
        touch ../cores/absolute; as_user`)
        assert.deepStrictEqual(found, [
          ".:  ../cores: ",
          "-rw------- 1234 1234",
          ".:  ../cores: relative ",
          ".:  ../cores: ",
          "-rw------- 0 1234",
          ".:  ../cores: absolute ",
          "-rw-r--r-- 0 0",
          ".:  ../cores: absolute"
        ])
      })
  )
})
