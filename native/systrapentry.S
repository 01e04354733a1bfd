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
	movabs $STUB_BASE, %rbx
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
systrap_call:					/* (nr, a, b, c, d, f): f is where it is to be */
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
1:	mov $SYSTRAP_WORKER_SPIN, %ecx
2:	mov (%r15), %ebp
	cmp %ebp, %ebx
	jne 3f
	xor %edx, %edx
	cmp SYSTRAP_ORDER_SEEN(%r15), %ebx
	setne %dl				/* until the sentry has seen that we are done it counts us, too */
	cmp %edx, 8(%r8)			/* "wanted" */
	ja 4f
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

/*
 * A system call from a patched site: rcx is the site's record, ah and al have the flags. The thread's slot is at the gs
 * base; if the guest has put it elsewhere, the site's own `syscall` is executed. No stack is touched. Offsets are those
 * of struct systrap_slot, which begins with struct user_regs_struct.
 */
	.globl systrap_fast_published, systrap_fast_end, systrap_frame_ip
	.globl systrap_copy_in, systrap_copy_in_end, systrap_copy_in_failed
	.globl systrap_copy_out, systrap_copy_out_end, systrap_copy_out_failed
	.globl systrap_watch, systrap_unwatched, systrap_push, systrap_pushed

	/* Copies edx bytes from rsi to rdi; destroys rax, rbx, rcx, rsi, rdi. The direction flag is the guest's, and can't be seen
	 * but by what a string instruction does: only if that is what is wanted, and there is much to copy, by one of those. */
	.macro COPY
	cmp $SYSTRAP_BY_STRING, %edx
	jb 80f
	mov %rsi, %rbx
	mov %r11, %rsi
	lodsb
	cmp %r11, %rsi
	mov %rbx, %rsi
	jb 80f
	mov %edx, %ecx
	rep movsb
	jmp 83f
80:	xor %ecx, %ecx
81:	lea 8(%rcx), %eax
	cmp %edx, %eax
	ja 82f
	mov (%rsi, %rcx), %rbx
	mov %rbx, (%rdi, %rcx)
	mov %eax, %ecx
	jmp 81b
82:	cmp %edx, %ecx
	jae 83f
	movzbl (%rsi, %rcx), %ebx
	mov %bl, (%rdi, %rcx)
	inc %ecx
	jmp 82b
83:
	.endm

	.org SYSTRAP_AT_FAST
call:	syscall					/* all of this path's; r15: where to go on, which finds the slot again */
	jmp *%r15
slow:
	add $0x7f, %al
	sahf
	mov SYSTRAP_RECORD_NR(%rcx), %eax
any_slow:
	mov SYSTRAP_RECORD_RETURN(%rcx), %r11
	lea -2(%r11), %r11
	jmp *%r11

	/* Where the window of the slot in r11 is. */
	.macro WINDOW to
	movabs $-SYSTRAP_SLOTS, \to
	add %r11, \to
	shl $SYSTRAP_WINDOW_SHIFT, \to
	movabs $SYSTRAP_WINDOWS, %rbx
	add %rbx, \to
	.endm

	/* All registers but rcx, r11 and rip, and the arithmetic flags, from the slot in r11. */
	.macro RESTORE
	mov 144(%r11), %ebx
	bt $11, %ebx
	setc %al
	mov %bl, %ah
	add $0x7f, %al
	sahf
	mov 0(%r11), %r15
	mov 8(%r11), %r14
	mov 16(%r11), %r13
	mov 24(%r11), %r12
	mov 32(%r11), %rbp
	mov 40(%r11), %rbx
	mov 56(%r11), %r10
	mov 64(%r11), %r9
	mov 72(%r11), %r8
	mov 80(%r11), %rax
	mov 96(%r11), %rdx
	mov 104(%r11), %rsi
	mov 112(%r11), %rdi
	mov 152(%r11), %rsp
	.endm

	/* The thread's slot to r11; to `slow` if it can't be found. */
	.macro SLOT slow
	rdgsbase %r11
	shr $SYSTRAP_SLOTS_SHIFT, %r11
	cmp $(SYSTRAP_SLOTS >> SYSTRAP_SLOTS_SHIFT), %r11d
	jne \slow
	rdgsbase %r11
	.endm

	.org SYSTRAP_AT_ANY
	SLOT any_slow
	mov %rdx, 96(%r11)
	mov %rax, 80(%r11)
	mov %rax, 120(%r11)
	xor %eax, %eax
	jmp save
	.org SYSTRAP_AT_ENTRY
	SLOT slow
	mov %rdx, 96(%r11)
	mov SYSTRAP_RECORD_NR(%rcx), %edx
	mov %rdx, 80(%r11)
	mov %rdx, 120(%r11)
