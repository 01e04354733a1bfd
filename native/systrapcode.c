/*
 * What guest threads of the fast platform run instead of system calls. Linked to a fixed address (SYSTRAP_CODE), mapped
 * read-execute from a sealed memfd. No data, no thread-local storage, no vector registers.
 *
 * A system call outside this code is trapped by the thread's seccomp filter: SIGSYS, whose handler runs on the signal
 * stack in the thread's slot. It copies the registers to the slot, hands the turn to the sentry, waits for it to
 * come back, and returns with the registers that it then finds there. Faults and interrupts take the same way.
 * Meanwhile signals are blocked, but for those of a copy that faults: an interrupt of a thread that waits here is
 * delivered when it goes on.
 *
 * The extended state is in the signal frame, above the handler's stack, where the sentry can read and write it.
 */
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "systrap.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define HIGH(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + 4)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
/* Instruction `at` goes on at `yes` or `no`. */
#define IF(at, value, yes, no) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), (yes) - (at)-1, (no) - (at)-1)
enum { TRAP = 31, ALLOW };

/* What a guest thread may really do. The place it comes from is no protection: guests can jump there. What is allowed
 * from there is harmless by itself. */
__attribute__((used)) const struct sock_filter systrap_filter[] = {
	LOAD(arch),
	IF(1, AUDIT_ARCH_X86_64, 2, TRAP),
	HIGH(instruction_pointer),
	IF(3, SYSTRAP_CODE >> 32, 4, TRAP),
	LOAD(instruction_pointer),
	IF(5, SYSTRAP_IP_RETURN, 8, 6),
	IF(6, SYSTRAP_IP_CALL, 8, 7),
	IF(7, SYSTRAP_IP_FAST, 8, TRAP),
	LOAD(nr),
	IF(9, SYS_rt_sigreturn, ALLOW, 10),
	IF(10, SYS_exit, ALLOW, 11),
	IF(11, SYS_futex, 19, 12),
	IF(12, SYS_write, 13, 27),
	LOAD(args[0]),
	IF(14, SYSTRAP_FD_WAKE, 15, TRAP),
	HIGH(args[2]),
	IF(16, 0, 17, TRAP),
	LOAD(args[2]),
	IF(18, 1, ALLOW, TRAP),
	LOAD(args[1]),
	IF(20, FUTEX_WAIT_BITSET, ALLOW, 21),
	IF(21, FUTEX_WAKE_BITSET, 22, TRAP), /* of bells only: elsewhere a process of the host's may wait */
	HIGH(args[0]),
	IF(23, SYSTRAP_NOTICE >> 32, 24, TRAP),
	LOAD(args[0]),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffffff00),
	IF(26, SYSTRAP_NOTICE, ALLOW, TRAP),
	IF(27, SYS_prctl, 28, 30),
	LOAD(args[0]),
	IF(29, PR_SET_TSC, ALLOW, TRAP),
	IF(30, SYS_sched_yield, ALLOW, TRAP),
	RETURN(SECCOMP_RET_TRAP),
	RETURN(SECCOMP_RET_ALLOW),
};
_Static_assert(sizeof systrap_filter / sizeof *systrap_filter == SYSTRAP_FILTER_LENGTH, "systrapentry.S counts on it");

long systrap_call(long nr, long a, long b, long c, long d, long f); /* what a system call has as its sixth argument comes last */

#define NOTICE ((const struct systrap_notice *)SYSTRAP_NOTICE)
/* A bell; what is in the slot can be of the guest's making, and then it is still in that page. */
#define BELL(offset) (SYSTRAP_NOTICE + (long)(uint8_t)(offset))

/* Rings the bell that we have promised to ring. */
static void ring(struct systrap_slot *s)
{
	uint32_t bell = atomic_exchange(&s->ring, 0);

	if (bell != 0)
		systrap_call(SYS_futex, BELL(bell), FUTEX_WAKE_BITSET, INT_MAX, 0, s->ring_bit);
}

/*
 * Waits for our turn: awake at first, because a CPU that has nothing to do takes long to wake, and because the answer
 * often comes soon. If somebody else wants to run here, only for as long as an answer that comes at once takes, and not
 * when the sentry has seen our event and has not answered. Until it has seen it, it counts us, too. Then we give way for a
 * few times, which costs less than to sleep and be woken; the sentry, too, where it has but our CPU.
 */
