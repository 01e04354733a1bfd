/**
 * /proc/[pid]/maps, smaps, smaps_rollup: the areas of a process's memory.
 */
import { major, minor } from "../Abi/Device.ts"
import { PROT_EXEC, PROT_READ, PROT_WRITE } from "../Abi/Mman.ts"
import type { MemoryManager } from "../Memory/MemoryManager.ts"
import {
  countedSize,
  isFile,
  VMA_DONTDUMP,
  VMA_DONTFORK,
  VMA_GROWSDOWN,
  VMA_HUGEPAGE,
  VMA_LOCKED,
  VMA_MAYWRITE,
  VMA_MERGEABLE,
  VMA_NOHUGEPAGE,
  VMA_NORESERVE,
  VMA_RANDOM,
  VMA_SEQUENTIAL,
  VMA_WIPEONFORK,
  visibleStart,
  type Vma
} from "../Memory/Vma.ts"
import type { Subject } from "./ProcSubject.ts"
import { escape, kib } from "./ProcText.ts"

/** Where the name of an area begins. */
const NAME_COLUMN = 73

const hex = (value: number, width: number): string => value.toString(16).padStart(width, "0")

const permissions = ({ protection, shared }: Vma): string =>
  ((protection & PROT_READ) !== 0 ? "r" : "-") +
  ((protection & PROT_WRITE) !== 0 ? "w" : "-") +
  ((protection & PROT_EXEC) !== 0 ? "x" : "-") +
  (shared ? "s" : "p")

/** Device and inode number of what is mapped. */
const identity = ({ backing }: Vma): { readonly dev: number; readonly ino: number } => {
  if (backing === undefined) return { dev: 0, ino: 0 }
  if (!isFile(backing.object)) return { dev: 1, ino: 1 } // a file of the kernel's own tmpfs
  const stat = backing.object.stat()
  return typeof stat === "number" ? { dev: 0, ino: 0 } : stat
}

const rangeLine = (start: number, end: number, rest: string, name: string): string => {
  const line = `${hex(start, 8)}-${hex(end, 8)} ${rest} `
  return `${name === "" ? line : line.padEnd(NAME_COLUMN) + escape(name, "\n")}\n`
}

const mapLine = (memory: MemoryManager, vma: Vma): string => {
  const { dev, ino } = identity(vma)
  const offset = vma.backing === undefined ? 0 : vma.backing.offset + vma.ungrown
  return rangeLine(
    visibleStart(vma),
    vma.end,
    `${permissions(vma)} ${hex(offset, 8)} ${hex(major(dev), 2)}:${hex(minor(dev), 2)} ${ino}`,
    memory.nameOf(vma)
  )
}

export const maps = ({ memory }: Subject): string => {
  let text = ""
  if (memory !== undefined) for (const vma of memory.vmas()) text += mapLine(memory, vma)
  return text
}

/** Two letters for each property, as proc_pid_smaps(5) lists them. */
const vmFlags = ({ flags, protection, shared, backing }: Vma): string => {
  const mayWrite = (flags & VMA_MAYWRITE) !== 0
  const accounted = !shared && (protection & PROT_WRITE) !== 0 && (flags & VMA_NORESERVE) === 0
  const letters: ReadonlyArray<readonly [string, boolean]> = [
    ["rd", (protection & PROT_READ) !== 0],
    ["wr", (protection & PROT_WRITE) !== 0],
    ["ex", (protection & PROT_EXEC) !== 0],
    ["sh", shared],
    ["mr", true],
    ["mw", mayWrite],
    ["me", true],
    ["ms", shared],
    ["gd", (flags & VMA_GROWSDOWN) !== 0],
    ["lo", (flags & VMA_LOCKED) !== 0],
    ["sr", (flags & VMA_SEQUENTIAL) !== 0],
    ["rr", (flags & VMA_RANDOM) !== 0],
    ["dc", (flags & VMA_DONTFORK) !== 0],
    ["ac", accounted || (shared && backing !== undefined && !isFile(backing.object))],
    ["nr", (flags & VMA_NORESERVE) !== 0],
    ["wf", (flags & VMA_WIPEONFORK) !== 0],
    ["dd", (flags & VMA_DONTDUMP) !== 0],
    ["hg", (flags & VMA_HUGEPAGE) !== 0],
    ["nh", (flags & VMA_NOHUGEPAGE) !== 0],
    ["mg", (flags & VMA_MERGEABLE) !== 0]
  ]
  return letters.map(([letter, set]) => (set ? `${letter} ` : "")).join("")
}

const line = (name: string, bytes: number): string => `${`${name}:`.padEnd(16)}${String(kib(bytes)).padStart(8)} kB\n`

/** What is resident of one area, shared, or dirty, the kernel does not know: zero. */
const UNKNOWN = [
  "Pss_Dirty",
  "Shared_Clean",
  "Shared_Dirty",
  "Private_Clean",
  "Private_Dirty",
  "Referenced",
  "Anonymous",
  "KSM",
  "LazyFree",
  "AnonHugePages",
  "ShmemPmdMapped",
  "FilePmdMapped",
  "Shared_Hugetlb",
  "Private_Hugetlb",
  "Swap",
  "SwapPss"
]
  .map((name) => line(name, 0))
  .join("")

/** As on old kernels: a debugger that reads how little is anonymous leaves it out of core files. */
const UNKNOWN_OF_AREA = UNKNOWN.replace(line("Anonymous", 0), "")

export const smaps = ({ memory }: Subject): string => {
  let text = ""
  if (memory === undefined) return text
  for (const vma of memory.vmas()) {
    text += mapLine(memory, vma)
    text += line("Size", countedSize(vma)) + line("KernelPageSize", 4096) + line("MMUPageSize", 4096)
    text += line("Rss", 0) + line("Pss", 0) + UNKNOWN_OF_AREA
    text += line("Locked", (vma.flags & VMA_LOCKED) !== 0 ? countedSize(vma) : 0)
    text += `THPeligible:           0\nVmFlags: ${vmFlags(vma)}\n`
  }
  return text
}

/** The sums: what is resident in all is known. */
export const smapsRollup = ({ memory }: Subject): string => {
  if (memory === undefined) return ""
  const areas = [...memory.vmas()]
  const first = areas[0]
  const last = areas.at(-1)
  if (first === undefined || last === undefined) return ""
  const resident = memory.addressSpace.residentSet().current * 1024
  return (
    rangeLine(visibleStart(first), last.end, "---p 00000000 00:00 0", "[rollup]") +
    line("Rss", resident) +
    line("Pss", resident) +
    UNKNOWN.replace("Shared_Clean", `${line("Pss_Anon", 0)}${line("Pss_File", 0)}${line("Pss_Shmem", 0)}Shared_Clean`) +
    line("Locked", memory.totals().locked)
  )
}
