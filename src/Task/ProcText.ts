/**
 * Pieces of text that files of proc(5) have in common.
 */

/** A mask of `count` bits as the kernel prints it: hexadecimal, a comma between groups of 32. */
export const bitmap = (mask: bigint, count: number): string => {
  const groups: Array<string> = []
  for (let from = Math.floor((count - 1) / 32) * 32; from >= 0; from -= 32) {
    const digits = Math.ceil(Math.min(32, count - from) / 4)
    groups.push(((mask >> BigInt(from)) & 0xffff_ffffn).toString(16).padStart(digits, "0"))
  }
  return groups.join(",")
}

/** The numbers of the bits of a mask as ranges: "0-3,7". */
export const bitmapList = (mask: bigint): string => {
  const ranges: Array<string> = []
  for (let bit = 0; mask >> BigInt(bit) !== 0n; bit++) {
    if (((mask >> BigInt(bit)) & 1n) === 0n) continue
    const first = bit
    while (((mask >> BigInt(bit + 1)) & 1n) === 1n) bit++
    ranges.push(first === bit ? `${first}` : `${first}-${bit}`)
  }
  return ranges.join(",")
}

/** A 64-bit set as sixteen hexadecimal digits. */
export const set64 = (set: bigint): string => set.toString(16).padStart(16, "0")

/** The characters of `text` that are in `special` as octal escapes. */
export const escape = (text: string, special: string): string => {
  let escaped = ""
  for (const char of text) {
    escaped += special.includes(char) ? `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}` : char
  }
  return escaped
}

/** Bytes as whole KiB. */
export const kib = (bytes: number): number => Math.floor(bytes / 1024)

/** A line of meminfo or status: the name, and the size in a column of eight. */
export const sizeLine = (name: string, bytes: number): string => `${name}:\t${String(kib(bytes)).padStart(8)} kB\n`
