/**
 * Every struct that src/Abi exports has the size and the offsets that the C compiler finds in the kernel's headers.
 *
 * A struct is `struct NAME` in C unless `C_TYPES` says otherwise; a field has the same name in C unless `C_FIELDS` does.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"

const C_TYPES: Readonly<Record<string, string>> = {
  kernel_sigaction: "struct sigaction",
  stack_t: "stack_t",
  siginfo_t: "siginfo_t",
  Elf64_Ehdr: "Elf64_Ehdr",
  Elf64_Phdr: "Elf64_Phdr",
  Elf64_Shdr: "Elf64_Shdr",
  utsname: "struct new_utsname",
  itimerval: "struct itimerval",
  user_msghdr: "struct msghdr"
}

/** `struct.field` → the C field, or undefined for padding that C leaves without a name. */
const C_FIELDS: Readonly<Record<string, string | undefined>> = {
  "sigevent.sigev_tid": "_sigev_un._tid",
  // newer than the headers of Debian 12
  "rseq.node_id": undefined,
  "rseq.mm_cid": undefined,
  "statx.stx_subvol": undefined // it is spare there
}

interface AnyStruct {
  readonly name: string
  readonly size: number
  readonly offsets: Readonly<Record<string, number>>
}

const isStruct = (value: unknown): value is AnyStruct =>
  typeof value === "object" && value !== null && "name" in value && "offsets" in value && "decode" in value

const directory = fileURLToPath(new URL("../../src/Abi/", import.meta.url))
const structs: Array<AnyStruct> = []
for (const file of readdirSync(directory).filter((name) => name.endsWith(".ts"))) {
  const module: Record<string, unknown> = await import(`${directory}${file}`)
  structs.push(...Object.values(module).filter(isStruct))
}

/** Our padding has no counterpart in C. */
const isPadding = (field: string): boolean => /^(_|pad|reserved|spare|unused)/.test(field)

const cField = (struct: string, field: string): string | undefined => {
  const key = `${struct}.${field}`
  return key in C_FIELDS ? C_FIELDS[key] : isPadding(field) ? undefined : field
}

/** What the compiler thinks: `name` → size, `name.field` → offset. */
const compile = (): ReadonlyMap<string, number> => {
  const lines = structs.flatMap((struct) => {
    const type = C_TYPES[struct.name] ?? `struct ${struct.name}`
    const fields = Object.keys(struct.offsets).flatMap((field) => {
      const name = cField(struct.name, field)
      return name === undefined
        ? []
        : [`printf("${struct.name}.${field} %lu\\n", __builtin_offsetof(${type}, ${name}));`]
    })
    return [`printf("${struct.name} %lu\\n", sizeof(${type}));`, ...fields]
  })
  const scratch = mkdtempSync("/tmp/layout-")
  try {
    const header = fileURLToPath(new URL("layout.h", import.meta.url))
    const source = `#include "${header}"\nint printf(const char *, ...);\nint main(void) {\n${lines.join("\n")}\n}\n`
    writeFileSync(`${scratch}/layout.c`, source)
    execFileSync("gcc", ["-std=gnu11", "-o", `${scratch}/layout`, `${scratch}/layout.c`], { stdio: "pipe" })
    const output = execFileSync(`${scratch}/layout`, { encoding: "utf8" })
    return new Map(
      output
        .trim()
        .split("\n")
        .map((line) => line.split(" "))
        .map(([name = "", value]) => [name, Number(value)])
    )
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

describe("ABI structs", () => {
  const compiled = compile()

  test("there are some", () => expect(structs.length).toBeGreaterThan(10))

  for (const struct of structs)
    test(struct.name, () => {
      expect({ size: struct.size }).toEqual({ size: compiled.get(struct.name) })
      const expected = Object.fromEntries(
        Object.entries(struct.offsets).map(([field, at]) => [field, compiled.get(`${struct.name}.${field}`) ?? at])
      )
      expect(struct.offsets).toEqual(expected)
    })
})
