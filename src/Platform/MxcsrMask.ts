/**
 * Which bits of MXCSR a processor loads: an image that has others would be refused, or the thread that loads it would fault.
 */
import { MXCSR_MASK } from "../Abi/ExtendedState.ts"

/** Of processors that don't say. */
const DEFAULT_MASK = 0xffbf

/** What an XSAVE image that the processor has written says. */
export const mxcsrMaskOf = (image: Uint8Array): number =>
  new DataView(image.buffer, image.byteOffset).getUint32(MXCSR_MASK, true) || DEFAULT_MASK
