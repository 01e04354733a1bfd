/**
 * Guest memory as the strace printer reads it: bounded copies, each made once.
 */
import * as Text from "./StraceText.ts"

/** Guest memory, as far as the printer needs it: Memory/UserMemory.ts is one. */
export interface GuestMemory {
  /** 0, or -EFAULT. */
  copyIn(address: number, into: Uint8Array): number
  copyInPartial(address: number, into: Uint8Array): number
}

/** One call while it is being shown. */
export interface Call {
  readonly memory: GuestMemory
  /** The six argument registers: exact within ±2^53, and else at least far above every address. */
  readonly values: ReadonlyArray<number>
  /** Their low 32 bits. */
  readonly low: ReadonlyArray<number>
  readonly stackPointer: number
  /** Undefined until the call has returned. */
  readonly result: number | undefined
}

/** A structure at `address`, which argument `index` holds; undefined if it cannot be read. */
export type StructPrinter = (call: Call, address: number, index: number) => string | undefined

/** More than the printer ever shows of anything: what a guest gives as a size may be any number. */
const VIEW_LIMIT = 1 << 20

/** `size` bytes at `address`; undefined on a fault, or for a size that nothing has. */
export const view = (memory: GuestMemory, address: number, size: number): DataView | undefined => {
  if (!(size >= 0 && size <= VIEW_LIMIT)) return undefined
  const bytes = new Uint8Array(size)
  return memory.copyIn(address, bytes) < 0 ? undefined : new DataView(bytes.buffer)
}

/** At most `length` bytes, as many as are readable and worth showing, quoted; undefined if none is readable. */
export const quotedBytes = (memory: GuestMemory, address: number, length: number): string | undefined => {
  const shown = Math.max(0, Math.min(length, Text.STRING_LIMIT))
  const bytes = new Uint8Array(shown)
  return memory.copyIn(address, bytes) < 0 ? undefined : Text.quote(bytes, length > shown)
}

/** A struct of fixed size that is decoded and then described. */
export const fixed =
  <A>(
    type: { readonly size: number; readonly get: (view: DataView, at: number) => A },
    show: (value: A) => string
  ): StructPrinter =>
  ({ memory }, address) => {
    const bytes = view(memory, address, type.size)
    return bytes === undefined ? undefined : show(type.get(bytes, 0))
  }

/** `[a, b]` for a fixed number of elements. */
export const array =
  (element: StructPrinter, size: number, count: (call: Call, index: number) => number): StructPrinter =>
  (call, address, index) => {
    const total = count(call, index)
    const parts: Array<string> = []
    for (let i = 0; i < total; i++) {
      if (i === Text.STRING_LIMIT) {
        parts.push("...")
        break
      }
      const part = element(call, address + i * size, index)
      if (part === undefined)
        return i === 0 ? undefined : `[${parts.join(", ")}, ... /* ${Text.hex(address + i * size)} */]`
      parts.push(part)
    }
    return `[${parts.join(", ")}]`
  }

/** A vector whose length is the next argument; contents go in (write) or have come out, as many as the result says. */
export const iovec: StructPrinter = (call, address, index) => {
  let left = call.result ?? Infinity
  const element: StructPrinter = ({ memory }, at) => {
    const bytes = view(memory, at, 16)
    if (bytes === undefined) return undefined
    const base = Number(bytes.getBigUint64(0, true))
    const length = Number(bytes.getBigUint64(8, true))
    const shown = Math.max(0, Math.min(length, left))
    left -= shown
    const content = base === 0 ? undefined : quotedBytes(memory, base, shown)
    return `{iov_base=${content ?? Text.pointer(base)}, iov_len=${length}}`
  }
  return array(element, 16, () => call.values[index + 1] ?? 0)(call, address, index)
}
