/**
 * RLIMIT_STACK lowered while the program runs: what is mapped of the stack ahead of its use, so that it need not fault
 * page by page, may be more than it may have now.
 */
import * as Effect from "effect/Effect"
import { pageAlign, pageStart } from "./AddressLayout.ts"
import type { MemoryManager } from "./MemoryManager.ts"
import { VMA_GROWSDOWN } from "./Vma.ts"

/** What lies this far below a stack pointer may be in use: the red zone of the x86-64 ABI. */
const RED_ZONE = 128

/** Gives back what is below `limit` bytes of the stack that `stackPointer` is in, if nothing is there yet. 0. */
export const lowerStackLimit = (manager: MemoryManager, stackPointer: number, limit: number): Effect.Effect<number> =>
  manager.exclusive(
    Effect.suspend(() => {
      manager.noteStackPointer(stackPointer - RED_ZONE)
      const stack = manager.areas.find(stackPointer)
      if (stack === undefined || (stack.flags & VMA_GROWSDOWN) === 0 || stack.ungrown === 0) return Effect.succeed(0)
      const bottom = Math.min(stack.start + stack.ungrown, pageAlign(stack.end - Math.min(limit, stack.end)))
      return bottom <= stack.start
        ? Effect.succeed(0)
        : Effect.as(manager.unmapExclusive(stack.start, pageStart(bottom)), 0)
    })
  )
