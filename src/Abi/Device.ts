/**
 * Device numbers, makedev(3): a major and a minor number packed as the kernel's 64-bit `dev_t` of stat(2).
 */

/** The encoding of st_dev and st_rdev (new_encode_dev: 12 bits of major, 20 of minor). */
export const makedev = (major: number, minor: number): number =>
  (minor & 0xff) + (((major & 0xfff) << 8) >>> 0) + ((minor & ~0xff) >>> 0) * 0x1000

export const major = (dev: number): number => (dev >>> 8) & 0xfff

export const minor = (dev: number): number => (dev & 0xff) | (Math.floor(dev / 0x1000) & 0xfff00)

/** As the kernel itself packs a `dev_t`, which /proc/[pid]/fdinfo shows: 20 bits of minor. */
export const kernelDevice = (dev: number): number => major(dev) * 0x10_0000 + minor(dev)
