/**
 * What a task has done, counted as it does it: input and output, proc_pid_io(5), and waits.
 */

export interface TaskAccounts {
  /** Bytes of read(2) and its kin, whatever they came from. */
  readCharacters: number
  writtenCharacters: number
  /** Calls of read(2) and its kin. */
  readCalls: number
  writeCalls: number
  /** Times that it waited: the voluntary context switches. */
  waits: number
}

export const noAccounts = (): TaskAccounts => ({
  readCharacters: 0,
  writtenCharacters: 0,
  readCalls: 0,
  writeCalls: 0,
  waits: 0
})
