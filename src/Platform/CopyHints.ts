/**
 * What the kernel will copy in for a system call, so that a platform that can do so cheaply does it beforehand.
 *
 * A hint changes nothing but speed: what has not been copied in so is copied in when the handler asks for it.
 */
import * as Context from "effect/Context"
import type { Reg } from "../Abi/Registers.ts"

/** An argument that points to something that the call reads. */
export interface CopyHint {
  /** The register with its address. */
  readonly pointer: Reg
  /** The register that counts its bytes, or how many there are; undefined for a string. */
  readonly size: { readonly register: Reg } | { readonly bytes: number } | undefined
}

/** By number of the call; read when the platform's Layer is built. */
export const CopyHints = Context.Reference<(nr: number) => CopyHint | undefined>("effect-sentry/Platform/CopyHints", {
  defaultValue: () => () => undefined
})

/** The same of rt_sigreturn(2): how many bytes from the stack pointer on, where frames have `extendedState` bytes of that. */
export const FrameHint = Context.Reference<(extendedState: number) => number>("effect-sentry/Platform/FrameHint", {
  defaultValue: () => () => 0
})
