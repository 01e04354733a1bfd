/**
 * uname(2).
 */
import * as Struct from "./Struct.ts"

/** Bytes of a name, its NUL included. */
export const UTS_LENGTH = 65

/** `struct new_utsname`: NUL-terminated names. */
export const Utsname = Struct.make("utsname", {
  sysname: Struct.bytes(UTS_LENGTH),
  nodename: Struct.bytes(UTS_LENGTH),
  release: Struct.bytes(UTS_LENGTH),
  version: Struct.bytes(UTS_LENGTH),
  machine: Struct.bytes(UTS_LENGTH),
  domainname: Struct.bytes(UTS_LENGTH)
})
export type Utsname = Struct.Type<typeof Utsname>
