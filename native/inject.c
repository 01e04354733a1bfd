/*
 * Making a stopped stub thread do host system calls: its registers are pointed at stub_run (stubcode.S), the calls are
 * in the order page, and it runs by PTRACE_CONT until it parks. Its guest registers need no saving: they are in its
 * slot, from which every resume sets them all.
 *
 * Only this tracer's thread injects, one injection at a time, so one order page and one socket do for all stubs.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tracer.h"

#ifndef TRAP_HWBKPT
#define TRAP_HWBKPT 4
#endif

extern const char stub_code[], stub_run[], stub_syscall[], stub_exchange[], stub_update[];

/* Waits for a stop of `tid` by signal `wanted` raised by the host (not sent); lets everything else pass. */
static int await_stop(struct tracer *t, pid_t tid, int wanted)
{
	for (;;) {
		siginfo_t info;
		int status;

		if (!wait_for(t, tid, &status))
			return -ESRCH;
		if (status >> 16 == 0) {
			if (WSTOPSIG(status) == wanted && wanted == SIGSTOP)
				return 0;
			if (ptrace(PTRACE_GETSIGINFO, tid, 0, &info) == 0 && info.si_code > 0) {
				/* a watchpoint of the guest's that stub code has run into is not the end of it */
				if (info.si_signo == wanted && info.si_code != TRAP_HWBKPT)
					return 0;
				if (info.si_signo == SIGSEGV || info.si_signo == SIGBUS || info.si_signo == SIGILL)
					return -EFAULT; /* the stub pages are gone or changed: can't be, but must not hang */
			}
		}
		if (ptrace(PTRACE_CONT, tid, 0, 0) < 0 && errno != ESRCH)
			return -errno;
	}
}

/* Registers that any thread can run with; no system call of the guest's to restart. */
static const struct user_regs_struct neutral = {.orig_rax = ~0ull, .cs = 0x33, .ss = 0x2b, .eflags = 0x202};

/* Where stubs have a piece of the stub code. */
static uint64_t code_address(const struct tracer *t, const char *piece)
{
	return t->stub_base + (STUB_CODE - STUB_BASE) + (uint64_t)(piece - stub_code);
}

static int start(struct tracer *t, pid_t tid, const struct order *orders, uint32_t count)
{
	struct user_regs_struct regs = neutral;

	if (count == 0 || count > ORDER_MAX)
		return -EINVAL;
	regs.rip = code_address(t, stub_run);
	regs.r15 = t->stub_base + (STUB_ORDERS - STUB_BASE);
	regs.r14 = count;
	memcpy(t->orders, orders, count * sizeof *orders);
	if (ptrace(PTRACE_SETREGS, tid, 0, &regs) < 0 || ptrace(PTRACE_CONT, tid, 0, 0) < 0)
		return -errno;
	return 0;
}

/* Runs the orders in thread `tid`; the result of the last one made. */
int64_t inject_orders(struct tracer *t, pid_t tid, const struct order *orders, uint32_t count)
{
	int64_t result = start(t, tid, orders, count);

	if (result == 0)
		result = await_stop(t, tid, SIGTRAP);
	if (result == 0) {
		errno = 0;
		result = ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user_regs_struct, rax), 0);
		if (errno)
			result = -errno;
	}
	memset(t->orders, 0, count * sizeof *orders);
	return result;
}

/* How often a stub tries to change a word that others keep changing. */
#define UPDATE_TRIES (1 << 20)

/*
 * REQUEST_EXCHANGE: an atomic change of a word by the thread itself, the only way that is atomic towards its siblings and
 * respects page protections. data: the expected and the new value; or (flags = 1) mask, flip and sum of an update.
 * Afterwards data holds the value that was there. 0 or -errno.
 */
int inject_exchange(struct tracer *t, struct block *b)
{
	pid_t tid = (pid_t)t->control->slots[b->slot].tid;
	struct user_regs_struct regs = neutral;
	uint32_t values[3];
	int result;

	if (b->address > t->stub_base - sizeof values[0] || b->address % sizeof values[0] != 0)
		return -EFAULT;
	memcpy(values, b->data, sizeof values);
	regs.rip = code_address(t, b->flags ? stub_update : stub_exchange);
	regs.rdi = b->address;
	regs.rax = regs.rsi = values[0];
	regs.rcx = regs.rdx = values[1];
	regs.r8 = values[2];
	regs.r9 = UPDATE_TRIES;
	if (ptrace(PTRACE_SETREGS, tid, 0, &regs) < 0 || ptrace(PTRACE_CONT, tid, 0, 0) < 0)
		return -errno;
	result = await_stop(t, tid, SIGTRAP);
	if (result < 0)
		return result;
	if (ptrace(PTRACE_GETREGS, tid, 0, &regs) < 0)
		return -errno;
	values[0] = (uint32_t)regs.rax;
	memcpy(b->data, values, sizeof values[0]);
	return regs.r9 == 0 ? -EAGAIN : 0;
}

