/*
 * The fast platform's share of a guest's address space: code that guest threads run instead of system calls, and one
 * slot of memory a guest thread, which they share with the sentry. Shared by C and assembly;
 * src/Platform/SystrapLayout.ts states the same numbers, test/Platform/SystrapLayout.test.ts compares.
 *
 *     SYSTRAP_WINDOWS read-write, a file of its own for each address space, mapped by the sentry too: for every slot a
 *                     window, through which larger pieces are copied
 *     SYSTRAP_SLOTS   the same, the next part of that file
 *     SYSTRAP_ORDERS  read-only, the last page of that file: what the worker thread is to do
 *     SYSTRAP_CODE    read-execute, sealed: systrapentry.S and systrapcode.c
 *     STUB_BASE …     as on the ptrace platform: stub.h
 */
#ifndef SENTRY_SYSTRAP_H
#define SENTRY_SYSTRAP_H

#include "stub.h"

#define SYSTRAP_BASE SYSTRAP_WINDOWS /* what guests can map ends here */
#define SYSTRAP_WINDOWS 0x7ffff0000000
#define SYSTRAP_WINDOW 0x10000 /* bytes of a window */
#define SYSTRAP_WINDOW_SHIFT 1 /* it is as many times as large as a slot */
#define SYSTRAP_SLOTS 0x7ffff8000000
#define SYSTRAP_SLOT 0x8000 /* bytes of a slot */
#define SYSTRAP_SLOT_COUNT 2048
#define SYSTRAP_SLOTS_SHIFT 26 /* the slots are all that has these upper bits */
#define SYSTRAP_ORDERS 0x7ffffc000000
/* In a slot, behind struct systrap_slot: the signal stack, which has room for a second frame above which a copy has
 * faulted, and what is copied in and out. */
#define SYSTRAP_STACK_OFFSET 512
#define SYSTRAP_STACK_END 0x4000
#define SYSTRAP_IN 0x4000
#define SYSTRAP_OUT 0x6000
#define SYSTRAP_COPY 0x2000 /* bytes of either; what is more goes through the slot's window */
#define SYSTRAP_BY_STRING 256 /* from so many bytes on string instructions are faster */
#define SYSTRAP_ORDER_LIST 64 /* its orders begin here; before that, 32 bits each, their sequence number and count, ... */
#define SYSTRAP_ORDER_SEEN 8  /* ... and the last sequence number that the sentry has seen done */
#define SYSTRAP_WORKER_SPIN 600
#define SYSTRAP_CODE 0x7fffffff0000
#define SYSTRAP_CODE_SIZE 0x4000

/* Offsets in the code. */
#define SYSTRAP_AT_PARK 0x000    /* the zygote: unmaps all but us, and parks */
#define SYSTRAP_AT_BIRTH 0x080   /* a new guest thread: makes a system call that no guest can make */
#define SYSTRAP_AT_RETURN 0x0c0  /* rt_sigreturn */
#define SYSTRAP_AT_CALL 0x100    /* futex, write to the wake-up pipe, exit */
#define SYSTRAP_AT_HANDLER 0x140 /* of all signals */
#define SYSTRAP_AT_FILTER 0x180  /* struct sock_fprog of guest threads */
#define SYSTRAP_AT_MASK 0x190    /* a signal set: all */
#define SYSTRAP_AT_WORKER 0x1c0  /* the worker thread's loop; r15: SYSTRAP_ORDERS */
#define SYSTRAP_AT_FAST 0x300    /* patched call sites come here */
#define SYSTRAP_AT_ENTRY 0x360   /* those whose call is known */
#define SYSTRAP_AT_ANY 0x320     /* those that have it in rax, where nobody cares about the flags */
/* In the worker's slot, which is the first: the sequence number it has done, and the last result. */
#define SYSTRAP_DONE 216
#define SYSTRAP_RESULT 240
#define SYSTRAP_FILTER_LENGTH 33
/* Just past the only two `syscall` instructions from where a guest thread's system calls get through. */
#define SYSTRAP_IP_RETURN (SYSTRAP_CODE + 0x0c9)
#define SYSTRAP_IP_CALL (SYSTRAP_CODE + 0x120)

#define SYSTRAP_IP_FAST (SYSTRAP_CODE + 0x302)

/*
 * Call sites `mov $nr, %eax; syscall` become `jmp *RECORD`, where RECORD's upper half is such that the last two bytes
 * are still `syscall`: only the five bytes of the mov change. A record: a pointer to its code, nr, the code, which saves
 * the flags in ah and al and jumps to SYSTRAP_AT_ENTRY with the record in rcx, and the return address. Other forms
 * (src/Platform/SystrapSite.ts) come by way of a prologue, behind the records, which does what the patch has replaced; who
 * is interrupted there has not begun to call yet, and may never do.
 */
#define SYSTRAP_RECORDS 0x050f0000
#define SYSTRAP_RECORDS_SIZE 0x8000
#define SYSTRAP_PROLOGUES 0x050f8000
#define SYSTRAP_PROLOGUES_SIZE 0x8000
#define SYSTRAP_RECORD_NR 8
#define SYSTRAP_RECORD_RETURN 40
/* What the stub copies in, 16 bits each: the offset in the slot of the register that points to it (0: nothing is copied),
 * that of the register that counts it (0: none does), the most bytes, and whether a NUL ends it. */
