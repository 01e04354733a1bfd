/**
 * /proc and /sys say what Linux says, in the same form: the same command runs on the host and in a sandbox, and what must
 * differ (ids, addresses, sizes) is reduced to its shape. What is new in one kernel or the other is left out by name.
 */
import { describe, expect, test } from "vitest"
import { bitmap, bitmapList, escape, set64 } from "../../src/Task/ProcText.ts"
import { PLATFORMS } from "../conformance/Platforms.ts"
import { run } from "../conformance/Run.ts"

describe("pieces of text", () => {
  test("masks have a comma between groups of 32 bits, and as many digits as there are bits", () => {
    expect(bitmap(0b11n, 2)).toBe("3")
    expect(bitmap(0b1n, 32)).toBe("00000001")
    expect(bitmap((1n << 33n) - 1n, 33)).toBe("1,ffffffff")
    expect(bitmap(1n, 72)).toBe("00,00000000,00000001")
  })

  test("lists of bits are ranges", () => {
    expect(bitmapList(0n)).toBe("")
    expect(bitmapList(0b1n)).toBe("0")
    expect(bitmapList(0b1011_0111n)).toBe("0-2,4-5,7")
  })

  test("sets have sixteen digits, and what would break a line is octal", () => {
    expect(set64(1n << 63n)).toBe("8000000000000000")
    expect(escape("a b\n\\", " \n\\")).toBe("a\\040b\\012\\134")
  })
})