static void await_turn(struct systrap_slot *s)
{
	uint32_t state;

	for (int64_t left = atomic_load_explicit(&NOTICE->spin, memory_order_relaxed); left > 0; left--) {
		state = atomic_load_explicit(&s->state, memory_order_acquire);
		if (state == SYSTRAP_RUN)
			return;
		if (atomic_load_explicit(&NOTICE->wanted, memory_order_relaxed) > (state == SYSTRAP_EVENT)) {
			if (state != SYSTRAP_EVENT)
				break;
			left -= SYSTRAP_HURRY;
		}
		__builtin_ia32_pause();
	}
	ring(s);
	for (int left = SYSTRAP_YIELDS; left > 0; left--) {
		systrap_call(SYS_sched_yield, 0, 0, 0, 0, 0);
		if (atomic_load(&s->state) == SYSTRAP_RUN)
			return;
	}
	atomic_store(&s->sleeping, 1); /* seq_cst, before ring and state are read; the sentry does the reverse */
	ring(s);
	for (;;) {
		uint32_t count = *(const volatile uint32_t *)BELL(s->bell); /* before the state: who changes that counts then */

		if (atomic_load(&s->state) == SYSTRAP_RUN)
			break;
		systrap_call(SYS_futex, BELL(s->bell), FUTEX_WAIT_BITSET, count, 0, s->bell_bit);
	}
	atomic_store_explicit(&s->sleeping, 0, memory_order_relaxed);
}

static void publish(struct systrap_slot *s)
{
	atomic_store(&s->state, SYSTRAP_EVENT); /* seq_cst, before sleeping is read; the sentry does the reverse */
	if (atomic_load_explicit(&NOTICE->sleeping, memory_order_relaxed))
		systrap_call(SYS_write, SYSTRAP_FD_WAKE, (long)s, 1, 0, 0);
}

/* Registers that are the same in both structures. */
#define GENERAL(_)                                                                                             \
	_(r15, REG_R15) _(r14, REG_R14) _(r13, REG_R13) _(r12, REG_R12) _(rbp, REG_RBP) _(rbx, REG_RBX)        \
	_(r11, REG_R11) _(r10, REG_R10) _(r9, REG_R9) _(r8, REG_R8) _(rax, REG_RAX) _(rcx, REG_RCX)            \
	_(rdx, REG_RDX) _(rsi, REG_RSI) _(rdi, REG_RDI) _(rip, REG_RIP) _(eflags, REG_EFL) _(rsp, REG_RSP)

extern const char systrap_fast_published[], systrap_fast_end[], systrap_frame_ip[];
extern const char systrap_copy_in[], systrap_copy_in_end[], systrap_copy_in_failed[];
extern const char systrap_copy_out[], systrap_copy_out_end[], systrap_copy_out_failed[];
extern const char systrap_copying[], systrap_copied[], systrap_watch[], systrap_unwatched[], systrap_push[], systrap_pushed[];
uint64_t systrap_copy(void *to, const void *from, uint64_t size); /* how many bytes it did not, because it came upon a fault */

/* Where a copy that faults goes on: the sentry makes it then, or finds that it can't. 0: it was no copy. */
static uint64_t after_fault(uint64_t rip)
{
	if (rip >= (uint64_t)systrap_copy_in && rip < (uint64_t)systrap_copy_in_end)
		return (uint64_t)systrap_copy_in_failed;
	if (rip >= (uint64_t)systrap_copy_out && rip < (uint64_t)systrap_copy_out_end)
		return (uint64_t)systrap_copy_out_failed;
	if (rip == (uint64_t)systrap_watch)
		return (uint64_t)systrap_unwatched;
	if (rip >= (uint64_t)systrap_push && rip < (uint64_t)systrap_pushed)
		return (uint64_t)systrap_pushed;
	if (rip >= (uint64_t)systrap_copying && rip < (uint64_t)systrap_copied)
		return (uint64_t)systrap_copied;
	return 0;
}

static int in_fast_path(uint64_t rip)
{
	return (rip >= SYSTRAP_CODE + SYSTRAP_AT_FAST && rip <= (uint64_t)systrap_frame_ip) ||
	       (rip >= SYSTRAP_RECORDS && rip < SYSTRAP_RECORDS + SYSTRAP_RECORDS_SIZE);
}

/* What the sentry will want to see of the guest's memory. */
static void copy_in(struct systrap_slot *s, int returns_from_handler)
{
	s->in_length = 0;
	if (returns_from_handler && NOTICE->frame <= SYSTRAP_COPY) {
		s->in_address = s->regs.rsp;
		s->in_length = NOTICE->frame - (uint32_t)systrap_copy((char *)s + SYSTRAP_IN, (void *)s->in_address, NOTICE->frame);
	}
	s->has_watched = s->watch != 0 && systrap_copy(&s->watched, (void *)s->watch, sizeof s->watched) == 0;
}

/* What the sentry has for the guest's memory. It knows that it may be written there, but a sibling can have changed that since:
 * false, and the length is still there. */
