/**
 * What fs_struct is in Linux: a root directory, a working directory and a umask. Tasks made with CLONE_FS share one;
 * fork copies it.
 *
 * Atomic: every method.
 */
import type { Location } from "./Mount.ts"

export class FsContext {
  root: Location
  workingDirectory: Location
  umask: number
  #users = 1

  constructor(root: Location, workingDirectory: Location = root, umask = 0o022) {
    this.root = root
    this.workingDirectory = workingDirectory
    this.umask = umask
  }

  /** One more task shares it (CLONE_FS). */
  share(): this {
    this.#users++
    return this
  }

  get shared(): boolean {
    return this.#users > 1
  }

  /** One's own with the same values (fork, unshare). */
  copy(): FsContext {
    return new FsContext(this.root, this.workingDirectory, this.umask)
  }

  /** A task leaves. Nothing is held that must be closed. */
  leave(): void {
    this.#users--
  }
}
