/**
 * Programs at a terminal: `script` (util-linux) gives them a pseudo-terminal, into which we type.
 */
import { spawn, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { afterEach, assert, describe, it } from "@effect/vitest"

const MAIN = fileURLToPath(new URL("../../src/Cli/Main.ts", import.meta.url))
const hasScript = spawnSync("script", ["--version"]).status === 0

/** A shell's, whoever runs it. */
const PROMPT = /[$#] $/

/** What appears on the terminal, for `expect` to wait for. */
class Terminal {
  readonly #child
  #unseen = ""
  readonly ended: Promise<number | null>

  constructor(command: string) {
    this.#child = spawn("script", ["-qec", `exec ${command}`, "/dev/null"], {
      // a shell between `script` and the command would be interrupted too: `exec` below makes the command take its place
      env: { ...process.env, TERM: "dumb", SHELL: "/bin/sh" },
      timeout: 25_000,
      killSignal: "SIGKILL"
    })
    this.#child.stdout.on("data", (chunk: Buffer) => (this.#unseen += chunk.toString("latin1")))
    this.ended = new Promise((resolve) => this.#child.on("close", resolve))
  }

  /** Hangs up. */
  close(): void {
    this.#child.kill("SIGKILL")
  }

  type(keys: string): void {
    this.#child.stdin.write(keys)
  }

  /** Waits until `text` appears, and forgets everything before its end. */
  async expect(text: string | RegExp): Promise<void> {
    const deadline = performance.now() + 10_000
    for (;;) {
      const found = typeof text === "string" ? text : text.exec(this.#unseen)?.[0]
      const at = found === undefined ? -1 : this.#unseen.indexOf(found)
      if (found !== undefined && at >= 0) {
        this.#unseen = this.#unseen.slice(at + found.length)
        return
      }
      if (performance.now() > deadline) assert.fail(`no ${String(text)} in ${JSON.stringify(this.#unseen)}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

const run = (program: string): string => `${process.execPath} ${MAIN} run ${program}`

describe.skipIf(!hasScript)("at a terminal", { timeout: 30_000 }, () => {
  const terminals: Array<Terminal> = []
  const open = (command: string): Terminal => {
    const terminal = new Terminal(command)
    terminals.push(terminal)
    return terminal
  }
  afterEach(() => {
    for (const terminal of terminals.splice(0)) terminal.close()
  })

  it("Ctrl-C ends the shell's foreground job, not the shell, as often as one likes", async () => {
    const terminal = open(run("/bin/sh"))
    await terminal.expect(PROMPT)
    for (const round of [1, 2]) {
      terminal.type("echo begun; sleep 100\n")
      await terminal.expect("\nbegun")
      await new Promise((resolve) => setTimeout(resolve, 300))
      terminal.type("\x03")
      await terminal.expect(PROMPT)
      terminal.type(`echo alive $((${round} + 1))\n`)
      await terminal.expect(`alive ${round + 1}\r\n`)
      await new Promise((resolve) => setTimeout(resolve, 2100)) // longer than the impatience that kills
    }
    terminal.type("exit 5\n")
    assert.strictEqual(await terminal.ended, 5)
  })

  it("Ctrl-Z stops the shell's job, and fg goes on with it", async () => {
    const terminal = open(run("/bin/bash --norc --noediting"))
    await terminal.expect(PROMPT)
    terminal.type("cat\n")
    terminal.type("one\n")
    await terminal.expect("one\r\none\r\n")
    terminal.type("\x1a")
    await terminal.expect("Stopped")
    await terminal.expect(PROMPT)
    terminal.type("fg\n")
    await terminal.expect("fg\r\n")
    await terminal.expect("cat\r\n")
    terminal.type("two\n")
    await terminal.expect("two\r\ntwo\r\n")
    terminal.type("\x04")
    await terminal.expect(PROMPT)
    terminal.type("exit 6\n")
    assert.strictEqual(await terminal.ended, 6)
  })

  it("Ctrl-Z gives the terminal back to the shell that runs the sandbox, and fg goes on", async () => {
    const terminal = open("/bin/bash --norc --noediting -i")
    await terminal.expect(PROMPT)
    terminal.type(`${run("cat")}\n`)
    terminal.type("one\n")
    await terminal.expect("one\r\none\r\n")
    terminal.type("\x1a")
    await terminal.expect("Stopped")
    await terminal.expect(PROMPT)
    terminal.type("fg\n")
    await terminal.expect("fg\r\n")
    await terminal.expect("run cat\r\n")
    terminal.type("two\n")
    await terminal.expect("two\r\ntwo\r\n")
    terminal.type("\x04")
    await terminal.expect(PROMPT)
    terminal.type("exit $(($? + 3))\n")
    assert.strictEqual(await terminal.ended, 3)
  })
})
