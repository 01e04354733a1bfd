/**
 * Path resolution, path_resolution(7): from a path to a place, component by component, as Linux's namei.c does it.
 *
 * A walk goes to the *last* component and stops before it (`toLast`), because open, create, unlink and rename each treat
 * that one in their own way; `lookupLast` and `followLast` then take it further.
 */
import {
  NAME_MAX,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  X_OK
} from "../Abi/At.ts"
import { EAGAIN, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV } from "../Abi/Errno.ts"
import { isDirectory, isSymlink } from "../Abi/FileMode.ts"
import type { Dentry } from "./Dentry.ts"
import type { Caller, Inode } from "./Inode.ts"
import { Location, isReachable } from "./Mount.ts"
import { OpenFileDescription } from "./OpenFileDescription.ts"
import { mayAccess } from "./Permission.ts"

/** MAXSYMLINKS. */
const MAX_SYMLINKS = 40

/** What the last component of a path is. */
export type LastKind = "Normal" | "Dot" | "DotDot" | "Root"

export class PathWalk {
  readonly #caller: Caller
  readonly #resolve: number
  /** No way leads above it: the caller's root, or the start with RESOLVE_BENEATH and RESOLVE_IN_ROOT. */
  readonly #root: Location
  /** Where the walk is: after `toLast`, the directory of the last component. Has an inode. */
  at: Location
  /** The last component, when `kind` is "Normal". */
  last = ""
  kind: LastKind = "Root"
  /** The path ended in a slash: the last component must be a directory, and is followed if it is a symbolic link. */
  trailingSlash = false
  /** Set where a magic link led to an open file without a place; then there is nothing else to find. */
  openFile: OpenFileDescription | undefined
  #links = 0
  /** What is left of the paths being walked, outermost first, each beginning at `#position` of its own. */
  readonly #outer: Array<readonly [path: string, position: number]> = []
  #path: string
  #position = 0

