import { assert, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import {
  bells,
  copies,
  fastEntry,
  field,
  notice,
  orders,
  prologues,
  records,
  slotCount,
  slotSize,
  stackEnd,
  stackOffset,
  systrapBase,
  systrapSlots,
  windowSize,
  worker
} from "../../src/Platform/SystrapLayout.ts"

const STUB_ORDERS = 0x7fff_ffff_d000

it("SystrapLayout.ts says what native/systrap.h says", () => {
  const native = fileURLToPath(new URL("../../native", import.meta.url))
  const directory = mkdtempSync(join(tmpdir(), "systrap-"))
  const offsets = Object.entries(field).map(
    ([name, at]) =>
      `_Static_assert(offsetof(struct systrap_slot, ${name.replace("_", name.startsWith("stack") ? "." : "_")}) == ${at}, "${name}");`
  )
  const numbers = Object.entries({
    SYSTRAP_BASE: systrapBase,
    SYSTRAP_SLOTS: systrapSlots,
    SYSTRAP_WINDOW: windowSize,
    "SYSTRAP_SLOT << SYSTRAP_WINDOW_SHIFT": windowSize,
    "SYSTRAP_WINDOWS + SYSTRAP_WINDOW * SYSTRAP_SLOT_COUNT": systrapSlots,
    SYSTRAP_IN: copies.in,
    SYSTRAP_OUT: copies.out,
    SYSTRAP_COPY: copies.size,
    SYSTRAP_STACK_END: stackEnd,
    SYSTRAP_SLOT: slotSize,
    SYSTRAP_SLOT_COUNT: slotCount,
    SYSTRAP_STACK_OFFSET: stackOffset,
    SYSTRAP_ORDER_LIST: orders.list,
    SYSTRAP_ORDER_SEEN: orders.seen,
    SYSTRAP_DONE: worker.done,
    SYSTRAP_RESULT: worker.result,
    SYSTRAP_RECORDS: records.address,
    SYSTRAP_RECORDS_SIZE: records.size,
    SYSTRAP_RECORD_NR: records.nr,
    SYSTRAP_RECORD_RETURN: records.return,
    SYSTRAP_RECORD_POINTER: records.hint,
    SYSTRAP_RECORD_WHEN: records.when,
    SYSTRAP_PROLOGUES: prologues.address,
    SYSTRAP_PROLOGUES_SIZE: prologues.size,
    "SYSTRAP_CODE + SYSTRAP_AT_ENTRY": fastEntry.known,
    "SYSTRAP_CODE + SYSTRAP_AT_ANY": fastEntry.any,
    SYSTRAP_NOTICE: STUB_ORDERS + notice.sleeping,
    "SYSTRAP_NOTICE + offsetof(struct systrap_notice, spin)": STUB_ORDERS + notice.spin,
    "SYSTRAP_NOTICE + offsetof(struct systrap_notice, wanted)": STUB_ORDERS + notice.wanted,
    "SYSTRAP_NOTICE + offsetof(struct systrap_notice, frame)": STUB_ORDERS + notice.frame,
    SYSTRAP_BELLS: bells.first,
    SYSTRAP_BELL_WORDS: bells.words
  }).map(([name, value]) => `_Static_assert(${name} == ${value}, "${name}");`)
  const file = join(directory, "layout.c")
  writeFileSync(file, [`#include "systrap.h"`, ...offsets, ...numbers, "int main(void) { return 0; }"].join("\n"))
  execFileSync("gcc", ["-std=c11", "-D_GNU_SOURCE", `-I${native}`, "-fsyntax-only", file])
  rmSync(directory, { recursive: true })
  assert.isAbove(offsets.length, 5)
})
