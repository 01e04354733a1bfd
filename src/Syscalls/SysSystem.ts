/**
 * The system as a whole: its names, memory, randomness; and what only its administrator may do to it.
 */
import * as Effect from "effect/Effect"
import { CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { EFAULT, EINVAL, EPERM } from "../Abi/Errno.ts"
import { GRND_INSECURE, GRND_NAMES, GRND_RANDOM, Sysinfo } from "../Abi/Sysinfo.ts"
import { UTS_LENGTH, Utsname } from "../Abi/Utsname.ts"
import { type Result, address, bufferOut, declare, flags, hex, int, size, string, struct } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapabilityIn } from "../Vfs/Credentials.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Names
// ---------------------------------------------------------------------------------------------------------------------

const utsField = (name: string): Uint8Array =>
  Buffer.from(name.slice(0, UTS_LENGTH - 1).padEnd(UTS_LENGTH, "\0"), "latin1")

/** personality(2), for programs that cannot live with what uname(2) says. */
const UNAME26 = 0x2_0000
const PER_MASK = 0xff
const PER_LINUX32 = 8

/** Linux 3.x calls itself 2.6.40+x, and a later one 2.6.60+x of its own second number. */
const asLinux26 = (release: string): string => {
  const [, minor = "0", rest = ""] = /^\d+\.(\d+)[\d.]*(.*)$/s.exec(release) ?? []
  return `2.6.${Number(minor) + 60}${rest}`
}

const uname = (task: Task, at: number): Result => {
  const { domainname, hostname } = task.namespaces.uts
  const { release, version } = task.system.version
  return task.memory.copyOut(
    at,
    Utsname.encode({
      sysname: utsField("Linux"),
      nodename: utsField(hostname),
      release: utsField((task.personality & UNAME26) === 0 ? release : asLinux26(release)),
      version: utsField(version),
      machine: utsField((task.personality & PER_MASK) === PER_LINUX32 ? "i686" : "x86_64"),
      domainname: utsField(domainname)
    })
  )
}

/** sethostname(2), setdomainname(2): the name, which need not end in NUL, goes to `store`. */
const setName = (task: Task, at: number, length: number, store: (name: string) => void): Result => {
  if (!hasCapabilityIn(task.credentials, task.namespaces.uts.owner, CAP_SYS_ADMIN)) return -EPERM
  if (length < 0 || length >= UTS_LENGTH) return -EINVAL
  const bytes = Buffer.alloc(length)
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  const text = bytes.toString("latin1")
  const end = text.indexOf("\0")
  store(end < 0 ? text : text.slice(0, end))
  return 0
}

const sysinfo = (task: Task, at: number): Result => {
  const { bootTime, taskSet, timekeeper } = task.system
  const memory = task.system.memorySize()
  return task.memory.copyOut(
    at,
    Sysinfo.encode({
      uptime: Number((timekeeper.monotonic() - bootTime + task.namespaces.time.offsets.boot) / 1_000_000_000n),
      loads: new Uint8Array(24),
      totalram: memory.total,
      freeram: memory.free,
      sharedram: 0,
      bufferram: 0,
      totalswap: 0,
      freeswap: 0,
      procs: Math.min(taskSet.tasks.size, 0xffff),
      pad: 0,
      totalhigh: 0,
      freehigh: 0,
      mem_unit: 1
    })
  )
}

/** personality(2) with this argument only asks. */
const PERSONALITY_QUERY = 0xffff_ffff

const personality = (task: Task, persona: number): Result => {
  const old = task.personality
  const wanted = persona % 2 ** 32
  if (wanted !== PERSONALITY_QUERY) task.personality = wanted
  return old
}

// ---------------------------------------------------------------------------------------------------------------------
// Randomness
// ---------------------------------------------------------------------------------------------------------------------

/** MAX_RW_COUNT: the most that one call transfers. */
const MAX_COUNT = 0x7fff_f000
const RANDOM_CHUNK = 65_536
/** So much is made without giving others a turn. */
const RANDOM_SLICE = 16 * RANDOM_CHUNK

const getrandom = (task: Task, at: number, count: number, flags: number): Result => {
  if ((flags & ~7) !== 0 || (flags & (GRND_RANDOM | GRND_INSECURE)) === (GRND_RANDOM | GRND_INSECURE)) return -EINVAL
  const wanted = Math.min(count, MAX_COUNT)
  const done = fillRandom(task, at, Math.min(wanted, RANDOM_SLICE))
  return done < 0 || done < RANDOM_SLICE || done === wanted ? done : fillRest(task, at, done, wanted)
}

/** The rest of a large request: a signal ends it early, as Linux has it. */
const fillRest = Effect.fnUntraced(function* (task: Task, at: number, first: number, wanted: number) {
  let done = first
  while (done < wanted && !task.attention) {
    yield* Effect.yieldNow
    const slice = Math.min(wanted - done, RANDOM_SLICE)
    const made = fillRandom(task, at + done, slice)
    if (made > 0) done += made
    if (made < slice) break
  }
  return done
})

/** The number of bytes written, or -EFAULT if there are none. */
const fillRandom = (task: Task, at: number, count: number): number => {
  const bytes = new Uint8Array(Math.min(count, RANDOM_CHUNK))
  let done = 0
  while (done < count) {
    const chunk = bytes.subarray(0, Math.min(bytes.length, count - done))
    task.system.entropy.fill(chunk)
    const written = task.memory.copyOutPartial(at + done, chunk)
    if (written > 0) done += written
    if (written < chunk.length) break
  }
  return done === 0 && count > 0 ? -EFAULT : done
}

// ---------------------------------------------------------------------------------------------------------------------
// Administration
// ---------------------------------------------------------------------------------------------------------------------

const denied = (): number => -EPERM
const FORBIDDEN = { partial: "always refused: the sandbox's owner decides" }

export const sysSystem = [
  declare("uname", [struct("buf", "utsname", "out")], uname),
  declare("sethostname", [string("name"), int("len")], (task, at, length) =>
    setName(task, at, length, (name) => (task.namespaces.uts.hostname = name))
  ),
  declare("setdomainname", [string("name"), int("len")], (task, at, length) =>
    setName(task, at, length, (name) => (task.namespaces.uts.domainname = name))
  ),
  declare("sysinfo", [struct("info", "sysinfo", "out")], sysinfo),
  declare("personality", [hex("persona")], personality, {
    partial: "kept; ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, UNAME26 and PER_LINUX32 have effects"
  }),
  declare("getrandom", [bufferOut("buf"), size("buflen"), flags("flags", GRND_NAMES, "0")], getrandom),
  declare("syslog", [int("type"), address("buf"), int("len")], denied, FORBIDDEN),
  declare("vhangup", [], denied, FORBIDDEN)
]
