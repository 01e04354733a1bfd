/**
 * /proc/[pid]/net, proc_pid_net(5): the sandbox has a loopback interface on which nothing passes, UNIX sockets, and no
 * others.
 */
import { GeneratedFile, type PseudoFs, StaticDirectory } from "../Vfs/PseudoFs.ts"
import { UnixSocket } from "../Vfs/SocketUnix.ts"
import type { NetNamespace } from "./NetNamespace.ts"
import type { Subject } from "./ProcSubject.ts"
import type { System } from "./System.ts"
import type { Task } from "./Task.ts"

/** Those of a network namespace that somebody has a descriptor of. */
const unixSockets = (system: System, { names }: NetNamespace): Iterable<UnixSocket> => {
  const found = new Set<UnixSocket>()
  for (const task of system.taskSet.tasks.values()) {
    for (const fd of task.fds.descriptors()) {
      const file = task.fds.get(fd)
      if (file instanceof UnixSocket && file.names === names) found.add(file)
    }
  }
  return found
}

/** __SO_ACCEPTCON */
const LISTENS = 0x1_0000
/** enum socket_state */
const SS_UNCONNECTED = 1
const SS_CONNECTED = 3

/** A path ends at its NUL; in an abstract name each NUL is an "@". */
const shownName = (name: UnixSocket["name"]): string => {
  if (name === undefined || name.length === 0) return ""
  const text = Buffer.from(name).toString("latin1")
  return text.startsWith("\0") ? ` ${text.replaceAll("\0", "@")}` : ` ${text.split("\0", 1)[0]!}`
}

const unixLine = (socket: UnixSocket): string => {
  const isConnected = socket.state === "Connected"
  const hex = (value: number, width: number): string => value.toString(16).toUpperCase().padStart(width, "0")
  const stat = socket.stat()
  const ino = typeof stat === "number" ? 0 : stat.ino
  return (
    // who may not see addresses of the kernel sees zeros
    `${"0".repeat(16)}: ${hex(isConnected ? 3 : 2, 8)} ${hex(0, 8)} ${hex(socket.state === "Listening" ? LISTENS : 0, 8)} ` +
    `${hex(socket.type, 4)} ${hex(isConnected ? SS_CONNECTED : SS_UNCONNECTED, 2)} ${String(ino).padStart(5)}` +
    `${shownName(socket.name)}\n`
  )
}

const unix = (task: Task): string => {
  let text = "Num       RefCount Protocol Flags    Type St Inode Path\n"
  for (const socket of unixSockets(task.system, task.namespaces.net)) text += unixLine(socket)
  return text
}

const LOOPBACK =
  "    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0"

const DEV =
  "Inter-|   Receive                                                |  Transmit\n" +
  " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n" +
  `${LOOPBACK}\n`

const SOCKETS = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
const SOCKETS6 =
  "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when " +
  "retrnsmt   uid  timeout inode"
const DATAGRAMS = " ref pointer drops"

/** Lines of tcp have a width of their own, which their title fills. */
const TABLES: Readonly<Record<string, string>> = {
  arp: "IP address       HW type     Flags       HW address            Mask     Device\n",
  dev: DEV,
  if_inet6: "00000000000000000000000000000001 01 80 10 80       lo\n",
  netlink: "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n",
  packet: "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n",
  raw: `${SOCKETS}${DATAGRAMS}\n`,
  raw6: `${SOCKETS6}${DATAGRAMS}\n`,
  route: `${"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT".padEnd(127)}\n`,
  tcp: `${SOCKETS.padEnd(149)}\n`,
  tcp6: `${SOCKETS6}\n`,
  udp: `${` ${SOCKETS}${DATAGRAMS}`.padEnd(127)}\n`,
  udp6: `${SOCKETS6}${DATAGRAMS}\n`
}

/** The directory, which every process has; only the sockets differ. */
export const netDirectory = (filesystem: PseudoFs, { task }: Subject): StaticDirectory => {
  const directory = new StaticDirectory(filesystem)
  for (const [name, text] of Object.entries(TABLES)) {
    directory.add(name, new GeneratedFile(filesystem, { read: () => text }))
  }
  directory.add("unix", new GeneratedFile(filesystem, { read: () => unix(task) }))
  return directory
}
