import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Aux from "../../src/Abi/AuxVector.ts"
import { ET_DYN, ET_EXEC } from "../../src/Abi/Elf.ts"
import { E2BIG, ELIBBAD, ENOENT, ENOEXEC, ENOMEM } from "../../src/Abi/Errno.ts"
import { Reg } from "../../src/Abi/Registers.ts"
import type { LoadedProgram } from "../../src/Loader/Loader.ts"
import { commandName, MAX_ARG_STRLEN, prepare, release } from "../../src/Loader/Loader.ts"
import { visibleStart } from "../../src/Memory/Vma.ts"
import { CODE, headerPatches, makeElf, makeInterpreter, memoryFiles, patched } from "./ElfFiles.ts"
import { loadFiles, type LoadOptions, TASK_SIZE } from "./Loading.ts"

const BASE = 0x40_0000
const fixedProgram = makeElf({ type: ET_EXEC, base: BASE })
const dynamicProgram = makeElf({ type: ET_DYN, base: 0, interpreter: "/lib/ld.so" })
const files = { "./program": dynamicProgram, "/lib/ld.so": makeInterpreter() }

const loaded = (options: LoadOptions) => {
  const result = loadFiles(options)
  if (typeof result.committed !== "object") throw new Error(`not loaded: ${String(result.prepared)}`)
  return { ...result, program: result.committed }
}

const areas = ({ memoryManager }: LoadedProgram) =>
  [...memoryManager.vmas()].map((vma) => [visibleStart(vma), vma.end, vma.protection, memoryManager.nameOf(vma)])

/** The stack as the program sees it. */
const readStack = (options: LoadOptions) => {
  const { context, program, space } = loaded(options)
  const at = context.registers.ulong(Reg.rsp)
  const bytes = Buffer.from(space.writes.at(-1)!.bytes)
  const word = (address: number): number => Number(bytes.readBigUInt64LE(address - at))
  const text = (address: number): string => bytes.toString("latin1", address - at, bytes.indexOf(0, address - at))
  let cursor = at + 8
  const pointers = (): Array<number> => {
    const result: Array<number> = []
    for (; word(cursor) !== 0; cursor += 8) result.push(word(cursor))
    cursor += 8
    return result
  }
  const argv = pointers()
  const envp = pointers()
  const auxv = new Map<number, number>()
  for (; word(cursor) !== 0; cursor += 16) auxv.set(word(cursor), word(cursor + 8))
  return { argc: word(at), argv, envp, auxv, text, bytes, at, image: program.memoryManager.image }
}

