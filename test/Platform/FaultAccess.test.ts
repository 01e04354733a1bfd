import { assert, it } from "@effect/vitest"
import { faultAccess } from "../../src/Platform/FaultAccess.ts"

const at = { rip: 0x1000, rsp: 0x8000, rdi: 0x5000 }

it.each([
  ["mov (%rdi),%rax", "48 8b 07", "read"],
  ["mov %rax,(%rdi)", "48 89 07", "write"],
  ["movl $0,(%rdi)", "c7 07 00 00 00 00", "write"],
  ["movb $1,0x8", "c6 04 25 08 00 00 00 01", "write"],
  ["cmpl $0,(%rdi)", "83 3f 00", "read"],
  ["addl $1,(%rdi)", "83 07 01", "write"],
  ["cmp %eax,(%rdi)", "39 07", "read"],
  ["lock xadd %eax,(%rdi)", "f0 0f c1 07", "write"],
  ["lock cmpxchg %ecx,(%rdi)", "f0 0f b1 0f", "write"],
  ["movzbl (%rdi),%eax", "0f b6 07", "read"],
  ["movups %xmm0,(%rdi)", "0f 11 07", "write"],
  ["movups (%rdi),%xmm0", "0f 10 07", "read"],
  ["movdqa %xmm0,(%rdi)", "66 0f 7f 07", "write"],
  ["movq (%rdi),%xmm0", "f3 0f 7e 07", "read"],
  ["vmovdqu %ymm0,(%rdi)", "c5 fe 7f 07", "write"],
  ["vmovdqu (%rdi),%ymm0", "c5 fe 6f 07", "read"],
  ["vmovdqu64 %zmm16,(%rdi)", "62 e1 fe 48 7f 07", "write"],
  ["vmovdqu64 (%rdi),%zmm16", "62 e1 fe 48 6f 07", "read"],
  ["rep stosb", "f3 aa", "write"],
  ["push %rbp", "55", "write"],
  ["call", "e8 00 00 00 00", "write"],
  ["pop %rbp", "5d", "read"],
  ["incl %fs:(%rdi)", "64 ff 07", "write"],
  ["fstpl (%rdi)", "dd 1f", "write"],
  ["fldl (%rdi)", "dd 07", "read"],
  ["sete (%rdi)", "0f 94 07", "write"]
] as const)("%s", (_name, hex, expected) => {
  const code = Uint8Array.from([...hex.split(" ").map((byte) => parseInt(byte, 16)), ...Array(15).fill(0x90)]).slice(
    0,
    15
  )
  assert.strictEqual(faultAccess(code, 0x7ff0, at), expected)
})

it("movs writes where rdi points and reads elsewhere", () => {
  const code = Uint8Array.from([0xf3, 0xa4, ...Array(13).fill(0x90)])
  assert.strictEqual(faultAccess(code, at.rdi, at), "write")
  assert.strictEqual(faultAccess(code, 0x6000, at), "read")
})

it("an instruction that can't be read was to be executed", () => {
  assert.strictEqual(faultAccess(new Uint8Array(0), at.rip, at), "execute")
  assert.strictEqual(faultAccess(Uint8Array.of(0x48, 0x8b), at.rip + 2, at), "execute")
})

it("no bytes are too odd", () => {
  for (let i = 0; i < 10_000; i++) {
    const code = Uint8Array.from({ length: Math.floor(Math.random() * 16) }, () => Math.random() * 256)
    assert.isString(faultAccess(code, 0x5555, at))
  }
})
