/**
 * /proc/sys, proc_sys(5): what the kernel is configured to. Only the names of the system and what becomes of core
 * files can be changed.
 */
import { AIO_MAX_OPERATIONS } from "../Abi/Aio.ts"
import { MSG_MAX, MSGSIZE_MAX, QUEUES_MAX } from "../Abi/Mqueue.ts"
import { CAP_LAST_CAP } from "../Abi/Capability.ts"
import { EINVAL, EPERM } from "../Abi/Errno.ts"
import { UTS_LENGTH } from "../Abi/Utsname.ts"
import { MAX_MAP_COUNT, MINIMUM_ADDRESS } from "../Memory/AddressLayout.ts"
import { AVAILABLE_ACTIONS } from "../Seccomp/SeccompLog.ts"
import type { Entropy } from "../Time/Entropy.ts"
import { MAX_QUEUED_EVENTS, MAX_USER_INSTANCES, MAX_USER_WATCHES } from "../Vfs/Inotify.ts"
import type { Caller } from "../Vfs/Inode.ts"
import { LEASE_BREAK_TIME } from "../Vfs/Leases.ts"
import { GeneratedFile, type PseudoFs, type StaticDirectory } from "../Vfs/PseudoFs.ts"
import { namespacesOf } from "./Namespaces.ts"
import { beginning } from "./ProcSubject.ts"
import type { System } from "./System.ts"
import type { UtsNamespace } from "./UtsNamespace.ts"

/** A random UUID, version 4. */
const makeUuid = (entropy: Entropy): string => {
  const bytes = new Uint8Array(16)
  entropy.fill(bytes)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Buffer.from(bytes).toString("hex")
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
}

/** A value, or how to read and write one. Constants that root could change on Linux are shown so, and refused. */
type Value =
  | string
  | number
  | {
      readonly read: (caller: Caller) => string | number
      /** May refuse: -errno. */
      readonly write?: (text: string, caller: Caller) => number | void
    }
  | { readonly constant: string | number }

interface Directory {
  readonly [name: string]: Value | { readonly directory: Directory }
}

/** As much of a name as uname(2) has room for. */
const cut = (name: string): string => name.slice(0, UTS_LENGTH - 1)

/** Takes a decimal, octal or hexadecimal number from `least` to `most`: 0 or -EINVAL. */
const setNumber = (text: string, least: number, most: number, set: (value: number) => void): number => {
  const match = /^\s*(-?)(0x[0-9a-f]+|\d+)\s*$/i.exec(text)
  if (match === null) return -EINVAL
  const digits = match[2]!
  const magnitude = /^0\d/.test(digits) ? Number.parseInt(digits, 8) : Number(digits)
  const value = match[1] === "-" ? -magnitude : magnitude
  if (!(value >= least && value <= most)) return -EINVAL
  set(value)
  return 0
}

