/**
 * Describes a C struct once: its size, offsets, encoding and decoding follow from one declaration.
 *
 * Fields are laid out in order with natural alignment, as the x86-64 psABI does; `test/Abi/Layout.test.ts` compares
 * sizes and offsets with what the compiler thinks.
 */

/**
 * How one field is stored, at a byte offset of a view. (Methods, so that a list of differently typed fields is a list of
 * `FieldType<unknown>`.)
 */
export interface FieldType<A> {
  readonly size: number
  readonly align: number
  get(view: DataView, at: number): A
  set(view: DataView, at: number, value: A): void
}

const field = <A>(
  size: number,
  get: (view: DataView, at: number) => A,
  set: (view: DataView, at: number, value: A) => void
): FieldType<A> => ({ size, align: size, get, set })

export const u8 = field<number>(
  1,
  (v, at) => v.getUint8(at),
  (v, at, x) => v.setUint8(at, x)
)
export const u16 = field<number>(
  2,
  (v, at) => v.getUint16(at, true),
  (v, at, x) => v.setUint16(at, x, true)
)
export const i16 = field<number>(
  2,
  (v, at) => v.getInt16(at, true),
  (v, at, x) => v.setInt16(at, x, true)
)
export const u32 = field<number>(
  4,
  (v, at) => v.getUint32(at, true),
  (v, at, x) => v.setUint32(at, x, true)
)
export const i32 = field<number>(
  4,
  (v, at) => v.getInt32(at, true),
  (v, at, x) => v.setInt32(at, x, true)
)
export const u64 = field<bigint>(
  8,
  (v, at) => v.getBigUint64(at, true),
  (v, at, x) => v.setBigUint64(at, x, true)
)
export const i64 = field<bigint>(
  8,
  (v, at) => v.getBigInt64(at, true),
  (v, at, x) => v.setBigInt64(at, x, true)
)

const TWO_32 = 0x1_0000_0000

/** A 64-bit unsigned field whose value fits 2^53: sizes, offsets, addresses. */
export const ulong = field<number>(
  8,
  (v, at) => v.getUint32(at, true) + v.getUint32(at + 4, true) * TWO_32,
  (v, at, x) => {
    v.setUint32(at, x >>> 0, true)
    v.setUint32(at + 4, Math.floor(x / TWO_32) >>> 0, true)
  }
)

/** A 64-bit signed field whose value fits ±2^53. */
export const long = field<number>(8, (v, at) => v.getUint32(at, true) + v.getInt32(at + 4, true) * TWO_32, ulong.set)

/** `length` bytes, as a copy. */
export const bytes = (length: number): FieldType<Uint8Array> => ({
  size: length,
  align: 1,
  get: (v, at) => new Uint8Array(v.buffer, v.byteOffset + at, length).slice(),
  set: (v, at, x) => new Uint8Array(v.buffer, v.byteOffset + at, length).set(x.subarray(0, length))
})

/** `count` 64-bit words, as a copy. */
export const words = (count: number): FieldType<BigUint64Array> => ({
  size: 8 * count,
  align: 8,
  get: (v, at) => new BigUint64Array(v.buffer.slice(v.byteOffset + at, v.byteOffset + at + 8 * count)),
  set: (v, at, x) => new Uint8Array(v.buffer, v.byteOffset + at, 8 * count).set(new Uint8Array(x.buffer, x.byteOffset))
})

type Fields = Readonly<Record<string, FieldType<unknown>>>

/** What a field list decodes to. */
export type ValueOf<F> = { readonly [K in keyof F]: F[K] extends FieldType<infer A> ? A : never }

/** A C struct. Usable as a field of another struct. */
export interface Struct<A> extends FieldType<A> {
  readonly name: string
  readonly offsets: { readonly [K in keyof A]: number }
  /** A fresh encoding. */
  readonly encode: (value: A) => Uint8Array
  /** Decodes the first `size` bytes. */
  readonly decode: (bytes: Uint8Array) => A
}

/** The value type of a struct. */
export type Type<S> = S extends Struct<infer A> ? A : never

/** Lays out `fields` in order. */
export const make = <const F extends Fields>(name: string, fields: F): Struct<ValueOf<F>> => {
  type A = ValueOf<F>
  const entries = Object.entries(fields) as unknown as ReadonlyArray<[keyof A, FieldType<unknown>]> // Object.entries forgets the key type
  const offsets = {} as { [K in keyof A]: number }
  let end = 0
  let align = 1
  for (const [key, type] of entries) {
    end = Math.ceil(end / type.align) * type.align
    offsets[key] = end
    end += type.size
    align = Math.max(align, type.align)
  }
  const size = Math.ceil(end / align) * align
  const get = (view: DataView, at: number): A => {
    const value: Partial<Record<keyof A, unknown>> = {}
    for (const [key, type] of entries) value[key] = type.get(view, at + offsets[key])
    return value as A // every field was set above
  }
  const set = (view: DataView, at: number, value: A): void => {
    for (const [key, type] of entries) type.set(view, at + offsets[key], value[key])
  }
  return {
    name,
    size,
    align,
    offsets,
    get,
    set,
    encode: (value) => {
      const out = new Uint8Array(size)
      set(new DataView(out.buffer), 0, value)
      return out
    },
    decode: (source) => get(new DataView(source.buffer, source.byteOffset, source.byteLength), 0)
  }
}
