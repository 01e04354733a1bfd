/**
 * Socket addresses and message headers in strace's words.
 */
import type { NamedValues } from "../Task/Syscall.ts"
import { type GuestMemory, iovec, type StructPrinter, view } from "./StraceMemory.ts"
import * as Text from "./StraceText.ts"

const FAMILIES: NamedValues = Object.entries({
  AF_UNSPEC: 0,
  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  AF_PACKET: 17,
  AF_VSOCK: 40
})

const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10

/** `{sa_family=AF_UNIX, sun_path="/run/x"}`; `length` is the caller's claim, bounded by the size of sockaddr_storage. */
export const socketAddress = (memory: GuestMemory, address: number, length: number): string | undefined => {
  if (length < 2) return undefined
  const size = Math.min(length, 128)
  const bytes = view(memory, address, size)
  if (bytes === undefined) return undefined
  const family = bytes.getUint16(0, true)
  const head = `{sa_family=${Text.oneOf(FAMILIES, family)}`
  const raw = new Uint8Array(bytes.buffer)
  if (family === AF_UNIX) {
    const path = raw.subarray(2)
    if (path.length === 0) return `${head}}`
    if (path[0] === 0) return `${head}, sun_path=@${Text.quote(path.subarray(1), false)}}`
    const end = path.indexOf(0)
    return `${head}, sun_path=${Text.quote(end < 0 ? path : path.subarray(0, end), false)}}`
  }
  if (family === AF_INET && size >= 8) {
    return `${head}, sin_port=htons(${bytes.getUint16(2)}), sin_addr=inet_addr("${raw.subarray(4, 8).join(".")}")}`
  }
  if (family === AF_INET6 && size >= 28) {
    const groups = Array.from({ length: 8 }, (_, i) => bytes.getUint16(8 + i * 2).toString(16)).join(":")
    const scope = bytes.getUint32(24, true)
    return (
      `${head}, sin6_port=htons(${bytes.getUint16(2)}), sin6_flowinfo=htonl(${bytes.getUint32(4)}), ` +
      `inet_pton(AF_INET6, "${groups}", &sin6_addr), sin6_scope_id=${scope}}`
    )
  }
  return `${head}, sa_data=${Text.quoteHex(raw.subarray(2, 16), false)}}`
}

const MSG_NAMES: NamedValues = Object.entries({
  MSG_OOB: 0x1,
  MSG_PEEK: 0x2,
  MSG_DONTROUTE: 0x4,
  MSG_CTRUNC: 0x8,
  MSG_TRUNC: 0x20,
  MSG_DONTWAIT: 0x40,
  MSG_EOR: 0x80,
  MSG_WAITALL: 0x100,
  MSG_NOSIGNAL: 0x4000,
  MSG_MORE: 0x8000,
  MSG_CMSG_CLOEXEC: 0x4000_0000
})

const SCM_RIGHTS = 1
const SCM_CREDENTIALS = 2

/** The control messages in `length` bytes at `address`. */
const control = (memory: GuestMemory, address: number, length: number): string | undefined => {
  const bytes = view(memory, address, Math.min(length, 4096))
  if (bytes === undefined) return undefined
  const parts: Array<string> = []
  for (let at = 0; at + 16 <= bytes.byteLength;) {
    const size = Number(bytes.getBigUint64(at, true))
    if (size < 16 || at + size > bytes.byteLength) break
    const [level, type] = [bytes.getInt32(at + 8, true), bytes.getInt32(at + 12, true)]
    const where = level === 1 ? "SOL_SOCKET" : Text.hex(level)
    let what = `${Text.hex(type)}`
    if (level === 1 && type === SCM_RIGHTS) {
      const fds = Array.from({ length: (size - 16) >> 2 }, (_, i) => bytes.getInt32(at + 16 + i * 4, true))
      what = `SCM_RIGHTS, cmsg_data=[${fds.join(", ")}]`
    } else if (level === 1 && type === SCM_CREDENTIALS && size >= 28) {
      const [pid, uid, gid] = [16, 20, 24].map((offset) => bytes.getInt32(at + offset, true))
      what = `SCM_CREDENTIALS, cmsg_data={pid=${pid}, uid=${uid}, gid=${gid}}`
    }
    parts.push(`{cmsg_len=${size}, cmsg_level=${where}, cmsg_type=${what}}`)
    at += Math.ceil(size / 8) * 8
  }
  return `[${parts.join(", ")}]`
}

/** `struct msghdr` of sendmsg(2), or of recvmsg(2) once it has returned. */
export const messageHeader: StructPrinter = (call, address) => {
  const header = view(call.memory, address, 56)
  if (header === undefined) return undefined
  const word = (at: number): number => Number(header.getBigUint64(at, true))
  const nameLength = header.getInt32(8, true)
  const name = word(0) === 0 ? "NULL" : (socketAddress(call.memory, word(0), nameLength) ?? Text.pointer(word(0)))
  const vector = { ...call, values: [0, word(16), word(24)], low: [] }
  const iov = word(16) === 0 ? "NULL" : (iovec(vector, word(16), 1) ?? Text.pointer(word(16)))
  const controlLength = word(40)
  const messages =
    word(32) === 0 || controlLength === 0
      ? ""
      : `msg_control=${control(call.memory, word(32), controlLength) ?? Text.pointer(word(32))}, `
  return (
    `{msg_name=${name}, msg_namelen=${nameLength}, msg_iov=${iov}, msg_iovlen=${word(24)}, ${messages}` +
    `msg_controllen=${controlLength}, msg_flags=${Text.flags(MSG_NAMES, header.getUint32(48, true))}}`
  )
}
