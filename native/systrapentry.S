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

	.section .note.GNU-stack,"",@progbits
