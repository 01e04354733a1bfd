import { assert, describe, it } from "@effect/vitest"
import { EFAULT } from "../../src/Abi/Errno.ts"
import { argumentRegisters, Reg, Registers, registersSize } from "../../src/Abi/Registers.ts"
import { sysno, type SysName } from "../../src/Abi/Sysno.ts"
import { StraceObserver, type TracedTask } from "../../src/Syscalls/Strace.ts"
import { parse } from "../../src/Syscalls/TraceFilter.ts"
import * as S from "../../src/Task/Syscall.ts"

/** One 64 KiB stretch of guest memory at 0x10000; everything else faults. */
class FakeMemory {
  static readonly BASE = 0x10000
  readonly bytes = new Uint8Array(0x10000)
  #end = FakeMemory.BASE

  copyInPartial(address: number, into: Uint8Array): number {
    const at = address - FakeMemory.BASE
    if (at < 0 || at >= this.bytes.length) return -EFAULT
    const source = this.bytes.subarray(at, at + into.length)
    into.set(source)
    return source.length
  }

  copyIn(address: number, into: Uint8Array): number {
    return into.length === 0 || this.copyInPartial(address, into) === into.length ? 0 : -EFAULT
  }

  /** Places bytes and gives their address. */
  put(content: Uint8Array | string): number {
    const bytes = typeof content === "string" ? Buffer.from(`${content}\0`, "latin1") : content
    const address = this.#end
    this.bytes.set(bytes, address - FakeMemory.BASE)
    this.#end = Math.ceil((address + bytes.length) / 8) * 8
    return address
  }

  /** Places 64-bit words. */
  words(...values: ReadonlyArray<number | bigint>): number {
    return this.put(new Uint8Array(BigUint64Array.from(values, (value) => BigInt.asUintN(64, BigInt(value))).buffer))
  }
}

class FakeTask implements TracedTask {
  readonly memory = new FakeMemory()
  readonly registers = new Registers(new ArrayBuffer(registersSize), 0)
  readonly tid: number

  constructor(tid: number) {
    this.tid = tid
  }
}

const setup = (filter = "all") => {
  let text = ""
  const parsed = parse(filter)
  if (typeof parsed !== "function") throw new Error(parsed.reason)
  const observer = new StraceObserver({ write: (piece) => (text += piece), filter: parsed })
  const declarations = new Map<string, S.Syscall>()
  const declare = (name: SysName, args: ReadonlyArray<S.Argument>) =>
    declarations.set(
      name,
      S.declare(name, args, () => 0)
    )
  const enter = (task: FakeTask, name: SysName, ...values: ReadonlyArray<number>) => {
    argumentRegisters.forEach((register, i) => task.registers.set(register, values[i] ?? 0))
    observer.enter(task, declarations.get(name), sysno[name])
  }
  const exit = (task: FakeTask, name: SysName, result: number) => {
    task.registers.set(Reg.rax, result)
    observer.exit(task, declarations.get(name), sysno[name], result)
  }
  const task = new FakeTask(7)
  /** The whole line of one call of `task`. */
  const line = (result: number, name: SysName, ...values: ReadonlyArray<number>): string => {
    text = ""
    enter(task, name, ...values)
    exit(task, name, result)
    return text.slice(0, -1)
  }
  return {
    observer,
    declare,
    enter,
    exit,
    task,
    line,
    memory: task.memory,
    output: () => {
      observer.flush()
      return text
    }
  }
}

const path = [S.dirFd("dirfd"), S.string("pathname")] as const

