/**
 * An address space without a host: carries out mapping changes on a table of pages, as the host's kernel would.
 */
import * as Effect from "effect/Effect"
import { EFAULT, ENOMEM } from "../../src/Abi/Errno.ts"
import { PROT_READ, PROT_WRITE } from "../../src/Abi/Mman.ts"
import type { AddressSpace, MappingChange } from "../../src/Platform/Platform.ts"
import type { MappedFile } from "../../src/Memory/Vma.ts"

const PAGE = 4096

export interface FakePage {
  readonly protection: number
  readonly shared: boolean
  /** Host descriptor and offset; undefined for anonymous memory. */
  readonly source: { readonly fd: number; readonly offset: number } | undefined
  readonly bytes: Uint8Array
}

export class FakeAddressSpace implements AddressSpace {
  readonly pages = new Map<number, FakePage>()
  /** Every change asked for, one array per call. */
  readonly calls: Array<ReadonlyArray<MappingChange>> = []
  /** The next calls fail with this errno (negative) instead. */
  failure = 0
  /** False: changes are only recorded, and all memory is writable. For mappings of absurd sizes. */
  keepsPages = true
  /** What was written, when no pages are kept. */
  readonly writes: Array<{ readonly address: number; readonly bytes: Uint8Array }> = []

  readonly change = (changes: ReadonlyArray<MappingChange>): Effect.Effect<number> =>
    Effect.sync(() => {
      this.calls.push(changes)
      if (this.failure !== 0 || !this.keepsPages) return this.failure
      for (const change of changes) {
        const result = this.#apply(change)
        if (result !== 0) return result
      }
      return 0
    })

  readonly residentSet = () => ({ current: 0, peak: 0 })

  readonly read = (address: number, into: Uint8Array): number =>
    this.#copy(address, into.length, PROT_READ, (bytes, at, done) => into.set(bytes.subarray(at, at + 1), done))

  readonly readForced = (address: number, into: Uint8Array): number =>
    this.#copy(address, into.length, 0, (bytes, at, done) => into.set(bytes.subarray(at, at + 1), done))

  readonly write = (address: number, from: Uint8Array): number => {
    if (!this.keepsPages) return this.writes.push({ address, bytes: from.slice() }) > 0 ? from.length : 0
    return this.#copy(address, from.length, PROT_WRITE, (bytes, at, done) => {
      bytes[at] = from[done]!
    })
  }

  readonly writeForced = (address: number, from: Uint8Array): number =>
    this.#copy(address, from.length, 0, (bytes, at, done) => {
      bytes[at] = from[done]!
    })

  #copy(
    address: number,
    length: number,
    protection: number,
    move: (bytes: Uint8Array, at: number, done: number) => void
  ): number {
    for (let done = 0; done < length; done++) {
      const at = address + done
      const page = this.pages.get(Math.floor(at / PAGE))
      if (page === undefined || (page.protection & protection) !== protection) return done
      move(page.bytes, at % PAGE, done)
    }
    return length
  }

  #apply(change: MappingChange): number {
    const first = change.address / PAGE
    if (!Number.isSafeInteger(first)) return -EFAULT
    switch (change._tag) {
      case "Map":
        for (let index = 0; index < change.length / PAGE; index++) {
          const { backing, protection, shared } = change
          const source = backing === undefined ? undefined : { fd: backing.fd, offset: backing.offset + index * PAGE }
          this.pages.set(first + index, { protection, shared, source, bytes: new Uint8Array(PAGE) })
        }
        return 0
      case "Unmap":
        for (let index = 0; index < change.length / PAGE; index++) this.pages.delete(first + index)
        return 0
      case "Protect":
        for (let index = 0; index < change.length / PAGE; index++) {
          const page = this.pages.get(first + index)
          if (page === undefined) return -ENOMEM
          this.pages.set(first + index, { ...page, protection: change.protection })
        }
        return 0
      case "Remap": {
        const old = Array.from({ length: change.oldLength / PAGE }, (_, index) => this.pages.get(first + index))
        const base = old[0] ?? this.pages.get(first)
        if (base === undefined || old.includes(undefined)) return -EFAULT
        if (!change.keepOld) for (let index = 0; index < old.length; index++) this.pages.delete(first + index)
        for (let index = 0; index < change.newLength / PAGE; index++) {
          const source =
            base.source === undefined ? undefined : { fd: base.source.fd, offset: base.source.offset + index * PAGE }
          const page = old[index] ?? { ...base, source, bytes: new Uint8Array(PAGE) }
          this.pages.set(change.newAddress / PAGE + index, page)
        }
        return 0
      }
      case "Advise":
      case "Synchronize":
        return 0
    }
  }
}

/** A file that can be mapped and counts its references. */
export class FakeFile implements MappedFile {
  references = 1
  readonly fd: number
  readonly readable: boolean
  readonly writable: boolean

  constructor(fd: number, readable = true, writable = true) {
    this.fd = fd
    this.readable = readable
    this.writable = writable
  }

  mappable(): { readonly fd: number; readonly offset: number } | number {
    return { fd: this.fd, offset: 0 }
  }
  stat(): number {
    return 0
  }
  describe(): string {
    return `/file/${this.fd}`
  }
  lockTarget(): object {
    return this
  }
  retain(): this {
    this.references++
    return this
  }
  release(): void {
    this.references--
  }
}
