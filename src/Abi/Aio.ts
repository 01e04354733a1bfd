/**
 * Constants and structures of io_submit(2), x86-64 values.
 */
import * as Struct from "./Struct.ts"

export const IOCB_CMD_PREAD = 0
export const IOCB_CMD_PWRITE = 1
export const IOCB_CMD_FSYNC = 2
export const IOCB_CMD_FDSYNC = 3
export const IOCB_CMD_PREADV = 7
export const IOCB_CMD_PWRITEV = 8

/** `aio_resfd` is an eventfd that is to count the completion. */
export const IOCB_FLAG_RESFD = 1

/** `struct iocb`, 64 bytes: one operation asked for. */
export const Iocb = Struct.make("iocb", {
  aio_data: Struct.u64,
  aio_key: Struct.u32,
  aio_rw_flags: Struct.u32,
  aio_lio_opcode: Struct.u16,
  aio_reqprio: Struct.i16,
  aio_fildes: Struct.i32,
  aio_buf: Struct.ulong,
  aio_nbytes: Struct.ulong,
  aio_offset: Struct.long,
  aio_reserved2: Struct.u64,
  aio_flags: Struct.u32,
  aio_resfd: Struct.i32
})
export type Iocb = Struct.Type<typeof Iocb>

/** `struct io_event`, 32 bytes: one operation done. */
export const IoEvent = Struct.make("io_event", {
  data: Struct.u64,
  obj: Struct.ulong,
  res: Struct.i64,
  res2: Struct.i64
})
export type IoEvent = Struct.Type<typeof IoEvent>

/** fs.aio-max-nr: how many operations all contexts of an address space together may have room for. */
export const AIO_MAX_OPERATIONS = 65_536
