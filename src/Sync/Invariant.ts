/**
 * Our own mistakes. A `KernelBug` is a defect: it ends the sandbox with a report, never the service, and is never a
 * way to answer the application.
 */

/** An invariant of the kernel does not hold. */
export class KernelBug extends Error {
  override readonly name = "KernelBug"
}

/** Throws `KernelBug` unless `condition` holds. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new KernelBug(message)
}
