/**
 * The page from which programs tell the time without a system call (native/vdso.c reads it in the guest). Where the
 * processor's counter serves, it is also the kernel's own clock, so that a program sees one time whichever way it asks.
 */
import { bind, view } from "../Platform/Native.ts"
import { type ClockLine, type ClockSample, nextLine } from "./ClockLine.ts"
import type { Timekeeper } from "./Timekeeper.ts"

const openPage = bind<[out: BigUint64Array], number>("int sentry_vdso_page_open(_Out_ uint64_t *out)")
const closePage = bind<[page: bigint, fd: number], void>("void sentry_vdso_page_close(uint64_t page, int fd)")
const writeLine = bind<[page: bigint, line: BigUint64Array], void>(
  "void sentry_vdso_page_write(uint64_t page, const uint64_t *line)"
)
const pageNow = bind<[page: bigint, realtime: number], number | bigint>(
  "uint64_t sentry_vdso_page_now(uint64_t page, int realtime)"
)
const sampleClock = bind<[out: BigUint64Array], void>("void sentry_clock_sample(_Out_ uint64_t *out)")

/** Offset of `cpu` in `struct vdso_page`, in words. */
const CPU = 1
const UNKNOWN_CPU = -1
/** How long the first line holds, and the later ones at most, ms: the longer, the more a change of the clock's pace shows. */
const FIRST_INTERVAL = 10
const MAX_INTERVAL = 1000

const NANOS_PER_MILLISECOND = 1_000_000n

const sample = (): ClockSample => {
  const out = new BigUint64Array(3)
  sampleClock(out)
  return { counter: out[0]!, monotonic: out[1]!, epoch: out[2]! }
}

/** Owner: the kernel that made it. */
export class VdsoPage {
  /** To map the page with: it cannot be written through. */
  readonly fd: number
  readonly #address: bigint
  #timer: NodeJS.Timeout | undefined
  #line: ClockLine | undefined
  #before: ClockSample | undefined

  constructor() {
    const out = new BigUint64Array(1)
    this.fd = openPage(out)
    if (this.fd < 0) throw new Error(`memfd_create for the vdso's page: errno ${-this.fd}`)
    this.#address = out[0]!
  }

  /** Has the page tell the time from now on, by the counter that guests can read: the clock that shows the same. */
  startClock(): Timekeeper {
    this.#before = sample()
    this.#schedule(FIRST_INTERVAL, FIRST_INTERVAL)
    return { monotonic: () => BigInt(pageNow(this.#address, 0)), realtime: () => BigInt(pageNow(this.#address, 1)) }
  }

  #schedule(delay: number, interval: number): void {
    // it keeps nothing alive
    this.#timer = setTimeout(() => {
      this.#draw(interval)
      this.#schedule(interval, Math.min(2 * interval, MAX_INTERVAL))
    }, delay).unref()
  }

  #draw(interval: number): void {
    const now = sample()
    const line = this.#before && nextLine(this.#line, this.#before, now, BigInt(interval) * NANOS_PER_MILLISECOND)
    this.#before = now
    this.#line = line
    const { counter, window, rate, monotonic, epoch } = line ?? NO_LINE
    writeLine(this.#address, BigUint64Array.of(counter, window, rate, monotonic, epoch))
  }

  /** Tasks run on different CPUs from now on, as far as getcpu(2) tells: the vdso has to ask. */
  forgetCpu(): void {
    new Int32Array(view(this.#address, 8))[CPU] = UNKNOWN_CPU
  }

  close(): void {
    clearTimeout(this.#timer)
    closePage(this.#address, this.fd)
  }
}

const NO_LINE: ClockLine = { counter: 0n, window: 0n, rate: 0n, monotonic: 0n, epoch: 0n }