  constructor(caller: Caller, start: Location, path: string, resolve = 0) {
    this.#caller = caller
    this.#resolve = resolve
    this.#path = path
    const confined = (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0
    this.#root = confined ? start : caller.fs.root
    this.at = start
  }

  /** Walks to the directory that holds the last component. 0 or -errno. */
  toLast(): number {
    if (this.#path.charCodeAt(this.#position) === SLASH) {
      const error = this.#jumpToRoot()
      if (error < 0) return error
    }
    this.kind = "Root"
    for (;;) {
      while (this.#path.charCodeAt(this.#position) === SLASH) this.#position++
      if (this.#position >= this.#path.length) {
        const outer = this.#outer.pop()
        if (outer === undefined) return 0
        ;[this.#path, this.#position] = outer
        continue
      }
      // the component so far called the last one has a successor: step into it
      const directory = this.at.dentry.inode!
      if (!isDirectory(directory.mode)) return -ENOTDIR
      const denied = mayAccess(directory, X_OK, this.#caller.credentials)
      if (denied < 0) return denied

      const begin = this.#position
      let end = begin
      while (end < this.#path.length && this.#path.charCodeAt(end) !== SLASH) end++
      this.#position = end
      while (this.#path.charCodeAt(this.#position) === SLASH) this.#position++
      const final = this.#position >= this.#path.length && this.#outer.length === 0
      if (final && this.#position > end) this.trailingSlash = true
      const kind = kindOf(this.#path, begin, end)
      if (final) {
        this.kind = kind
        this.last = kind === "Normal" ? this.#path.slice(begin, end) : ""
        return 0
      }
      const error = this.#step(kind, kind === "Normal" ? this.#path.slice(begin, end) : "")
      if (error < 0) return error
    }
  }

  /** Goes through a component that is not the last. 0 or -errno. */
  #step(kind: LastKind, name: string): number {
    if (kind !== "Normal") return this.stepDots(kind)
    const child = this.lookup(name)
    if (typeof child === "number") return child
    const { inode } = child.dentry
    if (inode === undefined) return -ENOENT
    if (isSymlink(inode.mode)) return this.#enterLink(inode)
    this.at = child
    return isDirectory(inode.mode) ? 0 : -ENOTDIR
  }

  /** The child of the current directory, mounts crossed; its dentry may be negative. Or -errno. */
  lookup(name: string): Location | number {
    const dentry = this.lookupDentry(name)
    if (typeof dentry === "number") return dentry
    return this.#cross(new Location(this.at.mount, dentry))
  }

  /** The child of the current directory itself, maybe negative, mounts not crossed; or -errno. */
  lookupDentry(name: string): Dentry | number {
    return name.length > NAME_MAX ? -ENAMETOOLONG : this.at.dentry.child(name)
  }

  /**
   * Looks the last component up and moves to it (a symbolic link is not followed): its location, possibly negative, or
   * -errno.
   */
  lookupLast(): Location | number {
    if (this.kind === "Normal") return this.lookup(this.last)
    const error = this.stepDots(this.kind)
    return error < 0 ? error : this.at
  }

  /** Follows `link`, found at the last component: the walk is then before the last component of its text. 0 or -errno. */
  followLast(link: Inode): number {
    const error = this.#enterLink(link)
    if (error < 0 || this.openFile !== undefined) return error
    // a magic link has moved the walk to its target, and there is nothing left to walk
    return this.toLast()
  }

  /** "." and "..": 0 or -errno. */
  stepDots(kind: LastKind): number {
    if (kind !== "DotDot") return 0
    let { mount, dentry } = this.at
    for (;;) {
      if (dentry === this.#root.dentry && mount === this.#root.mount) {
        return (this.#resolve & RESOLVE_BENEATH) !== 0 ? -EXDEV : 0
      }
      if (dentry !== mount.root) break
      if (mount.point === undefined) return 0
      if ((this.#resolve & RESOLVE_NO_XDEV) !== 0) return -EXDEV
      ;({ mount, dentry } = mount.point)
    }
    const up = this.#cross(new Location(mount, dentry.parent))
    if (typeof up === "number") return up
    // a directory moved out of the confinement while we were in it
    if ((this.#resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0 && !isReachable(up, this.#root)) {
      return (this.#resolve & RESOLVE_BENEATH) !== 0 ? -EXDEV : -EAGAIN
    }
    this.at = up
    return 0
  }

  #cross(location: Location): Location | number {
    if (location.dentry.mounts === undefined) return location
    const covered = location.covered
    return covered !== location && (this.#resolve & RESOLVE_NO_XDEV) !== 0 ? -EXDEV : covered
  }

  #jumpToRoot(): number {
    if ((this.#resolve & RESOLVE_BENEATH) !== 0) return -EXDEV
    if ((this.#resolve & RESOLVE_NO_XDEV) !== 0 && this.at.mount !== this.#root.mount) return -EXDEV
    this.at = this.#root
    return 0
  }

  /** Puts the text of `link` before what is left of the path; or goes where a magic link leads. */
  #enterLink(link: Inode): number {
    if (this.#links++ >= MAX_SYMLINKS || (this.#resolve & RESOLVE_NO_SYMLINKS) !== 0) return -ELOOP
    if (this.at.mount.noSymlinks) return -ELOOP
    if (link.magic) {
      if ((this.#resolve & RESOLVE_NO_MAGICLINKS) !== 0) return -ELOOP
      const target = link.follow(this.#caller)
      if (typeof target === "number") return target
      if ((this.#resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0) return -EXDEV
      if (target instanceof OpenFileDescription) {
        if (this.#position < this.#path.length || this.#outer.length > 0) return -ENOTDIR
        this.openFile = target
        return 0
      }
      if ((this.#resolve & RESOLVE_NO_XDEV) !== 0 && target.mount !== this.at.mount) return -EXDEV
      this.at = target
      return 0
    }
    const text = link.readlink(this.#caller)
    if (typeof text === "number") return text
    if (text === "") return -ENOENT
    if (this.#position < this.#path.length) this.#outer.push([this.#path, this.#position])
    this.#path = text
    this.#position = 0
    if (text.charCodeAt(0) === SLASH) return this.#jumpToRoot()
    return 0
  }
}

const SLASH = 0x2f
const DOT = 0x2e

const kindOf = (path: string, begin: number, end: number): LastKind => {
  if (path.charCodeAt(begin) !== DOT) return "Normal"
  if (end === begin + 1) return "Dot"
  return end === begin + 2 && path.charCodeAt(begin + 1) === DOT ? "DotDot" : "Normal"
}