const tree = (system: System): Directory => {
  const { coreSettings, entropy, seccompLog, version } = system
  const uts = (caller: Caller): UtsNamespace => namespacesOf(system, caller).uts
  const bootId = makeUuid(entropy)
  return {
    kernel: {
      directory: {
        arch: { constant: "x86_64" },
        cap_last_cap: { constant: CAP_LAST_CAP },
        core_pattern: { read: () => coreSettings.pattern, write: (pattern) => coreSettings.setPattern(pattern) },
        core_pipe_limit: 0,
        core_uses_pid: {
          read: () => coreSettings.usesPid,
          write: (text) => setNumber(text, -(2 ** 31), 2 ** 31 - 1, (value) => (coreSettings.usesPid = value))
        },
        domainname: {
          read: (caller) => uts(caller).domainname,
          write: (name, caller) => void (uts(caller).domainname = cut(name))
        },
        hostname: {
          read: (caller) => uts(caller).hostname,
          write: (name, caller) => void (uts(caller).hostname = cut(name))
        },
        msgmax: 8192,
        msgmnb: 16_384,
        msgmni: 32_000,
        ngroups_max: { constant: 65_536 },
        osrelease: { constant: version.release },
        ostype: { constant: "Linux" },
        overflowgid: 65_534,
        overflowuid: 65_534,
        pid_max: 4_194_304,
        printk: "4\t4\t1\t7",
        random: {
          directory: {
            boot_id: { constant: bootId },
            entropy_avail: { constant: 256 },
            poolsize: { constant: 256 },
            uuid: { read: () => makeUuid(entropy) }
          }
        },
        randomize_va_space: 2,
        sched_rr_timeslice_ms: 100,
        seccomp: {
          directory: {
            actions_avail: { constant: AVAILABLE_ACTIONS },
            actions_logged: { read: () => seccompLog.names, write: (names) => seccompLog.setNames(names) }
          }
        },
        sem: "32000\t1024000000\t500\t32000",
        shmall: "18446744073692774399",
        shmmax: "18446744073692774399",
        shmmni: 4096,
        tainted: 0,
        "threads-max": 192_730,
        version: { constant: version.version }
      }
    },
    vm: {
      directory: {
        max_map_count: MAX_MAP_COUNT,
        mmap_min_addr: MINIMUM_ADDRESS,
        nr_hugepages: 0,
        overcommit_kbytes: 0,
        overcommit_memory: 0,
        overcommit_ratio: 50,
        swappiness: 60
      }
    },
    fs: {
      directory: {
        "aio-max-nr": AIO_MAX_OPERATIONS,
        "file-max": "9223372036854775807",
        "file-nr": { constant: "0\t0\t9223372036854775807" },
        inotify: {
          directory: {
            max_queued_events: MAX_QUEUED_EVENTS,
            max_user_instances: MAX_USER_INSTANCES,
            max_user_watches: MAX_USER_WATCHES
          }
        },
        "dir-notify-enable": 1,
        "lease-break-time": Number(LEASE_BREAK_TIME / 1_000_000_000n),
        "leases-enable": 1,
        mqueue: {
          directory: {
            msg_default: MSG_MAX,
            msg_max: MSG_MAX,
            msgsize_default: MSGSIZE_MAX,
            msgsize_max: MSGSIZE_MAX,
            queues_max: QUEUES_MAX
          }
        },
        nr_open: 1_048_576,
        overflowgid: 65_534,
        overflowuid: 65_534,
        "pipe-max-size": 1_048_576,
        "pipe-user-pages-hard": 0,
        "pipe-user-pages-soft": 16_384,
        protected_hardlinks: 1,
        protected_symlinks: 0,
        suid_dumpable: {
          read: () => coreSettings.suidDumpable,
          write: (text) => setNumber(text, 0, 2, (value) => (coreSettings.suidDumpable = value))
        }
      }
    }
  }
}

const makeFile = (filesystem: PseudoFs, value: Value): GeneratedFile => {
  if (typeof value !== "object") return new GeneratedFile(filesystem, { read: () => `${value}\n`, write: () => -EPERM })
  if ("constant" in value) return new GeneratedFile(filesystem, { read: () => `${value.constant}\n` })
  const { read, write } = value
  return new GeneratedFile(filesystem, {
    read: (caller) => `${read(caller)}\n`,
    ...(write === undefined
      ? {}
      : {
          write: (bytes: Uint8Array, caller: Caller) => {
            const [line = ""] = beginning(bytes).split(/[\n\0]/, 1)
            const error = write(line, caller) ?? 0
            return error < 0 ? error : bytes.length
          }
        })
  })
}

const fill = (parent: StaticDirectory, entries: Directory): void => {
  for (const [name, entry] of Object.entries(entries)) {
    if (typeof entry === "object" && "directory" in entry) fill(parent.directory(name), entry.directory)
    else parent.add(name, makeFile(parent.filesystem, entry))
  }
}

/** Adds /proc/sys. */
export const addSysctl = (filesystem: PseudoFs, system: System): void =>
  fill(filesystem.root.directory("sys"), tree(system))
