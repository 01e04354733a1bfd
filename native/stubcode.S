/*
 * The code that stays in every guest's address space, at STUB_CODE. No stack, no data.
 *
 * stub_code:  the zygote jumps here when it has installed its filter, with the stub's base in rdi; drops everything
 *             below that, and parks with the base in rbx.
 * stub_run:   makes r14 system calls from the order list at r15, up to the first that fails, and parks.
 * stub_exchange: puts ecx in place of eax in the word at rdi, if that holds eax, and parks; eax holds what was there.
 * stub_update: puts ((old & esi) ^ edx) + r8d in place of the word at rdi, in at most r9d tries, and parks; eax holds the
 *              old word; r9d is 0 if others changed it all the while.
 * "Parks" is a breakpoint, which the tracer sees; rax holds the last result.
 *
 * A guest that jumps here gains nothing: whatever it executes runs under PTRACE_SYSEMU, this code's `syscall` too.
 */
#include "stub.h"

	.section .rodata
	.balign 4096
	.globl stub_code, stub_run, stub_syscall, stub_exchange, stub_update, stub_code_end
	.hidden stub_code, stub_run, stub_syscall, stub_exchange, stub_update, stub_code_end
stub_code:
	mov %rdi, %rbx
	mov $11, %eax			/* munmap(0, base) */
	xor %edi, %edi
	mov %rbx, %rsi
	syscall
	int3
	ud2
	.balign 64
stub_run:
1:	mov 0(%r15), %rax
	mov 8(%r15), %rdi
	mov 16(%r15), %rsi
	mov 24(%r15), %rdx
	mov 32(%r15), %r10
	mov 40(%r15), %r8
	mov 48(%r15), %r9
stub_syscall:
	syscall
	cmp $-4095, %rax
	jae 2f
	add $56, %r15
	dec %r14
	jnz 1b
2:	int3
	ud2
	.balign 64
stub_exchange:
	lock cmpxchg %ecx, (%rdi)
	int3
	ud2
	.balign 64
stub_update:
	mov (%rdi), %eax
1:	mov %eax, %ecx
	and %esi, %ecx
	xor %edx, %ecx
	add %r8d, %ecx
	lock cmpxchg %ecx, (%rdi)
	je 2f
	dec %r9d
	jnz 1b
2:	int3
	ud2
	.balign 4096, 0xcc
stub_code_end:

	.section .note.GNU-stack,"",@progbits
