/**
 * What fallocate(2) does to a file in memory. The host's anonymous files can only be given pages and have holes punched;
 * moving what is behind a range, as ext4 does, is done here. Ranges are valid and within MAX_FILE_SIZE.
 */
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  SEEK_DATA,
  SEEK_HOLE
} from "../Abi/At.ts"
import { EFBIG, EINVAL, EOPNOTSUPP } from "../Abi/Errno.ts"
import type { MemfdContent } from "./MemoryContent.ts"
import { MAX_FILE_SIZE } from "./RegularFile.ts"

const BLOCK = 4096
/** Bytes moved at a time. */
const CHUNK = 1 << 18

/** A file whose filesystem has no more than holes (tmpfs), or (what an overlay shows) everything that ext4 has. */
export type RangeSupport = "holes" | "all"

/** fallocate(2) with a mode that the kernel knows: 0 or -errno. */
export const allocateRange = (
  content: MemfdContent,
  mode: number,
  offset: number,
  length: number,
  support: RangeSupport
): number => {
  const kind = mode & ~FALLOC_FL_KEEP_SIZE
  if (kind === 0 || kind === FALLOC_FL_PUNCH_HOLE) return content.allocate(mode, offset, length)
  if (support === "holes") return -EOPNOTSUPP
  if (kind === FALLOC_FL_ZERO_RANGE) return zero(content, mode, offset, length)
  if (kind !== FALLOC_FL_COLLAPSE_RANGE && kind !== FALLOC_FL_INSERT_RANGE) return -EOPNOTSUPP
  if (offset % BLOCK !== 0 || length % BLOCK !== 0) return -EINVAL
  return kind === FALLOC_FL_COLLAPSE_RANGE ? collapse(content, offset, length) : insert(content, offset, length)
}

const punch = (content: MemfdContent, offset: number, length: number): number =>
  length === 0 ? 0 : content.allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length)

/** The range reads as zeros, and has its pages. */
const zero = (content: MemfdContent, mode: number, offset: number, length: number): number =>
  punch(content, offset, length) || content.allocate(mode & FALLOC_FL_KEEP_SIZE, offset, length)

/** What is behind the range moves to where it begins. */
const collapse = (content: MemfdContent, offset: number, length: number): number => {
  const { size } = content
  if (offset + length >= size) return -EINVAL
  for (const segment of segments(content, offset + length, size)) {
    const error = move(content, segment, -length)
    if (error < 0) return error
  }
  return content.truncate(size - length)
}

/** What is there, and behind, moves to make room for a hole. */
const insert = (content: MemfdContent, offset: number, length: number): number => {
  const { size } = content
  if (size + length > MAX_FILE_SIZE) return -EFBIG
  if (offset >= size) return -EINVAL
  const moving = segments(content, offset, size)
  const error = content.truncate(size + length)
  if (error < 0) return error
  for (const segment of moving.toReversed()) {
    const error = move(content, segment, length)
    if (error < 0) return error
  }
  return punch(content, offset, length)
}

/** A run of bytes, or of a hole. */
interface Segment {
  readonly start: number
  readonly end: number
  readonly isHole: boolean
}

/** What [start, end) consists of; `end` is the size. */
const segments = (content: MemfdContent, start: number, end: number): ReadonlyArray<Segment> => {
  const list: Array<Segment> = []
  for (let at = start; at < end;) {
    const data = content.seek(at, SEEK_DATA)
    const next = data < 0 ? end : data
    if (next > at) list.push({ start: at, end: next, isHole: true })
    const hole = next < end ? content.seek(next, SEEK_HOLE) : end
    if (hole > next) list.push({ start: next, end: hole, isHole: false })
    at = Math.max(hole, next)
  }
  return list
}

/** Moves `segment` by `distance` bytes, from the side where it overlaps with its new place. */
const move = (content: MemfdContent, { end, isHole, start }: Segment, distance: number): number => {
  if (isHole) return punch(content, start + distance, end - start)
  const chunk = new Uint8Array(Math.min(CHUNK, end - start))
  for (let done = 0; done < end - start;) {
    const count = Math.min(chunk.length, end - start - done)
    const from = distance < 0 ? start + done : end - done - count
    const seen = content.read(chunk.subarray(0, count), from)
    const moved = seen < 0 ? seen : content.write(chunk.subarray(0, count), from + distance)
    if (moved < 0) return moved
    done += count
  }
  return 0
}
