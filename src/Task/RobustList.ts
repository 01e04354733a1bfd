/**
 * Robust futexes, get_robust_list(2): locks that a task holds when it ends are marked, so that others learn of it.
 *
 * The list lies in guest memory and is the guest's own: it is followed for a bounded number of steps and nothing in it
 * is trusted.
 */
import { FUTEX_BITSET_MATCH_ANY, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS } from "../Abi/Futex.ts"
import type { Task } from "./Task.ts"

/** ROBUST_LIST_LIMIT. */
const LIMIT = 2048

/** How often a word that threads of the guest keep changing is tried. */
const MAX_TRIES = 128

/** The lowest bit of an entry's address says that its futex is a priority-inheriting one. */
const addressOf = (entry: number): number => entry - (entry % 2)

/** Marks the locks of a task that ends or executes another program. Its memory must still be there. */
export const releaseRobustList = (task: Task): void => {
  const head = task.robustList
  if (head === 0) return
  task.robustList = 0
  const { memory } = task
  const first = memory.readU64(head)
  const offset = readLong(task, head + 8)
  const pending = memory.readU64(head + 16)
  if (first < 0 || offset === undefined || pending < 0) return
  let entry = first
  for (let steps = 0; steps < LIMIT && addressOf(entry) !== head; steps++) {
    const next = memory.readU64(addressOf(entry)) // first: the new owner may take the entry out
    const isPending = addressOf(entry) === addressOf(pending)
    if (!isPending && !markDead(task, addressOf(entry) + offset, entry % 2 === 1, false)) return
    if (next < 0) return
    entry = next
  }
  if (pending !== 0) markDead(task, addressOf(pending) + offset, pending % 2 === 1, true)
}

/** A `long`: glibc's offset is negative, as the list node lies behind the futex word. Undefined if it cannot be read. */
const readLong = (task: Task, at: number): number | undefined => {
  const low = task.memory.readU32(at)
  const high = task.memory.readU32(at + 4)
  return low < 0 || high < 0 ? undefined : low + (high | 0) * 0x1_0000_0000
}

/** Linux's handle_futex_death: false if the word cannot be read or changed. */
const markDead = (task: Task, address: number, inherits: boolean, isPending: boolean): boolean => {
  if (address % 4 !== 0) return false
  const { memory } = task
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const word = memory.readU32(address)
    if (word < 0) return false
    const owner = word & FUTEX_TID_MASK
    if (isPending && !inherits && owner === 0) {
      wakeOne(task, address) // it was about to wake the next one
      return true
    }
    if (owner !== task.ownTid) return true
    const found = memory.compareExchange(address, word, ((word & FUTEX_WAITERS) | FUTEX_OWNER_DIED) >>> 0)
    if (found < 0) return false
    if (found !== word) continue
    if (!inherits && (word & FUTEX_WAITERS) !== 0) wakeOne(task, address)
    return true
  }
  return false
}

const wakeOne = (task: Task, address: number): void => {
  const { futexes } = task.system
  const key = futexes.key(task.memoryManager, address, false)
  if (typeof key !== "number") futexes.wake(key, 1, FUTEX_BITSET_MATCH_ANY)
}