for (const platform of PLATFORMS) {
  /** What `script` prints on the host and in the sandbox, each reduced by `shape`. */
  const both = async (script: string, shape: (text: string) => unknown = (text) => text) => {
    const command = ["/bin/sh", "-c", script]
    const native = await run(command)
    const sandboxed = await run(platform.command(command))
    expect(sandboxed.stderr.replaceAll(/\/proc\/\d+/g, "/proc/N")).toBe(
      native.stderr.replaceAll(/\/proc\/\d+/g, "/proc/N")
    )
    return { native: shape(native.stdout), sandboxed: shape(sandboxed.stdout) }
  }

  const same = async (script: string, shape?: (text: string) => unknown): Promise<void> => {
    const { native, sandboxed } = await both(script, shape)
    expect(sandboxed).toEqual(native)
  }

  describe(`/proc on ${platform.name}`, { timeout: 30_000 }, () => {
    test("status has the same fields in the same order", () =>
      same("cat /proc/self/status", (text) => text.split("\n").map((line) => line.split("\t")[0])))

    test("stat has 52 fields, of which the first are pid, name and state", async () => {
      const shape = (text: string): unknown => {
        const [pid, ...fields] = text.trimEnd().split(" ")
        return [/^\d+$/.test(pid!), fields.length, fields[0], fields[1]] // split gives at least one
      }
      await same("cat /proc/self/stat", shape)
      expect(shape((await both("cat /proc/self/stat")).sandboxed as string)).toEqual([true, 51, "(cat)", "R"])
    })

    test("limits is the same to the byte", () => same("cat /proc/self/limits"))

    test("maps has the same lines, but for addresses and what the host's kernel maps itself", () =>
      same("cat /proc/self/maps", (text) => {
        const names = new Set<string>()
        for (const line of text.split("\n")) {
          if (line === "" || /\[v(var|var_vclock|dso|syscall)\]/.test(line)) continue
          expect(line).toMatch(
            /^[\da-f]{8,}-[\da-f]{8,} [r-][w-][x-][ps] [\da-f]{8} [\da-f]{2}:[\da-f]{2} \d+ ( *\S.*)?$/
          )
          const name = line.slice(73)
          if (name !== "") names.add(`${line.split(" ")[1]} ${line.split(" ")[2]} ${line.split(" ")[4]} ${name}`)
        }
        // parts of one file that differ only in how they are accounted may be one line or two
        return [...names].filter((name) => !name.includes(".so")).sort()
      }))

    test("the mode and owner of every file of a process are Linux's", () =>
      same("cd /proc/self && stat -c '%n %A %u %g' *", (text) => {
        // attributes of subsystems that are not there
        const absent =
          /^(arch_status|attr|autogroup|clear_refs|coredump_filter|ksm_\w+|map_files|net|numa_maps|oom_adj|pagemap|sched|stack|timens_offsets|timers|patch_state|make-it-fail|fail-nth|seccomp_cache|cpu_resctrl_groups|latency) /
        return text.split("\n").filter((line) => !absent.test(line))
      }))

    test("another user may read what everybody may, and nothing else", () =>
      same(`setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "
        for file in environ auxv maps mem io syscall personality smaps_rollup mountstats; do
          head -c 1 /proc/$$/\\$file > /dev/null 2>&1; echo \\$file \\$?
        done
        ls /proc/$$/fd 2> /dev/null; readlink /proc/$$/exe /proc/$$/cwd /proc/$$/root /proc/$$/fd/0; echo \\$?
        cut -d ' ' -f 26-28,45-51 /proc/$$/stat
        tr '\\\\0' ' ' < /proc/$$/cmdline | cut -c 1-7
        cat /proc/$$/timerslack_ns > /dev/null 2>&1; echo \\$?
        stat -c '%u %g' /proc/self /proc/self/environ /proc/self/fd
        grep Cap /proc/self/status | head -3
        echo 7 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj
      "`))

    test("a zombie has a state and a status, but no memory and no files", () =>
      same(`sleep 0 & pid=$!; exec perl -e '
        select undef, undef, undef, 0.3;
        open F, "/proc/$ARGV[0]/stat"; @stat = split " ", <F>; print "$stat[2] $stat[22] $stat[23]\\n";
        for (qw(exe cwd root)) { print defined readlink("/proc/$ARGV[0]/$_") ? "yes" : $!, "\\n" }
        for (qw(cmdline maps environ auxv mem mounts)) {
          print "$_ ", (open(F, "/proc/$ARGV[0]/$_") ? "[" . join("", <F>) . "]" : $!), "\\n";
        }
        opendir D, "/proc/$ARGV[0]/fd"; print scalar(grep /\\d/, readdir D), "\\n";
      ' $pid`))

    test("a thread's name is what was written, cut at fifteen bytes, and only its own process writes it", () =>
      same(`echo x > /proc/$$/comm; cat /proc/$$/comm; printf abcdefghijklmnopqrstuvwxyz > /proc/$$/comm
        cat /proc/$$/comm; head -1 /proc/$$/status; sh -c "echo y > /proc/$$/comm"; echo $?; cat /proc/$$/comm`))

    test("memory is read and written through mem, and bad addresses are EIO", () =>
      same(`exec perl -e '
        $text = "abcdef"; $at = unpack "Q", pack "P", $text;
        open F, "+<", "/proc/self/mem"; binmode F;
        sysseek F, $at, 0; sysread F, $got, 3; print "$got\\n";
        sysseek F, $at + 1, 0; syswrite F, "XY"; print "$text\\n";
        sysseek F, 4096, 0; print defined sysread(F, $got, 1) ? "read" : $!, "\\n";
      '`))

    test("links lead to what they name", () =>
      same(`cd /usr; readlink /proc/self/cwd /proc/self/root /proc/self/exe /proc/mounts; readlink /proc/self/fd/0 < /dev/null
        stat -L -c %i /proc/self/ns/pid; test "$(readlink /proc/self)" = $$ || exec readlink /proc/thread-self | tr -d 0-9
        head -c 4 /proc/self/fd/0 < /etc/passwd; cat /proc/01 /proc/self/fd/00 2> /dev/null; echo $?`))

    test("the system's own files have Linux's form", () =>
      same(
        `cat /proc/uptime /proc/loadavg; head -1 /proc/stat; grep -c ^cpu /proc/stat; grep btime /proc/stat
         head -3 /proc/meminfo; cat /proc/sys/kernel/random/uuid /proc/sys/kernel/pid_max /proc/sys/kernel/cap_last_cap
         cat /proc/sys/kernel/sem /proc/sys/kernel/ostype; grep -c ^processor /proc/cpuinfo; head -1 /proc/swaps
         cat /sys/devices/system/cpu/online /sys/devices/system/cpu/possible; nproc; getconf _PHYS_PAGES`,
        (text) =>
          text
            .replaceAll(/[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}/g, "UUID")
            .replaceAll(/cpu .*/g, (line) => `cpu ${line.split(/ +/).length}`)
            .replaceAll(/ +/g, " ")
            .replaceAll(/\d+\.\d\d/g, "F")
            .replaceAll(/F F F \d+\/\d+ \d+/g, "LOAD")
            .replaceAll(/\d{3,}/g, "N")
      ))
  })
}