static int copy_out(struct systrap_slot *s)
{
	uint32_t length = s->out_length;
	uint64_t slot = (uint64_t)s - SYSTRAP_SLOTS, left = 0;

	if (length == 0)
		return 1;
	if (length <= SYSTRAP_COPY)
		left = systrap_copy((void *)s->out_address, (char *)s + SYSTRAP_OUT, length);
	else if (length <= SYSTRAP_WINDOW)
		left = systrap_copy((void *)s->out_address, (void *)(SYSTRAP_WINDOWS + (slot << SYSTRAP_WINDOW_SHIFT) + s->out_skipped), length);
	if (left > 0)
		return 0;
	s->out_length = 0;
	return 1;
}

__attribute__((used)) void systrap_handler(int signal, siginfo_t *info, ucontext_t *context)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	struct systrap_slot *s = (struct systrap_slot *)(here & ~(uintptr_t)(SYSTRAP_SLOT - 1));
	greg_t *g = context->uc_mcontext.gregs;
	uint64_t segments = (uint64_t)g[REG_CSGSFS], at = (uint64_t)g[REG_RIP];

	if (signal != SIGURG && info->si_code <= 0)
		return; /* somebody outside has sent it: it says nothing, and may have come anywhere */
	if ((signal == SIGSEGV || signal == SIGBUS) && after_fault(at) != 0) {
		g[REG_RIP] = (greg_t)after_fault(at);
		return;
	}
	s->fpstate = (uint32_t)((uintptr_t)context->uc_mcontext.fpregs - (uintptr_t)s);
	if (signal == SIGSYS && at == (uint64_t)systrap_frame_ip) {
		s->command = SYSTRAP_GO;
		s->signal = SYSTRAP_FRAMED;
		goto publish;
	}
	if (signal == SIGURG && in_fast_path(at)) {
		/* A call that hasn't been published yet is about to be; one that hasn't been answered has; the sentry gets
		 * its event. One that has been answered is over for the sentry, so the state that it is about to
		 * return to is the thread's, unless it is about to enter a handler. */
		int waits = at >= SYSTRAP_CODE + SYSTRAP_AT_FAST && at <= SYSTRAP_IP_FAST;
		int published = at >= (uint64_t)systrap_fast_published && at < (uint64_t)systrap_fast_end;

		if (!(waits || published) || atomic_load(&s->state) != SYSTRAP_RUN)
			return;
		if (s->command == SYSTRAP_HANDLER)
			atomic_store(&s->interrupted, 1);
		if (s->command != SYSTRAP_GO)
			return;
		s->regs.orig_rax = ~0ull;
		s->signal = SIGURG;
		goto publish;
	}
#define SAVE(name, index) s->regs.name = (uint64_t)g[index];
	GENERAL(SAVE)
	s->regs.cs = segments & 0xffff;
	s->regs.gs = segments >> 16 & 0xffff;
	s->regs.fs = segments >> 32 & 0xffff;
	s->regs.ss = segments >> 48;
	s->regs.orig_rax = ~0ull;
	s->regs.fs_base = __builtin_ia32_rdfsbase64();
	s->regs.gs_base = __builtin_ia32_rdgsbase64();
	s->signal = (uint32_t)signal;
	s->code = info->si_code;
	s->address = (uint64_t)info->si_addr; /* for SIGSYS: where the call was made */
	s->error = (uint32_t)g[REG_ERR];
	if (signal == SIGSYS && info->si_code == SYS_SECCOMP) {
		s->nr = (uint32_t)info->si_syscall;
		s->error = info->si_arch;
		s->regs.orig_rax = info->si_arch == AUDIT_ARCH_X86_64 ? s->regs.rax : 0xffffffffu;
	}
	copy_in(s, signal == SIGSYS && s->error == AUDIT_ARCH_X86_64 && s->nr == SYS_rt_sigreturn);
publish:
	publish(s);
	await_turn(s);
	if (s->command == SYSTRAP_COUNTER) {
		systrap_call(SYS_prctl, PR_SET_TSC, s->code, 0, 0, 0);
		s->command = SYSTRAP_GO;
		s->signal = SYSTRAP_FRAMED;
		goto publish;
	}
	if (s->command == SYSTRAP_EXIT)
		systrap_call(SYS_exit, 0, 0, 0, 0, 0);
	if (!copy_out(s)) {
		s->signal = SYSTRAP_FRAMED;
		goto publish;
	}
#define RESTORE(name, index) g[index] = (greg_t)s->regs.name;
	GENERAL(RESTORE)
	__builtin_ia32_wrfsbase64(s->regs.fs_base);
	__builtin_ia32_wrgsbase64(s->regs.gs_base);
}