/* Starts exit(2) in the thread and doesn't wait: it is reaped when it is gone. So it can't use the order page, which
 * the next injection overwrites. */
void inject_exit(const struct tracer *t, pid_t tid)
{
	struct user_regs_struct regs = neutral;

	regs.rip = code_address(t, stub_syscall);
	regs.rax = SYS_exit;
	if (ptrace(PTRACE_SETREGS, tid, 0, &regs) == 0)
		ptrace(PTRACE_CONT, tid, 0, 0);
}

/* Whether there is still something to wait for: somebody may have killed the new thread, and the wait for the one that made it
 * has dealt with that. */
static bool is_unreaped(pid_t tid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)tid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL | __WNOTHREAD) == 0;
}

/* A clone of stopped thread `from`, itself stopped before its first instruction. */
int inject_thread(struct tracer *t, pid_t from, uint64_t clone_flags, pid_t *tid)
{
	struct order order = {.nr = SYS_clone, .argument = {clone_flags}};
	int64_t result = inject_orders(t, from, &order, 1);

	if (result < 0)
		return (int)result;
	*tid = (pid_t)result;
	if (!is_unreaped(*tid))
		return -ESRCH;
	return await_stop(t, *tid, SIGSTOP); /* attached automatically, as the options say */
}

/* What a stub's recvmsg works with; in its scratch page, one for each descriptor of a request. */
struct message {
	struct msghdr header;
	struct iovec iov;
	char byte;
	_Alignas(128) char control[CMSG_SPACE(sizeof(int))];
	_Alignas(256) char end[];
};
_Static_assert(sizeof(struct message) == 256, "StubCalls.ts counts on it");
_Static_assert(FD_MAX * sizeof(struct message) <= STUB_PAGE, "the scratch page is one page");

static int write_messages(const struct tracer *t, pid_t tid, uint32_t count)
{
	struct message messages[FD_MAX];
	struct iovec local = {messages, count * sizeof *messages}, remote = {(void *)t->stub_base, local.iov_len};

	memset(messages, 0, sizeof messages);
	for (uint32_t i = 0; i < count; i++) {
		uintptr_t there = t->stub_base + i * sizeof *messages;

		messages[i].header.msg_iov = (struct iovec *)(there + offsetof(struct message, iov));
		messages[i].header.msg_iovlen = 1;
		messages[i].header.msg_control = (void *)(there + offsetof(struct message, control));
		messages[i].header.msg_controllen = sizeof messages[i].control;
		messages[i].iov.iov_base = (void *)(there + offsetof(struct message, byte));
		messages[i].iov.iov_len = 1;
	}
	return process_vm_writev(tid, &local, 1, &remote, 1, 0) < 0 ? -errno : 0;
}

static int send_descriptor(struct tracer *t, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof fd)] __attribute__((aligned(8))) = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(header), &fd, sizeof fd);
	return sendmsg(t->send_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Takes back the descriptors that were sent and not received. */
void inject_drain(struct tracer *t)
{
	for (;;) {
		char byte, control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
		struct iovec iov = {&byte, 1};
		struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
		struct cmsghdr *header;
		int fd;

		if (recvmsg(t->drain_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
			return;
		header = CMSG_FIRSTHDR(&message);
		if (header && header->cmsg_type == SCM_RIGHTS) {
			memcpy(&fd, CMSG_DATA(header), sizeof fd);
			close(fd);
		}
	}
}

/* REQUEST_ORDERS: zero, or the error of the order that failed. */
int inject_request(struct tracer *t, struct block *b)
{
	const struct slot *s = &t->control->slots[b->slot];
	uint32_t fds = b->fd_count > FD_MAX ? FD_MAX : b->fd_count;
	int64_t result = fds > 0 ? write_messages(t, (pid_t)s->tid, fds) : 0;

	for (uint32_t i = 0; i < fds && result == 0; i++)
		result = send_descriptor(t, b->fds[i]);
	if (result == 0)
		result = inject_orders(t, (pid_t)s->tid, b->orders, b->order_count);
	if (result >= 0 || result < -4095)
		return 0; /* mremap and mmap return addresses */
	if (fds > 0) {
		struct order undo = {.nr = SYS_close, .argument = {1}};

		/* A descriptor that stays would be mistaken for the next one. Only a guest that keeps its own stub from
		 * reading (by protection keys) gets this far. */
		int64_t closed = inject_orders(t, (pid_t)s->tid, &undo, 1);

		if (closed != 0 && closed != -EBADF)
			kill((pid_t)s->pid, SIGKILL);
		inject_drain(t);
	}
	return (int)result;
}