save:	mov %r15, 0(%r11)
	mov %r14, 8(%r11)
	mov %r13, 16(%r11)
	mov %r12, 24(%r11)
	mov %rbp, 32(%r11)
	mov %rbx, 40(%r11)
	mov %r10, 56(%r11)
	mov %r9, 64(%r11)
	mov %r8, 72(%r11)
	mov %rsi, 104(%r11)
	mov %rdi, 112(%r11)
	mov %rsp, 152(%r11)
	movzbl %ah, %ebx
	and $0xd5, %ebx				/* lahf sets a fixed bit, too */
	movzbl %al, %edx
	shl $11, %edx
	or %edx, %ebx
	lea SYSTRAP_STACK_OFFSET(%r11), %rsp	/* the other flags; below the signal stack is a word to spare */
	pushfq
	pop %rdx
	and $~0x8d5, %edx
	or %edx, %ebx
	mov %rbx, 144(%r11)
	mov %rbx, 48(%r11)
	mov SYSTRAP_RECORD_RETURN(%rcx), %rdx
	mov %rdx, 128(%r11)
	mov %rdx, 88(%r11)
	rdfsbase %rdx
	mov %rdx, 168(%r11)
	mov %r11, 176(%r11)
	movl $0, 344(%r11)			/* what is watched: watch, watched, has_watched */
	mov 328(%r11), %rax
	test %rax, %rax
	jz systrap_unwatched
systrap_watch:
	mov (%rax), %rax
	mov %rax, 336(%r11)
	movl $1, 344(%r11)
systrap_unwatched:
	movl $0, 296(%r11)			/* what it points to: in_address, in_length */
	movzwl SYSTRAP_RECORD_POINTER(%rcx), %eax
	test %eax, %eax
	jz systrap_copy_in_failed
	mov SYSTRAP_RECORD_WHEN(%rcx), %edx
	cmp %edx, 120(%r11)
	jne systrap_copy_in_failed
	mov (%r11, %rax), %rsi
	test %rsi, %rsi
	jz systrap_copy_in_failed
	mov %rsi, 288(%r11)
	lea SYSTRAP_IN(%r11), %rdi
	movzwl SYSTRAP_RECORD_MOST(%rcx), %edx
	cmpw $0, SYSTRAP_RECORD_STRING(%rcx)
	jne 2f
	movzwl SYSTRAP_RECORD_COUNT(%rcx), %eax
	test %eax, %eax
	jz 1f
	mov (%r11, %rax), %rax
	cmp $SYSTRAP_WINDOW, %rax
	ja systrap_copy_in_failed		/* too much for one piece: the sentry does it */
	cmp %rdx, %rax
	mov %eax, %edx
	jbe 1f
	WINDOW %rdi
systrap_copy_in:
1:	COPY
	mov %edx, %ecx
	jmp 3f
2:	xor %ecx, %ecx
4:	movzbl (%rsi, %rcx), %eax
	mov %al, (%rdi, %rcx)
	inc %ecx
	test %al, %al
	jz 3f
	cmp %edx, %ecx
	jb 4b
3:	mov %ecx, 296(%r11)
systrap_copy_in_end:
systrap_copy_in_failed:
	movl $SYSTRAP_FAST_CALL, 224(%r11)
	movabs $SYSTRAP_NOTICE, %r8
	mov $SYSTRAP_EVENT, %eax
	xchg %eax, 216(%r11)			/* before "sleeping" is read; the sentry does the reverse */
systrap_fast_published:
	cmpl $0, (%r8)
	jne 6f
2:	rdgsbase %r11
	mov 4(%r8), %ecx
	inc %ecx
3:	mov 216(%r11), %eax
	test %eax, %eax
	jz 5f
	and $SYSTRAP_EVENT, %eax		/* we are counted ourselves */
	cmp %eax, 8(%r8)			/* "wanted" */
	jbe 10f
	test %eax, %eax
	jz 4f
	sub $SYSTRAP_HURRY, %ecx
10:	pause
	dec %ecx
	jg 3b
4:	lea 16f(%rip), %r15
	jmp ring
16:	mov $SYSTRAP_YIELDS, %r14d
	lea 11f(%rip), %r15
13:	mov $24, %eax				/* sched_yield() */
	jmp call
