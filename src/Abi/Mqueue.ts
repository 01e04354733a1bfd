/**
 * POSIX message queues, mq_overview(7).
 */
import * as Struct from "./Struct.ts"

/** `struct mq_attr`, 64 bytes. */
export const MqAttr = Struct.make("mq_attr", {
  mq_flags: Struct.i64,
  mq_maxmsg: Struct.i64,
  mq_msgsize: Struct.i64,
  mq_curmsgs: Struct.i64,
  reserved: Struct.bytes(32)
})
export type MqAttr = Struct.Type<typeof MqAttr>

/** Priorities are smaller. */
export const MQ_PRIO_MAX = 32_768

/** /proc/sys/fs/mqueue. */
export const MSG_MAX = 10
export const MSGSIZE_MAX = 8192
export const QUEUES_MAX = 256
/** With CAP_SYS_RESOURCE. */
export const HARD_MSG_MAX = 65_536
export const HARD_MSGSIZE_MAX = 16 * 1024 * 1024

/** si_code of a notification. */
export const SI_MESGQ = -3
