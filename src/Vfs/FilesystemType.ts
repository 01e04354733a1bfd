/**
 * What mount(2) can mount: filesystem types by name, and their options, which come as one string "name=value,name,…".
 */
import { EINVAL } from "../Abi/Errno.ts"
import { MS_DIRSYNC, MS_LAZYTIME, MS_MANDLOCK, MS_RDONLY, MS_SYNCHRONOUS } from "../Abi/MountFlags.ts"
import type { Filesystem } from "./Filesystem.ts"
import type { Caller } from "./Inode.ts"
import type { UserNamespace } from "./UserNamespace.ts"

export interface FilesystemType {
  readonly name: string
  /** Whose privileges it takes to mount it, and count for what is mounted then: the sandbox's own, or some user's. */
  owner(caller: Caller): UserNamespace
  /** The filesystem to mount, a new one or the only one there is, for the filesystem's own `options`; or -errno. */
  make(caller: Caller, options: string): Filesystem | number
  /** Whether it takes such options: 0 or -errno. */
  check(options: string): number
}

/** `check` of a type without options. */
export const refuseOptions = (options: string): number => (options === "" ? 0 : -EINVAL)

/** 0 for options that could be read, or the -errno that there is in their place. */
export const errorOf = (settings: object | number): number => (typeof settings === "number" ? settings : 0)

/** Options that mean the same to every filesystem: MS_* bits to set and to clear. */
const COMMON: Readonly<Record<string, readonly [set: number, clear: number]>> = {
  ro: [MS_RDONLY, 0],
  rw: [0, MS_RDONLY],
  sync: [MS_SYNCHRONOUS, 0],
  async: [0, MS_SYNCHRONOUS],
  dirsync: [MS_DIRSYNC, 0],
  mand: [MS_MANDLOCK, 0],
  nomand: [0, MS_MANDLOCK],
  lazytime: [MS_LAZYTIME, 0],
  nolazytime: [0, MS_LAZYTIME]
}

const nameOf = (option: string): string => option.split("=", 1)[0]!

/** `flags` as the options that every filesystem knows change them, and what is left for the filesystem itself. */
export const commonOptions = (flags: number, data: string): { readonly flags: number; readonly options: string } => {
  const own: Array<string> = []
  for (const option of data.split(",")) {
    const common = Object.hasOwn(COMMON, nameOf(option)) ? COMMON[nameOf(option)] : undefined
    if (common !== undefined) flags = (flags | common[0]) & ~common[1]
    else if (option !== "" && !option.startsWith("=")) own.push(option)
  }
  return { flags, options: own.join(",") }
}

/** Reads `options`, each by the reader of its name, which gives false for a bad value. 0, or -EINVAL. */
export const readOptions = (options: string, readers: Readonly<Record<string, (value: string) => boolean>>): number => {
  for (const option of options === "" ? [] : options.split(",")) {
    const name = nameOf(option)
    if (!Object.hasOwn(readers, name) || !readers[name]!(option.slice(name.length + 1))) return -EINVAL
  }
  return 0
}

/** A number as the kernel reads it, decimal, octal or hexadecimal; undefined if it is none. */
export const parseNumber = (text: string): number | undefined => {
  if (/^0x[0-9a-f]+$/i.test(text)) return Number(text)
  if (/^0[0-7]*$/.test(text)) return Number.parseInt(text, 8)
  return /^[1-9][0-9]*$/.test(text) ? Number(text) : undefined
}

const SUFFIXES = "kmgtpe"

/** A size with a suffix: "16m". */
export const parseSize = (text: string): number | undefined => {
  const suffix = SUFFIXES.indexOf(text.slice(-1).toLowerCase())
  const isHex = /^0x/i.test(text) && text.slice(-1).toLowerCase() === "e" // a digit there
  if (text === "" || suffix < 0 || isHex) return parseNumber(text)
  const number = parseNumber(text.slice(0, -1))
  return number === undefined ? undefined : number * 1024 ** (suffix + 1)
}