11:	rdgsbase %r11
	mov 216(%r11), %eax
	test %eax, %eax
	jz 5f
	dec %r14d
	jnz 13b
12:	mov $1, %eax
	xchg %eax, 220(%r11)			/* before ring and state are read; the sentry does the reverse */
	lea 15f(%rip), %r15
	jmp ring
15:	lea 7f(%rip), %r15
7:	rdgsbase %r11
	movzbl 312(%r11), %edi			/* futex(bell, FUTEX_WAIT_BITSET, its count, NULL, , bit) */
	add %r8, %rdi
	mov (%rdi), %edx			/* before the state: who changes that counts then */
	mov 216(%r11), %eax
	test %eax, %eax
	jz 8f
	mov $9, %esi
	mov 316(%r11), %r9d
	mov $202, %eax
	jmp call
	/* Rings the bell that we have promised to ring. */
ring:	rdgsbase %r11
	xor %r10d, %r10d
	xor %edi, %edi
	xchg %dil, 320(%r11)
	movzbl %dil, %edi			/* "ring": futex(bell, FUTEX_WAKE_BITSET, INT_MAX, , , bit) */
	test %edi, %edi
	jz 14f
	add %r8, %rdi
	mov $10, %esi
	mov $0x7fffffff, %edx
	mov 324(%r11), %r9d
	mov $202, %eax
	jmp call
14:	jmp *%r15
6:	mov %r11, %rsi				/* write(wake, slot, 1) */
	mov $SYSTRAP_FD_WAKE, %edi
	mov $1, %edx
	lea 2b(%rip), %r15
	mov $1, %eax
	jmp call
8:	movl $0, 220(%r11)
5:	cmpl $0, 252(%r11)
	jne 9f
	mov 300(%r11), %edx			/* what comes out: out_length, out_address */
	test %edx, %edx
	jz 1f
	lea SYSTRAP_OUT(%r11), %rsi
	cmp $SYSTRAP_COPY, %edx
	jbe 2f
	cmp $SYSTRAP_WINDOW, %edx
	ja 1f
	WINDOW %rsi
	mov 364(%r11), %eax			/* out_skipped */
	add %rax, %rsi
2:	mov 304(%r11), %rdi
systrap_copy_out:
	COPY
systrap_copy_out_end:
	movl $0, 300(%r11)
1:	RESTORE
	mov 128(%r11), %rcx
	mov 48(%r11), %r11
	jmp *%rcx
9:	cmpl $SYSTRAP_HANDLER, 252(%r11)
	jne 9f
	/* A handler of the guest's is entered: its frame is what comes out, but for the extended state. */
	cld
	mov 300(%r11), %ecx
	cmp $SYSTRAP_COPY, %ecx
	ja systrap_pushed
	lea SYSTRAP_OUT(%r11), %rsi
	mov 304(%r11), %rdi
	mov 348(%r11), %r8d			/* state_offset */
	add %rdi, %r8
	mov 352(%r11), %eax			/* features */
	mov 356(%r11), %edx
systrap_push:
	rep movsb
	xsave64 (%r8)
	orq $3, 512(%r8)			/* as Linux has it, of what is in use or not: who edits x87 or SSE need not say so */
systrap_pushed:
	mov 352(%r11), %eax
	mov 356(%r11), %edx
	xrstor64 initial_state(%rip)
	movl $0, 300(%r11)
	movl $SYSTRAP_GO, 252(%r11)		/* before "interrupted" is read; who interrupts does the reverse */
	xor %eax, %eax
	xchg %eax, 360(%r11)			/* interrupted */
	test %eax, %eax
	jnz 8f
	RESTORE
	mov 88(%r11), %rcx
	mov 48(%r11), %r11
	jmp *%gs:128
systrap_fast_end:
9:	cmpl $SYSTRAP_EXIT, 252(%r11)
	mov $60, %eax
	je call
systrap_copy_out_failed:			/* out_length says so */
8:	mov $-1, %rax
	syscall					/* trapped: the handler gets the frame that the sentry wants */
systrap_frame_ip:
	ud2

	.align 64
initial_state:					/* no component is in it; but MXCSR is loaded all the same */
	.word 0x37f
	.zero 22
	.long 0x1f80
	.zero 548

	/* Of the handler: (to, from, size). What is left when it faults, it returns; else 0. */
	.globl systrap_copy, systrap_copying, systrap_copied
systrap_copy:
	mov %rdx, %rcx
systrap_copying:
	rep movsb
systrap_copied:
	mov %rcx, %rax
	ret

	.section .note.GNU-stack,"",@progbits
