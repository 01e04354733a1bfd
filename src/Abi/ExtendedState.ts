/**
 * An XSAVE image in standard format, as processors write it: the FXSAVE area, a header, then the components behind x87 and
 * SSE. Offsets in bytes.
 */

export const MXCSR = 24
/** The bits of MXCSR that the processor loads. */
export const MXCSR_MASK = 28
/** What software keeps in the FXSAVE area: XCR0 in images that ptrace(2) gives, marks and XCR0 in signal frames. */
export const SOFTWARE = 464
/** Where the FXSAVE area ends, and the header begins: with the components that the image has. */
export const FXSAVE_SIZE = 512
export const XSTATE_BV = 512
export const XCOMP_BV = 520
export const XSTATE_HEADER_END = 576

/** Components, as bits of XCR0 and XSTATE_BV. */
export const X87 = 1n
export const SSE = 2n
export const YMM = 4n
/** Those of the FXSAVE area. */
export const LEGACY_COMPONENTS = X87 | SSE

/** The x87's control word and MXCSR, as programs begin and handlers find them. */
export const INITIAL_CONTROL_WORD = 0x37f
export const INITIAL_MXCSR = 0x1f80