describe("Strace", () => {
  it("writes what strace writes for files", () => {
    const { declare, line, memory } = setup()
    declare("openat", [...path, S.flags("flags", []), S.mode("mode")])
    declare("read", [S.fd("fd"), S.bufferOut("buf"), S.size("count")])
    declare("write", [S.fd("fd"), S.bufferIn("buf", 2), S.size("count")])
    declare("close", [S.fd("fd")])
    declare("fstat", [S.fd("fd"), S.struct("statbuf", "stat", "out")])
    declare("lseek", [S.fd("fd"), S.long("offset"), S.oneOf("whence", [["SEEK_CUR", 1]])])
    declare("umask", [S.mode("mask")])
    const name = memory.put("/etc/passwd")
    assert.strictEqual(
      line(3, "openat", -100, name, 0o2000000),
      'openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3'
    )
    assert.strictEqual(
      line(-2, "openat", 5, name, 0o1102, 0o600),
      'openat(5, "/etc/passwd", O_RDWR|O_CREAT|O_TRUNC, 0600) = -1 ENOENT (No such file or directory)'
    )
    assert.strictEqual(
      line(-14, "openat", -100, 8, 0),
      "openat(AT_FDCWD, 0x8, O_RDONLY)         = -1 EFAULT (Bad address)"
    )
    const odd = memory.put(Buffer.from('a\x001\0b\t\n\v\f\r"\\\x1bx\0', "latin1"))
    assert.strictEqual(line(15, "write", 4, odd, 15), 'write(4, "a\\0001\\0b\\t\\n\\v\\f\\r\\"\\\\\\33x\\0", 15) = 15')
    const long = memory.put("z".repeat(50))
    assert.strictEqual(line(50, "write", 1, long, 50), `write(1, "${"z".repeat(32)}"..., 50) = 50`)
    assert.strictEqual(line(2, "read", 0, long, 4096), 'read(0, "zz", 4096)                     = 2')
    assert.strictEqual(line(0, "read", 0, long, 4096), 'read(0, "", 4096)                       = 0')
    assert.strictEqual(
      line(-9, "read", 9, 0x8, 4),
      "read(9, 0x8, 4)                         = -1 EBADF (Bad file descriptor)"
    )
    assert.strictEqual(line(0, "close", 3), "close(3)                                = 0")
    assert.strictEqual(
      line(-512, "read", 3, 0x8, 1),
      "read(3, 0x8, 1)                         = ? ERESTARTSYS (To be restarted if SA_RESTART is set)"
    )
    assert.strictEqual(line(1282, "lseek", 255, -274, 1), "lseek(255, -274, SEEK_CUR)              = 1282")
    assert.strictEqual(line(0o22, "umask", 0o22), "umask(022)                              = 022")
    const stat = new DataView(new ArrayBuffer(144))
    stat.setUint32(24, 0o100644, true)
    stat.setBigInt64(48, 1221n, true)
    assert.strictEqual(
      line(0, "fstat", 3, memory.put(new Uint8Array(stat.buffer))),
      "fstat(3, {st_mode=S_IFREG|0644, st_size=1221, ...}) = 0"
    )
  })

  it("writes what strace writes for processes and memory", () => {
    const { declare, line, memory } = setup()
    declare("execve", [S.string("pathname"), S.stringArray("argv"), S.stringArray("envp")])
    declare("mmap", [
      S.address("addr"),
      S.size("length"),
      S.flags(
        "prot",
        [
          ["PROT_READ", 1],
          ["PROT_WRITE", 2]
        ],
        "PROT_NONE"
      ),
      S.flags("flags", [
        ["MAP_PRIVATE", 2],
        ["MAP_ANONYMOUS", 0x20]
      ]),
      S.fd("fd"),
      S.size("offset")
    ])
    declare("wait4", [
      S.pid("pid"),
      S.struct("wstatus", "int", "out"),
      S.flags("options", [["WNOHANG", 1]]),
      S.struct("rusage", "rusage", "out")
    ])
    declare("clone", [
      S.longFlags("flags", []),
      S.address("stack"),
      S.address("ptid"),
      S.address("ctid"),
      S.address("tls")
    ])
    declare("futex", [
      S.address("uaddr"),
      S.int("op"),
      S.uint("val"),
      S.address("timeout"),
      S.address("uaddr2"),
      S.uint("val3")
    ])
    const argv = memory.words(memory.put("sh"), memory.put("-c"), memory.put("x".repeat(40)), 0)
    const envp = memory.words(memory.put("A=b"), memory.put("C=d"), 0)
    assert.strictEqual(
      line(0, "execve", memory.put("/bin/sh"), argv, envp),
      `execve("/bin/sh", ["sh", "-c", "${"x".repeat(32)}"...], 0x${envp.toString(16)} /* 2 vars */) = 0`
    )
    assert.strictEqual(
      line(0x7f65_7c2b_3000, "mmap", 0, 8192, 3, 0x22, -1, 0),
      "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f657c2b3000"
    )
    assert.strictEqual(
      line(0x10000, "mmap", 0x1000, 4096, 0, 0x42, 3, 0x26000),
      "mmap(0x1000, 4096, PROT_NONE, MAP_PRIVATE|0x40, 3, 0x26000) = 0x10000"
    )
    const status = memory.words(3 << 8)
    assert.strictEqual(
      line(12, "wait4", -1, status, 0, 0),
      "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = 12"
    )
    assert.strictEqual(line(0, "wait4", -1, 0, 1, 0), "wait4(-1, NULL, WNOHANG, NULL)          = 0")
    assert.strictEqual(
      line(9, "clone", 0x0120_0000 | 17, 0, 0, 0x7000),
      "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7000) = 9"
    )
    assert.strictEqual(line(0, "futex", 0x1000, 0x81, 1), "futex(0x1000, FUTEX_WAKE_PRIVATE, 1)    = 0")
    assert.strictEqual(
      line(-11, "futex", 0x1000, 0, 1, 0),
      "futex(0x1000, FUTEX_WAIT, 1, NULL)      = -1 EAGAIN (Resource temporarily unavailable)"
    )
    const time = memory.words(0, 1_000_000)
    assert.strictEqual(
      line(-110, "futex", 0x1000, 0x189, 0, time, 0, 0xffff_ffff),
      "futex(0x1000, FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME, 0, {tv_sec=0, tv_nsec=1000000}, FUTEX_BITSET_MATCH_ANY) = -1 ETIMEDOUT (Connection timed out)"
    )
  })

  it("writes what strace writes for signals", () => {
    const { declare, line, memory, observer, task, output } = setup()
    declare("rt_sigaction", [
      S.signal("signum"),
      S.struct("act", "sigaction", "in"),
      S.struct("oldact", "sigaction", "out"),
      S.size("sigsetsize")
    ])
    declare("rt_sigprocmask", [
      S.oneOf("how", [["SIG_BLOCK", 0]]),
      S.signalSet("set"),
      S.struct("oldset", "sigset", "out"),
      S.size("sigsetsize")
    ])
    declare("rt_sigreturn", [])
    const action = memory.words(0x55b7_ef85_76e9, 0x1400_0000, 0x7f17_2155_2050, 2)
    assert.strictEqual(
      line(0, "rt_sigaction", 14, action, 0, 8),
      "rt_sigaction(SIGALRM, {sa_handler=0x55b7ef8576e9, sa_mask=[INT], sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x7f1721552050}, NULL, 8) = 0"
    )
    assert.strictEqual(
      line(0, "rt_sigaction", 2, 0, memory.words(0, 0, 0, 0), 8),
      "rt_sigaction(SIGINT, NULL, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, 8) = 0"
    )
    const all = memory.words(0xffff_ffff_ffff_ffffn & ~(3n << 31n))
    assert.strictEqual(
      line(0, "rt_sigprocmask", 0, all, memory.words(0), 8),
      "rt_sigprocmask(SIG_BLOCK, ~[RTMIN RT_1], [], 8) = 0"
    )
    task.registers.set(Reg.rsp, memory.words(...Array.from({ length: 37 }, () => 0), 1n << 9n))
    assert.strictEqual(line(0, "rt_sigreturn"), "rt_sigreturn({mask=[USR1]})             = 0")

    const before = output().length
    observer.signal(task, {
      _tag: "Child",
      signo: 17,
      code: 1,
      pid: 8,
      uid: 0,
      status: 3,
      userTicks: 0,
      systemTicks: 0
    })
    observer.signal(task, { _tag: "Fault", signo: 11, code: 1, address: 8n, access: "unknown" })
    observer.signal(task, { _tag: "Kill", signo: 14, code: 0x80, pid: 0, uid: 0 })
    observer.signal(task, { _tag: "Queue", signo: 35, code: -1, pid: 9, uid: 1, value: 5n })
    observer.exited(task, { _tag: "Signaled", signal: 11, coreDumped: true })
    assert.deepStrictEqual(output().slice(before).split("\n"), [
      "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=8, si_uid=0, si_status=3, si_utime=0, si_stime=0} ---",
      "--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x8} ---",
      "--- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---",
      "--- SIGRT_3 {si_signo=SIGRT_3, si_code=SI_QUEUE, si_pid=9, si_uid=1, si_int=5, si_ptr=0x5} ---",
      "+++ killed by SIGSEGV (core dumped) +++",
      ""
    ])
  })

  it("writes what strace writes for vectors, polls and sockets", () => {
    const { declare, line, memory } = setup()
    declare("writev", [S.fd("fd"), S.struct("iov", "iovec", "in"), S.int("iovcnt")])
    declare("readv", [S.fd("fd"), S.struct("iov", "iovec", "out"), S.int("iovcnt")])
    declare("poll", [S.struct("fds", "pollfd", "both"), S.uint("nfds"), S.int("timeout")])
    declare("connect", [S.fd("fd"), S.struct("addr", "sockaddr", "in"), S.uint("addrlen")])
    declare("pipe2", [S.struct("pipefd", "int[2]", "out"), S.flags("flags", [["O_CLOEXEC", 0o2000000]])])
    const vector = memory.words(memory.put("ab\n"), 3, memory.put(Buffer.from([1, 0x7f, 0x80, 0x71, 0x31])), 5)
    assert.strictEqual(
      line(8, "writev", 4, vector, 2),
      'writev(4, [{iov_base="ab\\n", iov_len=3}, {iov_base="\\1\\177\\200q1", iov_len=5}], 2) = 8'
    )
    assert.strictEqual(
      line(4, "readv", 3, vector, 2),
      'readv(3, [{iov_base="ab\\n", iov_len=3}, {iov_base="\\1", iov_len=5}], 2) = 4'
    )
    const fds = new DataView(new ArrayBuffer(8))
    fds.setInt32(0, 3, true)
    fds.setUint16(4, 1, true)
    fds.setUint16(6, 1, true)
    const pollfd = memory.put(new Uint8Array(fds.buffer))
    assert.strictEqual(
      line(1, "poll", pollfd, 1, 20),
      "poll([{fd=3, events=POLLIN}], 1, 20)    = 1 ([{fd=3, revents=POLLIN}])"
    )
    assert.strictEqual(line(0, "poll", pollfd, 1, 20), "poll([{fd=3, events=POLLIN}], 1, 20)    = 0 (Timeout)")
    const address = memory.put(Buffer.from("\x01\0/tmp/h6/nosock\0", "latin1"))
    assert.strictEqual(
      line(-2, "connect", 13, address, 110),
      'connect(13, {sa_family=AF_UNIX, sun_path="/tmp/h6/nosock"}, 110) = -1 ENOENT (No such file or directory)'
    )
    assert.strictEqual(
      line(0, "pipe2", memory.words(3 + 4 * 2 ** 32), 0o2000000),
      "pipe2([3, 4], O_CLOEXEC)                = 0"
    )
  })

  it("names a call that nobody declared, and one that has no name", () => {
    const { line, enter, observer, task, output } = setup()
    assert.strictEqual(
      line(-38, "swapon", 1, 2),
      "swapon(0x1, 0x2, 0, 0, 0, 0)            = -1 ENOSYS (Function not implemented)"
    )
    enter(task, "read")
    observer.exit(task, undefined, 0, -38)
    observer.enter(task, undefined, 999)
    observer.exit(task, undefined, 999, -38)
    assert.include(output(), "syscall_0x3e7(0, 0, 0, 0, 0, 0)         = -1 ENOSYS")
  })

  it("marks calls that other tasks interrupt, and prefixes them while there are several", () => {
    const { declare, enter, exit, observer, output, task } = setup()
    declare("read", [S.fd("fd"), S.bufferOut("buf"), S.size("count")])
    declare("close", [S.fd("fd")])
    declare("exit_group", [S.int("status")])
    declare("pause", [])
    const other = new FakeTask(1234)
    enter(task, "close", 4)
    enter(other, "read", 3, other.memory.put("hello"), 5)
    exit(task, "close", 0)
    exit(other, "read", 5)
    enter(other, "exit_group", 3)
    observer.exited(other, { _tag: "Exited", code: 3 })
    enter(task, "pause")
    observer.exited(task, { _tag: "Signaled", signal: 9, coreDumped: false })
    assert.deepStrictEqual(output().split("\n"), [
      "close(4 <unfinished ...>",
      "[pid  1234] read(3,  <unfinished ...>",
      "[pid     7] <... close resumed>)        = 0",
      '[pid  1234] <... read resumed>"hello", 5) = 5',
      "[pid  1234] exit_group(3)               = ?",
      "[pid  1234] +++ exited with 3 +++",
      "pause()                                 = ?",
      "+++ killed by SIGKILL +++",
      ""
    ])
  })

  it("shows a blocked call as soon as the event loop turns", async () => {
    let text = ""
    const observer = new StraceObserver({ write: (piece) => (text += piece), pids: "always" })
    observer.enter(
      new FakeTask(42),
      S.declare("pause", [], () => 0),
      sysno.pause
    )
    assert.strictEqual(text, "")
    await new Promise((resolve) => setImmediate(resolve))
    assert.strictEqual(text, "42    pause(")
  })

  it("shows only what the filter asks for, and every signal", () => {
    const { declare, enter, exit, observer, output, task } = setup("!%memory")
    declare("brk", [S.address("addr")])
    enter(task, "brk", 0)
    exit(task, "brk", 0x1000)
    observer.signal(task, { _tag: "Kill", signo: 15, code: 0, pid: 1, uid: 0 })
    assert.strictEqual(output(), "--- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=1, si_uid=0} ---\n")
  })

  it("survives any registers whatever they point at", () => {
    const { line } = setup()
    const anything = [0, 1, 8, 0xffff, 0x1ffff, 2 ** 47, 2 ** 53, -1, -4096]
    for (const name of Object.keys(sysno) as ReadonlyArray<SysName>) {
      for (const value of anything) line(0, name, value, value, value, value, value, value)
    }
  })
})
