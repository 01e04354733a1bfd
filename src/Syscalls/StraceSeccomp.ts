/**
 * The arguments of seccomp(2), and of prctl(PR_SET_SECCOMP), in strace's words.
 */
import { SockFprog } from "../Abi/Bpf.ts"
import * as S from "../Abi/Seccomp.ts"
import type { NamedValues } from "../Task/Syscall.ts"
import { type Call, view } from "./StraceMemory.ts"
import { after, before, int, pointer, returned, type Part } from "./StraceParts.ts"
import * as Text from "./StraceText.ts"

/** `{len=4, filter=0x7ffe0010}` */
const program = (index: number): Part =>
  before((call) => {
    const bytes = view(call.memory, call.values[index]!, SockFprog.size)
    if (bytes === undefined) return Text.pointer(call.values[index]!)
    const { filter, len } = SockFprog.get(bytes, 0)
    return `{len=${len}, filter=${Text.pointer(filter)}}`
  })

const RETURN_NAMES: NamedValues = S.SECCOMP_ACTIONS.map(([name, action]) => [
  `SECCOMP_RET_${name.toUpperCase()}`,
  action >>> 0
])

const action: Part = before((call) => {
  const bytes = view(call.memory, call.values[2]!, 4)
  return bytes === undefined ? Text.pointer(call.values[2]!) : `[${Text.oneOf(RETURN_NAMES, bytes.getUint32(0, true))}]`
})

const sizes: Part = after((call) => {
  const bytes = returned(call) ? view(call.memory, call.values[2]!, S.SeccompNotifSizes.size) : undefined
  if (bytes === undefined) return Text.pointer(call.values[2]!)
  return `{${Object.entries(S.SeccompNotifSizes.get(bytes, 0))
    .map(([name, value]) => `${name}=${value}`)
    .join(", ")}}`
})

/** The last argument depends on the operation. */
export const seccompArguments = (call: Call, parts: ReadonlyArray<Part>): ReadonlyArray<Part> => {
  switch (int(call, 0)) {
    case S.SECCOMP_SET_MODE_FILTER:
      return parts.with(2, program(2))
    case S.SECCOMP_GET_ACTION_AVAIL:
      return parts.with(2, action)
    case S.SECCOMP_GET_NOTIF_SIZES:
      return parts.with(2, sizes)
    default:
      return parts
  }
}

const MODE_NAMES: NamedValues = Object.entries({
  SECCOMP_MODE_DISABLED: S.SECCOMP_MODE_DISABLED,
  SECCOMP_MODE_STRICT: S.SECCOMP_MODE_STRICT,
  SECCOMP_MODE_FILTER: S.SECCOMP_MODE_FILTER
})

/** What follows PR_SET_SECCOMP. */
export const seccompModeArguments = (call: Call): ReadonlyArray<Part> => {
  const mode = before(() => Text.oneOf(MODE_NAMES, call.values[1]!))
  switch (call.values[1]) {
    case S.SECCOMP_MODE_STRICT:
      return [mode]
    case S.SECCOMP_MODE_FILTER:
      return [mode, program(2)]
    default:
      return [mode, pointer(2)]
  }
}
