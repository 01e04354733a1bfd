/**
 * sysfs(5), as far as programs commonly read it: the processors, transparent huge pages.
 */
import type { Filesystem } from "../Vfs/Filesystem.ts"
import { GeneratedFile, PseudoFs, type StaticDirectory } from "../Vfs/PseudoFs.ts"
import { bitmap, bitmapList } from "./ProcText.ts"
import type { System } from "./System.ts"

/** SYSFS_MAGIC. */
const MAGIC = 0x6265_6572
/** Every file of sysfs claims to be a page long. */
const FILE_SIZE = 4096

const add = (directory: StaticDirectory, files: Readonly<Record<string, string | number>>): void => {
  for (const [name, value] of Object.entries(files)) {
    directory.add(
      name,
      new GeneratedFile(directory.filesystem, { read: () => `${value}\n` }, { mode: 0o444, size: () => FILE_SIZE })
    )
  }
}

const addProcessors = (devices: StaticDirectory, count: number): void => {
  const everyone = (1n << BigInt(count)) - 1n
  const all = bitmapList(everyone)
  const system = devices.directory("system")
  const cpu = system.directory("cpu")
  add(cpu, { online: all, possible: all, present: all, offline: "", isolated: "", kernel_max: 255 })
  for (let index = 0; index < count; index++) {
    const own = 1n << BigInt(index)
    add(cpu.directory(`cpu${index}`).directory("topology"), {
      core_cpus: bitmap(own, count),
      core_cpus_list: index,
      core_id: index,
      core_siblings: bitmap(everyone, count),
      core_siblings_list: all,
      die_id: 0,
      package_cpus: bitmap(everyone, count),
      package_cpus_list: all,
      physical_package_id: 0,
      thread_siblings: bitmap(own, count),
      thread_siblings_list: index
    })
  }
  const node = system.directory("node")
  add(node, { online: 0, possible: 0, has_cpu: 0, has_memory: 0, has_normal_memory: 0 })
  add(node.directory("node0"), { cpulist: all, cpumap: bitmap(everyone, count), distance: 10 })
}

/** Makes /sys. */
export const makeSysFs = ({ cpuCount, vfs }: System): Filesystem => {
  const filesystem = new PseudoFs({ name: "sysfs", device: vfs.newDevice(), magic: MAGIC, clock: vfs.clock })
  const { root } = filesystem
  for (const name of ["block", "bus", "class", "dev"]) root.directory(name)
  addProcessors(root.directory("devices"), cpuCount)
  root.directory("firmware")
  root.directory("fs").directory("cgroup")
  const pages = root.directory("kernel").directory("mm").directory("transparent_hugepage")
  add(pages, {
    enabled: "always [madvise] never",
    defrag: "always defer defer+madvise [madvise] never",
    hpage_pmd_size: 2_097_152
  })
  root.directory("module")
  root.directory("power")
  return filesystem
}