describe("Loader", () => {
  it("maps a program at fixed addresses, its bss, and clears the rest of its last page", () => {
    const { context, program, space } = loaded({ files: { "./program": fixedProgram } })
    assert.deepStrictEqual(areas(program), [
      [BASE, BASE + 0x1000, 1, "./program"],
      [BASE + 0x1000, BASE + 0x2000, 5, "./program"],
      [BASE + 0x2000, BASE + 0x3000, 3, "./program"],
      [BASE + 0x3000, BASE + 0x5000, 3, ""],
      [TASK_SIZE - 33 * 4096, TASK_SIZE, 3, "[stack]"]
    ])
    assert.lengthOf(space.calls, 1, "one change of the address space")
    assert.deepStrictEqual(space.writes[0]?.address, BASE + 0x2010)
    assert.strictEqual(space.writes[0]?.bytes.length, 0xff0)
    assert.strictEqual(program.memoryManager.image.startBrk, BASE + 0x5000)
    const { registers } = context
    assert.strictEqual(registers.ulong(Reg.rip), BASE + CODE)
    assert.strictEqual(registers.ulong(Reg.rsp) % 16, 0)
    assert.deepStrictEqual(
      [registers.words[Reg.cs], registers.words[Reg.ss], registers.words[Reg.eflags], registers.words[Reg.rdx]],
      [0x33n, 0x2bn, 0x202n, 0n]
    )
    assert.strictEqual(registers.int(Reg.orig_rax), -1)
  })

  it("maps a position-independent program and its interpreter in one change, and starts the interpreter", () => {
    const { context, program, space } = loaded({ files })
    assert.lengthOf(space.calls, 1)
    const bases = areas(program).filter(([, , protection]) => protection === 1)
    const [main, interpreter] = bases.map(([start]) => Number(start))
    assert.strictEqual(main, 0x5555_5555_3000)
    assert.strictEqual(context.registers.ulong(Reg.rip), interpreter! + CODE)
    const { auxv } = readStack({ files })
    assert.strictEqual(auxv.get(Aux.AT_BASE), interpreter)
    assert.strictEqual(auxv.get(Aux.AT_ENTRY), main! + CODE)
    assert.strictEqual(auxv.get(Aux.AT_PHDR), main! + 64)
    assert.strictEqual(auxv.get(Aux.AT_PHNUM), 5)
  })

  it("puts arguments, environment and auxiliary vector on the stack as Linux does", () => {
    const argv = ["./program", "", "two words", "\xff\xfe"]
    const envp = ["A=1", "EMPTY="]
    const stack = readStack({ files, argv, envp, randomize: true })
    assert.strictEqual(stack.at % 16, 0)
    assert.strictEqual(stack.argc, 4)
    assert.deepStrictEqual(stack.argv.map(stack.text), argv)
    assert.deepStrictEqual(stack.envp.map(stack.text), envp)
    const { auxv, image } = stack
    assert.strictEqual(stack.text(auxv.get(Aux.AT_EXECFN)!), "./program")
    assert.strictEqual(stack.text(auxv.get(Aux.AT_PLATFORM)!), "x86_64")
    const random = auxv.get(Aux.AT_RANDOM)! - stack.at
    assert.deepStrictEqual(
      [...stack.bytes.subarray(random, random + 16)],
      Array.from({ length: 16 }, () => 0xa5)
    )
    assert.deepStrictEqual(
      [Aux.AT_UID, Aux.AT_EUID, Aux.AT_GID, Aux.AT_EGID, Aux.AT_SECURE, Aux.AT_PAGESZ, Aux.AT_CLKTCK].map((type) =>
        auxv.get(type)
      ),
      [1000, 1001, 100, 101, 0, 4096, 100]
    )
    assert.strictEqual(stack.argv[0], image.argStart)
    assert.strictEqual(image.argEnd, image.envStart)
    assert.strictEqual(stack.envp[0], image.envStart)
    assert.strictEqual(image.envEnd, auxv.get(Aux.AT_EXECFN))
    assert.strictEqual(image.startStack, stack.at)
    assert.lengthOf(image.auxv, (auxv.size + 1) * 16)
  })

  it("maps the stack to its limit, executable if the program asks for it", () => {
    const elf = makeElf({ type: ET_EXEC, base: BASE, executableStack: true })
    const { program } = loaded({ files: { "./program": elf }, stackLimit: 1024 * 1024 })
    const stack = [...program.memoryManager.vmas()].at(-1)!
    assert.strictEqual(stack.end - stack.start, 1024 * 1024)
    assert.strictEqual(stack.protection, 7)
    assert.strictEqual(program.memoryManager.totals().stack, 33 * 4096)
    const endless = loaded({ files: { "./program": elf }, stackLimit: Infinity })
    assert.isBelow([...endless.program.memoryManager.vmas()].at(-1)!.ungrown, 2 ** 27)
  })

  it("limits one string to 128 KiB, all together to a quarter of the stack and 6 MiB", () => {
    const prepared = (options: Partial<LoadOptions>) => loadFiles({ files, ...options }).prepared
    const long = "x".repeat(MAX_ARG_STRLEN - 1)
    assert.isObject(prepared({ argv: [long] }))
    assert.strictEqual(prepared({ argv: [`${long}x`] }), -E2BIG)
    assert.strictEqual(prepared({ envp: [`${long}x`] }), -E2BIG)
    assert.isObject(prepared({ envp: Array.from({ length: 15 }, () => long) }))
    assert.strictEqual(prepared({ envp: Array.from({ length: 16 }, () => long) }), -E2BIG)
    assert.isObject(prepared({ envp: Array.from({ length: 47 }, () => long), stackLimit: Infinity }))
    assert.strictEqual(prepared({ envp: Array.from({ length: 48 }, () => long), stackLimit: Infinity }), -E2BIG)
    assert.strictEqual(prepared({ argv: Array.from({ length: 20000 }, () => ""), stackLimit: 0 }), -E2BIG)
  })

  it("fails with an errno, and closes its files, when a part is missing or no program", () => {
    const cases: ReadonlyArray<readonly [number, LoadOptions["files"]]> = [
      [-ENOENT, {}],
      [-ENOEXEC, { "./program": "" }],
      [-ENOEXEC, { "./program": "#!\n" }],
      [-ENOENT, { "./program": "#!./none\n" }],
      [-ENOENT, { "./program": dynamicProgram }],
      [-ELIBBAD, { "./program": dynamicProgram, "/lib/ld.so": "x".repeat(64) }]
    ]
    for (const [expected, given] of cases) {
      const { opened, prepared } = loadFiles({ files: given })
      assert.strictEqual(prepared, expected)
      assert.isTrue(opened.every((file) => file.closed))
    }
  })

  it("holds its files until they are unmapped, or the program is not wanted after all", () => {
    const { opened, program } = loaded({ files })
    assert.isFalse(opened.some((file) => file.closed))
    program.memoryManager.leave()
    assert.isTrue(opened.every((file) => file.closed))
    const { open, opened: unwanted } = memoryFiles({ ...files, "./script": "#!./program\n" })
    const prepared = prepare({ open, path: "./script", argv: ["x"], envp: [], stackLimit: 0 })
    assert.isTrue(unwanted[0]?.closed, "a script is closed once it is read")
    if (typeof prepared === "object") release(prepared)
    assert.deepStrictEqual(
      unwanted.map((file) => [file.name, file.closed]),
      [
        ["./script", true],
        ["./program", true],
        ["/lib/ld.so", true]
      ]
    )
  })

  it("gives a program without arguments an empty one, and names it after its file", () => {
    assert.strictEqual(readStack({ files, argv: [] }).argc, 1)
    assert.strictEqual(commandName("/usr/bin/a-very-long-program-name"), "a-very-long-pro")
    const script = loaded({
      files: { "./dir/script": "#!./program\n", "./program": fixedProgram },
      path: "./dir/script"
    })
    assert.strictEqual(script.program.commandName, "script")
    assert.strictEqual(script.program.memoryManager.image.exe?.describe(), "./program")
  })

  it("passes on the host's refusal once the old program is gone", () => {
    const { committed, opened } = loadFiles({ files, refuse: -ENOMEM })
    assert.strictEqual(committed, -ENOMEM)
    assert.isTrue(opened.every((file) => file.closed))
  })

  it("survives any damage to the headers", () => {
    const patches = headerPatches(dynamicProgram)
    const patch = fc.constantFrom(...patches)
    fc.assert(
      fc.property(
        fc.array(patch, { minLength: 1, maxLength: 4 }),
        fc.array(patch, { maxLength: 3 }),
        (first, second) => {
          const program = first.reduce(patched, dynamicProgram)
          const interpreter = second.reduce(patched, makeInterpreter())
          const { committed, opened } = loadFiles({
            files: { "./program": program, "/lib/ld.so": interpreter },
            randomize: true
          })
          if (typeof committed === "object") {
            for (const vma of committed.memoryManager.vmas()) {
              assert.isTrue(vma.start >= 65536 && vma.start < vma.end && vma.end <= TASK_SIZE)
            }
            assert.isTrue(committed.entry >= 0 && committed.entry < TASK_SIZE)
            committed.memoryManager.leave()
          }
          assert.isTrue(opened.every((file) => file.closed))
        }
      ),
      { numRuns: 1500 }
    )
  })
})
