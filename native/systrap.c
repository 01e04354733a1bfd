/*
 * The sentry's native side of the fast platform: the memory shared with guests, wake-ups, and the start of guest
 * threads. Everything else about stubs is the tracer's (tracer.c), for whom the service thread of an address space is
 * a slot that is always stopped.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "systrap.h"
#include "tracer.h"

#define SLOTS_SIZE ((size_t)SYSTRAP_SLOT * SYSTRAP_SLOT_COUNT)
#define WINDOWS_SIZE ((size_t)SYSTRAP_WINDOW * SYSTRAP_SLOT_COUNT)
#define REGION_SIZE (WINDOWS_SIZE + SLOTS_SIZE + STUB_PAGE)

/* Memory for the windows and slots of one address space and the orders of its worker: its address here, and a descriptor. 0 or -errno. */
EXPORT int sentry_systrap_region(uint64_t *out)
{
	int fd = memfd_create("sentry-slots", MFD_CLOEXEC | MFD_ALLOW_SEALING), error;
	void *p = MAP_FAILED;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, REGION_SIZE) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		p = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	error = errno;
	if (p == MAP_FAILED) {
		close(fd);
		return -error;
	}
	out[0] = (uint64_t)p;
	out[1] = (uint64_t)fd;
	return 0;
}

/* The stub has it now. */
EXPORT void sentry_systrap_close(int fd)
{
	close(fd);
}

EXPORT void sentry_systrap_unmap(uint64_t address)
{
	munmap((void *)address, REGION_SIZE);
}

/* Wakes the worker, which sleeps on the word at `address`. */
EXPORT void sentry_systrap_wake(uint64_t address)
{
	syscall(SYS_futex, address, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Wakes the guest threads that sleep on the bell at `address` and have that bit. */
EXPORT void sentry_systrap_ring(uint64_t address, uint32_t bit)
{
	syscall(SYS_futex, address, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, bit);
}

/* How long the sentry wants to run at a time where guests do, ns: whoever wants less has its turn sooner. */
#define SENTRY_SLICE 100000

/* Sets the calling thread's slice to that, or back to the host's own. Hosts before Linux 6.12 take no notice. */
EXPORT void sentry_systrap_slice(int sharing)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = {.size = sizeof attr}; /* struct sched_attr, whose header the C library's does not go with */

	if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) < 0)
		return;
	attr.runtime = sharing ? SENTRY_SLICE : 0;
	syscall(SYS_sched_setattr, 0, &attr, 0);
}

/*
 * Keeps the calling thread, which runs JavaScript, off the CPU of the guests, whose wake-ups would bring it there, where
 * either would wait awake for the other. False if it has no other. `back` lets it return.
 */
EXPORT int sentry_systrap_part(int cpu, int back)
{
	cpu_set_t allowed;

	if (cpu < 0 || sched_getaffinity(0, sizeof allowed, &allowed) < 0)
		return 0;
	if (back)
		CPU_SET(cpu, &allowed);
	else
		CPU_CLR(cpu, &allowed);
	return CPU_COUNT(&allowed) > 0 && sched_setaffinity(0, sizeof allowed, &allowed) == 0;
}

/* Lets a guest thread run on `cpu` alone or, `everywhere`, wherever the calling thread may and there. For speed only: a refusal does no harm. */
EXPORT void sentry_systrap_place(int pid, int tid, int cpu, int everywhere)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (everywhere && sched_getaffinity(0, sizeof set, &set) < 0)
		return;
	CPU_SET(cpu, &set);
	/* a guest can end its thread by itself, and then the number may be another's */
	if (syscall(SYS_tgkill, pid, tid, 0) == 0)
		sched_setaffinity(tid, sizeof set, &set);
}

/* A clone of the service thread becomes the guest thread of the slot at `b->address` in its address space: strictly
 * filtered, no longer traced, and about to make its first report. Its host tid or -errno. */
static int start_thread(struct tracer *t, struct block *b)
{
	struct user_regs_struct regs = {.orig_rax = ~0ull, .cs = 0x33, .ss = 0x2b, .eflags = 0x202};
	const struct order orders[] = {
		{SYS_sigaltstack, {b->address + offsetof(struct systrap_slot, stack)}},
		{SYS_set_tid_address, {b->address + offsetof(struct systrap_slot, alive)}},
		{SYS_seccomp, {SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, SYSTRAP_CODE + SYSTRAP_AT_FILTER}},
	};
	pid_t tid;
	int64_t result = inject_thread(t, (pid_t)t->control->slots[b->slot].tid, STUB_CLONE_THREAD, &tid);

	if (result < 0)
		return (int)result;
	result = inject_orders(t, tid, orders, sizeof orders / sizeof *orders);
	if (result < 0)
		inject_exit(t, tid);
	if (result < 0)
		return (int)result;
	regs.rip = SYSTRAP_CODE + SYSTRAP_AT_BIRTH;
	if (ptrace(PTRACE_SETREGS, tid, 0, &regs) < 0 || ptrace(PTRACE_DETACH, tid, 0, 0) < 0)
		return -errno;
	return (int)tid;
}

/* Another becomes the worker. */
static int start_worker(struct tracer *t, struct block *b)
{
	struct user_regs_struct regs = {.orig_rax = ~0ull, .cs = 0x33, .ss = 0x2b, .eflags = 0x202};
	pid_t tid;
	int result = inject_thread(t, (pid_t)t->control->slots[b->slot].tid, STUB_CLONE_THREAD, &tid);

	if (result < 0)
		return result;
	regs.rip = SYSTRAP_CODE + SYSTRAP_AT_WORKER;
	regs.r15 = SYSTRAP_ORDERS;
	if (ptrace(PTRACE_SETREGS, tid, 0, &regs) < 0 || ptrace(PTRACE_DETACH, tid, 0, 0) < 0)
		return -errno;
	return (int)tid;
}

uint32_t systrap_wanted(const struct tracer *t)
{
	const char *page = (const char *)t->orders;

	return atomic_load(&((const struct systrap_notice *)(page + (SYSTRAP_NOTICE - STUB_ORDERS)))->wanted);
}

/*
 * A guest thread waits for JS in the stub's code, and is traced for as long as it takes to reach its debug registers,
 * which stay as they are when it is let go. What it waits in goes on: it was not told by a signal.
 */
static int debug_guest(struct tracer *t, struct block *b)
{
	pid_t tid = (pid_t)b->address;
	int status, result;

	/* a guest can end its thread by itself, and then the number may be another's */
	if (syscall(SYS_tgkill, t->control->slots[b->slot].pid, tid, 0) < 0)
		return -errno;
	if (ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_EXITKILL) < 0)
		return -errno;
	if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0)
		return -errno;
	for (;;) {
		if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
			return -ESRCH; /* it has been killed */
		if (status >> 16 == PTRACE_EVENT_STOP)
			break;
		ptrace(PTRACE_CONT, tid, 0, WSTOPSIG(status)); /* a signal came first: an interrupt that was late, say */
	}
	result = tracer_debug_register(tid, b);
	ptrace(PTRACE_DETACH, tid, 0, 0);
	return result;
}

/* Requests of the fast platform. */
int systrap_request(struct tracer *t, struct block *b)
{
	if (b->kind == REQUEST_DEBUG_GUEST)
		return debug_guest(t, b);
	if (b->kind != REQUEST_THREAD)
		return -EINVAL;
	return b->flags ? start_worker(t, b) : start_thread(t, b);
}
