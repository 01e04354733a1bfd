import { assert, describe, it } from "@effect/vitest"
import { SIGINT, SIGTSTP } from "../../src/Abi/Signal.ts"
import { KernelTermios } from "../../src/Abi/Termios.ts"
import { TtyDiscipline } from "../../src/Vfs/TtyDiscipline.ts"

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1")

/** Types `text`; what was echoed, and what can be read line by line. */
const session = (text: string, change: (tty: TtyDiscipline) => void = () => {}) => {
  const tty = new TtyDiscipline()
  change(tty)
  const signals: Array<number> = []
  tty.input(bytes(text), (signo) => signals.push(signo))
  const buffer = Buffer.alloc(8192)
  const echo = buffer.toString("latin1", 0, tty.takeOutput(buffer))
  const lines: Array<string> = []
  while (tty.hasInput) lines.push(buffer.toString("latin1", 0, tty.read(buffer)))
  return { echo, lines, signals }
}

const withLocalFlags = (off: number) => (tty: TtyDiscipline) => {
  const termios = KernelTermios.decode(tty.termios)
  tty.setTermios(KernelTermios.encode({ ...termios, c_lflag: termios.c_lflag & ~off }))
}
const ICANON = 2
const ECHO = 8

describe("the line discipline", () => {
  it("gives whole lines, and echoes with carriage returns", () => {
    assert.deepStrictEqual(session("one\ntwo\nthree"), {
      echo: "one\r\ntwo\r\nthree",
      lines: ["one\n", "two\n"],
      signals: []
    })
  })

  it("turns a carriage return into a newline", () => {
    assert.deepStrictEqual(session("x\r").lines, ["x\n"])
  })

  it("edits: erase, word erase, kill", () => {
    assert.deepStrictEqual(session("abc\x7f\x7fX\n").lines, ["aX\n"])
    assert.deepStrictEqual(session("foo bar  \x17baz\n").lines, ["foo baz\n"])
    assert.deepStrictEqual(session("nothing of this\x15only this\n").lines, ["only this\n"])
    assert.strictEqual(session("a\x7f\x7f").echo, "a\b \b")
  })

  it("ends the file at ^D on an empty line, and a line elsewhere", () => {
    assert.deepStrictEqual(session("\x04").lines, [""])
    assert.deepStrictEqual(session("part\x04").lines, ["part"])
  })

  it("makes signals of ^C and ^Z, which throw the line away", () => {
    assert.deepStrictEqual(session("typed\x03\x1arest\n"), {
      echo: "^Zrest\r\n",
      lines: ["rest\n"],
      signals: [SIGINT, SIGTSTP]
    })
  })

  it("takes the byte after ^V as it is", () => {
    assert.deepStrictEqual(session("\x16\x03\n"), { echo: "^\b^C\r\n", lines: ["\x03\n"], signals: [] })
  })

  it("stops output between ^S and ^Q", () => {
    const tty = new TtyDiscipline()
    tty.input(bytes("\x13"), () => {})
    assert.strictEqual(tty.write(bytes("held")), 0)
    tty.input(bytes("\x11"), () => {})
    assert.strictEqual(tty.write(bytes("a\n")), 2)
    assert.strictEqual(tty.pending, 3)
  })

  it("in raw mode gives everything at once and edits nothing", () => {
    assert.deepStrictEqual(session("ab\x7f", withLocalFlags(ICANON | ECHO)), {
      echo: "",
      lines: ["ab\x7f"],
      signals: []
    })
  })

  it("gives what was being edited when canonical mode ends", () => {
    const tty = new TtyDiscipline()
    tty.input(bytes("half"), () => {})
    assert.isFalse(tty.hasInput)
    withLocalFlags(ICANON)(tty)
    assert.isTrue(tty.hasInput)
  })

  it("never holds more than a bounded line, however much is typed", () => {
    const tty = new TtyDiscipline()
    assert.strictEqual(
      tty.input(new Uint8Array(20_000).fill(97), () => {}),
      20_000
    )
    tty.input(bytes("\n"), () => {})
    const buffer = new Uint8Array(20_000)
    const length = tty.read(buffer)
    assert.isAtMost(length, 4096)
    assert.strictEqual(buffer[length - 1], 10)
  })
})
