/**
 * The first line of a script, `#! interpreter [argument]`, by the rules of Linux's fs/binfmt_script.c: see execve(2),
 * "Interpreter scripts".
 */

/** How much of a file is looked at: BINPRM_BUF_SIZE. */
export const BINPRM_BUF_SIZE = 256

/** What a script names as its interpreter; byte strings. */
export interface ScriptLine {
  readonly interpreter: string
  /** Everything after the interpreter, as one argument. */
  readonly argument: string | undefined
}

const isBlank = (c: string | undefined): boolean => c === " " || c === "\t"

/** Up to its first NUL, as C sees it. */
const cut = (text: string): string => {
  const end = text.indexOf("\0")
  return end < 0 ? text : text.slice(0, end)
}

export const isScript = (head: string): boolean => head.startsWith("#!")

/**
 * Parses the first 256 bytes of a file (padded with NUL), which begin with `#!`. Undefined (ENOEXEC) if no interpreter
 * is named or its name may be cut off; a cut-off argument is taken as it is.
 */
export const parseScriptLine = (head: string): ScriptLine | undefined => {
  const newline = cut(head).indexOf("\n")
  let end = newline
  if (newline < 0) {
    end = head.length - 1
    const name = skipBlanks(head, 2, end)
    if (name === undefined || findTerminator(head, name, end) === undefined) return undefined
  }
  while (isBlank(head[end - 1])) end--

  const name = skipBlanks(head, 2, end)
  if (name === undefined || name === end) return undefined
  const separator = findTerminator(head, name, end)
  const argument =
    separator !== undefined && separator < end && head[separator] !== "\0"
      ? skipBlanks(head, separator, end)
      : undefined
  return {
    interpreter: cut(head.slice(name, separator === undefined ? end : Math.min(separator, end))),
    argument: argument === undefined ? undefined : cut(head.slice(argument, end))
  }
}

/** The first byte from `from` to `to`, both included, that is no blank. */
const skipBlanks = (text: string, from: number, to: number): number | undefined => {
  for (let at = from; at <= to; at++) if (!isBlank(text[at])) return at
  return undefined
}

/** The first blank or NUL from `from` to `to`, both included. */
const findTerminator = (text: string, from: number, to: number): number | undefined => {
  for (let at = from; at <= to; at++) if (isBlank(text[at]) || text[at] === "\0") return at
  return undefined
}
