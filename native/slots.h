/*
 * The memory that JavaScript and the tracer thread share: two rings, one slot a guest thread, a few request blocks.
 * src/Platform/Slots.ts states the same numbers; test/Platform/Slots.test.ts compares the two.
 *
 * Only these two threads of one process reach this memory, a guest never does. Each ring has one writer and one
 * reader. A ring can't overflow: a slot has at most one command and two events (a stop, then its death) in flight,
 * a block one of each.
 */
#ifndef SENTRY_SLOTS_H
#define SENTRY_SLOTS_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/user.h>

enum { SLOT_COUNT = 8192, BLOCK_COUNT = 32, RING_SIZE = 32768, ORDER_MAX = 60, FD_MAX = 8, DATA_SIZE = 16384 };

/* A ring entry: a slot number (resume it; it stopped), or a block number with this bit (do it; it is done). */
#define ENTRY_BLOCK 0x80000000u

enum stop { STOP_NONE, STOP_SYSCALL, STOP_FAULT, STOP_INTERRUPTED, STOP_KILLED, STOP_VSYSCALL };

struct slot {
	struct user_regs_struct regs; /* the guest's; read back whole at each resume */
	uint32_t stop;                /* enum stop; the next four describe a fault */
	uint32_t signal;
	int32_t code; /* of a system call: AUDIT_ARCH_*, of whose calls it is one */
	uint32_t nr; /* the number of the system call as the guest gave it */
	uint64_t address;
	_Atomic uint32_t interrupt; /* set by JS before it signals the thread; cleared by who sees the stop first */
	uint32_t pid;
	uint32_t tid;
	uint32_t running; /* the tracer's own: whether it has let the thread run */
};

enum request {
	REQUEST_CREATE,  /* a new process from the zygote, in new_slot */
	REQUEST_CLONE,   /* a new thread or (flags = 1) process from slot, in new_slot */
	REQUEST_ORDERS,  /* have slot make the system calls in orders */
	REQUEST_RELEASE, /* end slot's thread, or (flags = 1) its whole process */
	REQUEST_GET_XSTATE,
	REQUEST_SET_XSTATE,
	REQUEST_POKE, /* write size bytes of data at address, whatever the page protections */
	REQUEST_CLOSE, /* end everything; the last request */
	REQUEST_THREAD, /* the fast platform's, see systrap.c */
	REQUEST_EXCHANGE, /* change the word at address atomically, see inject.c */
	REQUEST_DEBUG, /* debug register `flags`: data is read into, or (size = 8) written to it */
	REQUEST_PEEK, /* as REQUEST_POKE, but read into data */
	REQUEST_DEBUG_GUEST /* the fast platform's: the same of its guest thread with host tid `address` */
};

/* One host system call for a stub to make. */
struct order {
	uint64_t nr;
	uint64_t argument[6];
};

struct block {
	uint32_t kind;
	uint32_t slot;
	uint32_t new_slot;
	uint32_t flags;
	int32_t result; /* zero or a size, or -errno */
	uint32_t size;
	uint64_t address;
	uint32_t order_count;
	uint32_t fd_count;
	int32_t fds[FD_MAX]; /* sent to the stub, in this order, before it starts */
	_Atomic uint32_t done;
	uint32_t quiet; /* no event: JS watches `done` */
	struct order orders[ORDER_MAX];
	_Alignas(64) uint8_t data[DATA_SIZE];
};

struct control {
	_Alignas(64) _Atomic uint32_t command_head; /* written by JS */
	_Alignas(64) _Atomic uint32_t event_tail;   /* written by JS, after it has dealt with the event */
	_Alignas(64) _Atomic uint32_t event_head;   /* written by the tracer */
	_Alignas(64) _Atomic uint32_t tracer_sleeping;
	_Alignas(64) _Atomic uint32_t js_sleeping;
	_Atomic uint32_t js_cpu; /* where JS last drained the ring; ~0: not known */
	_Alignas(64) uint32_t commands[RING_SIZE];
	uint32_t events[RING_SIZE];
	struct slot slots[SLOT_COUNT];
	struct block blocks[BLOCK_COUNT];
};

#endif