#define SYSTRAP_RECORD_POINTER 48
#define SYSTRAP_RECORD_COUNT 50
#define SYSTRAP_RECORD_MOST 52
#define SYSTRAP_RECORD_STRING 54
#define SYSTRAP_RECORD_WHEN 56 /* 32 bits: the only call of which that holds */

/* The write end of the pipe that wakes the sentry, in every stub. */
#define SYSTRAP_FD_WAKE 7

/* In the order page, which guests can only read: what the sentry tells all guest threads. */
#define SYSTRAP_NOTICE (STUB_ORDERS + 0xf00)
/*
 * Behind the notice, in the same page: the bells, words that count. Guest threads that sleep do so on one of them, each for
 * a bit of its own, so that it can be rung for them by whoever can read the page: by the sentry or, without an interrupt
 * from one CPU to another, by the guest thread that is about to leave them its CPU, of whatever process.
 */
#define SYSTRAP_BELLS 0x10 /* where they begin, from the notice */
#define SYSTRAP_BELL_WORDS 60
#define SYSTRAP_YIELDS 4 /* how often to give way to others before sleeping */
#define SYSTRAP_HURRY 19 /* a look for the answer counts for so many more while somebody else wants the CPU */

/* Who has the turn. The guest thread sets EVENT, the sentry the rest. */
#define SYSTRAP_RUN 0   /* the guest thread's turn: it runs, or is about to */
#define SYSTRAP_EVENT 1 /* the sentry's: there is an event */
#define SYSTRAP_TAKEN 2 /* the sentry's: it has seen it */

/* In place of a signal number: a call from a patched site; a thread that has done what SYSTRAP_FRAME or _COUNTER says. */
#define SYSTRAP_FAST_CALL 0x80
#define SYSTRAP_FRAMED 0x81

/* What the sentry has a guest thread do with its turn: go on; end itself; ... */
#define SYSTRAP_GO 0
#define SYSTRAP_EXIT 1
#define SYSTRAP_FRAME 2   /* a thread that waits without a signal frame: get one, and report again */
#define SYSTRAP_COUNTER 3 /* a thread with one: prctl(PR_SET_TSC) what `code` says, and report again */
#define SYSTRAP_HANDLER 4 /* without one: put its extended state where `state_offset` says, and go on with the initial one */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code of SIGSYS; not in every C library's headers */
#endif

struct systrap_notice {
	_Atomic uint32_t sleeping; /* the sentry sleeps: whoever publishes an event writes a byte to the pipe */
	_Atomic uint32_t spin;     /* how often at most to look for the answer before going to sleep */
	_Atomic uint32_t wanted;   /* how many want the CPU: guest threads whose turn it is or that wait to be seen, the worker
	                              when it has orders, the tracer when it has requests */
	uint32_t frame;            /* bytes of a signal frame, which are copied in for rt_sigreturn */
};

/* Behind it in the slot: the thread's signal stack, and what it copies for the sentry. All of that can be written by every
 * thread of the address space. */
struct systrap_slot {
	struct user_regs_struct regs;
	_Atomic uint32_t state;
	_Atomic uint32_t sleeping; /* the guest thread waits for its bell, or is about to */
	uint32_t signal;           /* what stopped it */
	int32_t code;
	uint32_t nr; /* SIGSYS: the system call */
	uint32_t error; /* SIGSEGV: the processor's error code; SIGSYS: AUDIT_ARCH_* */
	uint64_t address;
	uint32_t fpstate; /* where the extended state is in the slot */
	uint32_t command;
	_Atomic uint32_t alive; /* cleared by the host when the thread has ended */
	uint32_t unused;
	struct {
		uint64_t sp;
		uint32_t flags, pad;
		uint64_t size;
	} stack; /* for sigaltstack(2) */
	/* What the thread has copied in, and where from; and what it is to copy out with the answer. */
	uint64_t in_address;
	uint32_t in_length;
	uint32_t out_length;
	uint64_t out_address;
	/* Its bell: where the word is, from the notice, and the bit. And one that it is to ring before it sleeps; 0: none. */
	uint32_t bell;
	uint32_t bell_bit;
	_Atomic uint32_t ring;
	uint32_t ring_bit;
	/* Where a word is that the sentry wants to see whenever a signal stops the thread, 0: nowhere; and it, if it could be read. */
	uint64_t watch;
	uint64_t watched;
	uint32_t has_watched;
	/* SYSTRAP_HANDLER: where the extended state goes, from out_address on, and which components. And whether to report, as
	 * after SYSTRAP_FRAME, when that is done: it can't be interrupted before. */
	uint32_t state_offset;
	uint64_t features;
	_Atomic uint32_t interrupted;
	uint32_t out_skipped; /* how much there is before what it is to copy out */
};

_Static_assert(sizeof(struct systrap_slot) + 8 <= SYSTRAP_STACK_OFFSET, "the stack begins behind it, and a word that is for flags");
#endif
#endif
