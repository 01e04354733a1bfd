/**
 * The vdso(7) as every program has it: the object's image, and below it the page that it reads.
 */
import { closeSync, fstatSync, openSync } from "node:fs"
import * as Effect from "effect/Effect"
import { ENOMEM } from "../Abi/Errno.ts"
import { PAGE_SIZE, PROT_EXEC, PROT_READ } from "../Abi/Mman.ts"
import { pageAlign } from "../Memory/AddressLayout.ts"
import type { MemoryManager } from "../Memory/MemoryManager.ts"
import { type MappedFile, type MappedStat, VMA_DONTDUMP, VMA_MAYWRITE } from "../Memory/Vma.ts"
import { nativeDirectory } from "../Platform/Native.ts"
import type { SegmentMap } from "./SegmentMap.ts"

/** Memory that the kernel provides: it has no name in the file system and lives as long as the kernel. */
class KernelObject implements MappedFile {
  readonly readable = true
  readonly writable = false
  readonly #fd: number
  readonly #name: string

  constructor(fd: number, name: string) {
    this.#fd = fd
    this.#name = name
  }

  mappable(): { readonly fd: number; readonly offset: number } {
    return { fd: this.#fd, offset: 0 }
  }

  stat(): MappedStat {
    return { dev: 0, ino: 0, mode: 0, nlink: 0, size: 0 }
  }

  describe(): string {
    return this.#name
  }

  lockTarget(): object {
    return this
  }

  retain(): this {
    return this
  }

  release(): void {}
}

/** Owner: the kernel. */
export class Vdso {
  readonly #fd: number
  readonly #size: number
  readonly #image: MappedFile
  readonly #page: MappedFile
  readonly #silentPage: MappedFile

  /** The page that it reads, and one that never tells the time: it makes the system call then. They remain the caller's. */
  constructor(pageFd: number, silentPageFd: number) {
    this.#fd = openSync(`${nativeDirectory()}/vdso.so`, "r")
    this.#size = pageAlign(fstatSync(this.#fd).size)
    this.#image = new KernelObject(this.#fd, "[vdso]")
    this.#page = new KernelObject(pageFd, "[vvar]")
    this.#silentPage = new KernelObject(silentPageFd, "[vvar]")
  }

  /** Adds it to a new program, which `tells` the time by itself or not: where it is (AT_SYSINFO_EHDR), or -ENOMEM. */
  addTo(manager: MemoryManager, segments: SegmentMap, tells: boolean): number {
    const start = manager.findGap(PAGE_SIZE + this.#size, 0)
    if (start === undefined) return -ENOMEM
    const address = start + PAGE_SIZE
    const common = { shared: false, name: undefined, ungrown: 0 }
    segments.add({
      ...common,
      start,
      end: address,
      protection: PROT_READ,
      backing: { object: tells ? this.#page : this.#silentPage, offset: 0 },
      flags: VMA_DONTDUMP
    })
    segments.add({
      ...common,
      start: address,
      end: address + this.#size,
      protection: PROT_READ | PROT_EXEC,
      backing: { object: this.#image, offset: 0 },
      flags: VMA_MAYWRITE
    })
    return address
  }

  /** Has a program tell the time by itself from now on, or not: 0 or -errno. */
  tell(manager: MemoryManager, tells: boolean): Effect.Effect<number> {
    const [before, after] = tells ? [this.#silentPage, this.#page] : [this.#page, this.#silentPage]
    return manager.exclusive(
      Effect.suspend(() => {
        const areas = [...manager.vmas()].filter(({ backing }) => backing?.object === before)
        const changed = areas.map((area) => ({ ...area, backing: { object: after, offset: 0 } }))
        if (changed.length === 0) return Effect.succeed(0)
        return manager.apply(
          changed.map((area) => manager.mapChange(area, false)),
          () => {
            for (const area of changed) manager.areas.replace(area.start, area.end, [area])
            return 0
          }
        )
      })
    )
  }

  close(): void {
    closeSync(this.#fd)
  }
}
