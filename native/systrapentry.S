/*
 * Entry points of the code that guest threads of the fast platform run instead of system calls, at fixed places
 * (systrap.h). Everything here can be jumped to by a guest with any registers: all that gains it is a return from a
 * signal frame of its own making, a wait, a wake-up, or its own end (systrapcode.c, the filter).
 */
#include "systrap.h"

	.section .text.entry, "ax"
	.globl _start, systrap_call
_start:
	mov $11, %eax				/* munmap: all below the code, the slots' place included, ... */
	xor %edi, %edi
	movabs $SYSTRAP_CODE, %rsi
	syscall
	mov $11, %eax				/* ... and what is between the code and the stub */
	movabs $(SYSTRAP_CODE + SYSTRAP_CODE_SIZE), %rdi
	mov $(STUB_BASE - SYSTRAP_CODE - SYSTRAP_CODE_SIZE), %esi
	syscall
	int3
	ud2

	.org SYSTRAP_AT_BIRTH
1:	mov $-1, %rax
	syscall					/* trapped; the sentry then sets every register */
	jmp 1b

	.org SYSTRAP_AT_RETURN
	mov $15, %rax
	syscall
	ud2

	.org SYSTRAP_AT_CALL
systrap_call:					/* (nr, a, b, c, d) */
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	mov %rcx, %rdx
	mov %r8, %r10
	jmp 1f
	.org SYSTRAP_AT_CALL + 0x1e
1:	syscall
	ret

	.org SYSTRAP_AT_HANDLER
	jmp systrap_handler

	.org SYSTRAP_AT_FILTER
	.globl systrap_program
systrap_program:
	.short SYSTRAP_FILTER_LENGTH
	.zero 6
	.quad systrap_filter

	.org SYSTRAP_AT_MASK
	.quad -1

/*
 * The worker makes mapping changes: it waits for a new sequence number in the order page, makes the system calls listed
 * there up to the first that fails, and reports. Nothing that guests can write decides what it does: it has no
 * stack, takes no signals and keeps its state in registers. ebx: the last number done, r13: its slot.
 */
	.org SYSTRAP_AT_WORKER
	mov $14, %eax				/* rt_sigprocmask(SIG_SETMASK, all, NULL, 8) */
	mov $2, %edi
	movabs $(SYSTRAP_CODE + SYSTRAP_AT_MASK), %rsi
	xor %edx, %edx
	mov $8, %r10d
	syscall
	xor %ebx, %ebx
	movabs $SYSTRAP_SLOTS, %r13
	movabs $SYSTRAP_NOTICE, %r8
1:	mov 8(%r8), %edx			/* "wakes": others need the CPU */
	mov $SYSTRAP_WORKER_SPIN, %ecx
2:	mov (%r15), %ebp
	cmp %ebp, %ebx
	jne 3f
	cmp 8(%r8), %edx
	jne 4f
	pause
	dec %ecx
	jnz 2b
4:	mov $202, %eax				/* futex(orders, FUTEX_WAIT, ebx, NULL) */
	mov %r15, %rdi
	xor %esi, %esi
	mov %ebx, %edx
	xor %r10d, %r10d
	syscall
	jmp 1b
3:	mov 4(%r15), %r14d
	lea SYSTRAP_ORDER_LIST(%r15), %r12
5:	mov 0(%r12), %rax
	mov 8(%r12), %rdi
	mov 16(%r12), %rsi
	mov 24(%r12), %rdx
	mov 32(%r12), %r10
	mov 40(%r12), %r8
	mov 48(%r12), %r9
	syscall
	cmp $-4095, %rax
	jae 6f
	add $56, %r12
	dec %r14d
	jnz 5b
6:	mov %rax, SYSTRAP_RESULT(%r13)
	mov %ebp, %ebx
	xchg %ebp, SYSTRAP_DONE(%r13)		/* before "sleeping" is read; the sentry does the reverse */
	movabs $SYSTRAP_NOTICE, %r8
	cmpl $0, (%r8)
	je 1b
	mov $1, %eax				/* write(wake, slot, 1) */
	mov $SYSTRAP_FD_WAKE, %edi
	mov %r13, %rsi
	mov $1, %edx
	syscall
	jmp 1b

	.section .note.GNU-stack,"",@progbits
