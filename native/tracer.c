/*
 * The tracer thread: makes every ptrace(2) request of one ptrace platform, because only the thread that attached may.
 *
 * It waits for stubs to stop, tells JavaScript (event ring), and does what JavaScript orders (command ring). It knows
 * registers, signals and descriptors, and nothing of what a system call means.
 *
 * Guests only ever run by PTRACE_SYSEMU: the host stops at a system call's entry and does not execute it. PTRACE_CONT
 * is for stub code that the tracer itself has started (inject.c).
 *
 * Waiting. Tracer and guests share a CPU, so as long as the tracer spins no guest runs: it spins only while JS has an
 * event that it hasn't dealt with, and not for long (longer if no guest wants to run); otherwise it sleeps in waitpid.
 * To wake it there JS signals the bell, a traced process whose stop makes waitpid return. waitpid looks at this thread's children only (__WNOTHREAD):
 * the embedding process's own children are none of our business.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tracer.h"

enum { SPIN_ALONE = 160000, SPIN_LONG = 40000, SPIN_SHORT = 3000, PATIENCE = 4 }; /* ns, ns, ns, times in a row */

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code of SIGSYS, which older C libraries lack */
#endif

#define RING(n) ((n) & (RING_SIZE - 1))

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void tracer_publish(struct tracer *t, uint32_t entry)
{
	struct control *c = t->control;
	uint32_t head = atomic_load_explicit(&c->event_head, memory_order_relaxed);

	c->events[RING(head)] = entry;
	t->published = now();
	atomic_store(&c->event_head, head + 1); /* seq_cst, before js_sleeping is read: JS does the reverse */
	if (atomic_load(&c->js_sleeping) && atomic_exchange(&c->js_sleeping, 0)) {
		cpu_set_t allowed = affinity_part(t);
		char wake = 0;
		while (write(t->wake_fd, &wake, 1) < 0 && errno == EINTR)
			;
		affinity_rejoin(t, &allowed);
	}
}

static bool commands_waiting(struct tracer *t)
{
	return atomic_load(&t->control->command_head) != t->command_tail;
}

/* Whether no guest wants to run. On the fast platform, where guests run by themselves, JS says so. */
static bool guests_rest(const struct tracer *t)
{
	return t->resumes ? t->running == 0 : !systrap_wanted(t);
}

/* Waits awake, for a moment, while JS is at work on an event. True when there is a command. */
static bool await_command(struct tracer *t)
{
	struct control *c = t->control;
	bool alone;

	if (t->spinning && affinity_together(t) && !atomic_load(&c->js_sleeping)) {
		cpu_set_t allowed = affinity_part(t);
		affinity_rejoin(t, &allowed);
	}
	while (t->spinning && !commands_waiting(t)) {
		if (atomic_load(&c->event_tail) == atomic_load(&c->event_head))
			break;
		for (int i = 0; i < 8; i++)
			__builtin_ia32_pause();
		alone = guests_rest(t);
		if (now() - t->published > (alone ? t->alone_limit : t->spin_limit)) {
			if (alone && t->alone_limit > SPIN_LONG)
				t->alone_limit /= 2;
			else if (!alone && ++t->spin_misses >= PATIENCE)
				t->spin_limit = SPIN_SHORT;
			break;
		}
	}
	if (!commands_waiting(t))
		return false;
	t->spin_misses = 0;
	return true;
}

/* A command found us asleep soon after the event: waiting awake would have been right. */
static void on_bell(struct tracer *t)
{
	if (now() - t->published < SPIN_ALONE)
		t->alone_limit = SPIN_ALONE;
	if (now() - t->published < SPIN_LONG) {
		t->spin_limit = SPIN_LONG;
		t->spin_misses = 0;
	}
}

/* Whether this slot's thread is alive, as far as we have been told. */
bool tracer_alive(struct tracer *t, uint32_t index)
{
	pid_t tid = (pid_t)t->control->slots[index].tid;
	return tid > 0 && t->by_tid[tid] == TID_SLOT + index;
}

static void set_running(struct tracer *t, uint32_t index, bool running)
{
	struct slot *s = &t->control->slots[index];

	t->running += (uint32_t)running - s->running;
	s->running = running;
}

static void stop(struct tracer *t, uint32_t index, enum stop kind)
{
	set_running(t, index, false);
	t->control->slots[index].stop = kind;
	tracer_publish(t, index);
}

void tracer_on_death(struct tracer *t, pid_t tid)
{
	uint16_t who = t->by_tid[tid];

	t->by_tid[tid] = TID_UNKNOWN;
	if (who == TID_ZYGOTE)
		t->zygote = 0;
	else if (who == TID_BELL) {
		t->bell = 0;
		if (!t->closing)
			spawn_bell(t);
	} else if (who >= TID_SLOT)
		stop(t, who - TID_SLOT, STOP_KILLED);
}

/* ESRCH means that the thread has been killed: its death will be reported, there is nothing to do now. */
static void resume(struct tracer *t, uint32_t index)
{
	struct slot *s = &t->control->slots[index];

	if (!tracer_alive(t, index))
		return;
	s->regs.orig_rax = ~0ull; /* or the host might restart a system call that it never made */
	if (ptrace(PTRACE_SETREGS, s->tid, 0, &s->regs) < 0 && errno != ESRCH) {
		/* Segment registers or bases that no processor would load. */
		s->signal = SIGSEGV;
		s->code = SI_KERNEL;
		s->address = 0;
		stop(t, index, STOP_FAULT);
		return;
	}
	set_running(t, index, true);
	t->resumes = true;
	ptrace(PTRACE_SYSEMU, s->tid, 0, 0);
}

static void on_syscall(struct tracer *t, uint32_t index)
{
	struct slot *s = &t->control->slots[index];

	if (ptrace(PTRACE_GETREGS, s->tid, 0, &s->regs) < 0)
		return;
	s->nr = (uint32_t)s->regs.orig_rax;
	s->code = (int32_t)AUDIT_ARCH_X86_64;
	/* Only the syscall instruction of 64-bit code leaves rcx = rip and r11 = flags. Anything else (int 0x80, code in
	 * a 32-bit segment) has other numbers; a guest that fakes it merely makes the 64-bit call. TF may be hidden. */
	if (s->regs.cs != 0x33 || s->regs.rcx != s->regs.rip || ((s->regs.r11 ^ s->regs.eflags) & ~0x100ull) != 0) {
		s->regs.orig_rax = 0xffffffffu;
		s->code = AUDIT_ARCH_I386;
	}
	stop(t, index, STOP_SYSCALL);
}

static bool is_fault(const siginfo_t *info)
{
	switch (info->si_signo) {
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
		return info->si_code > 0; /* raised by the processor; others were sent by somebody */
	default:
		return false;
	}
}

static void on_signal(struct tracer *t, uint32_t index)
{
	struct slot *s = &t->control->slots[index];
	siginfo_t info;

	if (ptrace(PTRACE_GETSIGINFO, s->tid, 0, &info) < 0)
		info.si_signo = 0;
	if (is_fault(&info)) {
		if (ptrace(PTRACE_GETREGS, s->tid, 0, &s->regs) < 0)
			return;
		s->signal = (uint32_t)info.si_signo;
		s->code = info.si_code;
		s->address = (uint64_t)info.si_addr;
		stop(t, index, STOP_FAULT);
	} else if (info.si_signo == SIGSYS && info.si_code == SYS_SECCOMP) {
		/* A call into the vsyscall page (see stub.c): the host has already returned from it. */
		if (ptrace(PTRACE_GETREGS, s->tid, 0, &s->regs) < 0)
			return;
		s->nr = (uint32_t)info.si_syscall;
		s->regs.orig_rax = s->nr;
		s->regs.rax = (uint64_t)-ENOSYS;
		stop(t, index, STOP_VSYSCALL);
	} else if (info.si_signo == INTERRUPT_SIGNAL && atomic_exchange(&s->interrupt, 0)) {
		if (ptrace(PTRACE_GETREGS, s->tid, 0, &s->regs) < 0)
			return;
		stop(t, index, STOP_INTERRUPTED);
	} else {
		/* An interrupt that came too late, or a signal from outside: guests don't get the host's signals. */
		ptrace(PTRACE_SYSEMU, s->tid, 0, 0);
	}
}

static void on_wait(struct tracer *t, pid_t tid, int status)
{
	uint16_t who = t->by_tid[tid];

	if (!WIFSTOPPED(status))
		tracer_on_death(t, tid);
	else if (who >= TID_SLOT) {
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			on_syscall(t, who - TID_SLOT);
		else
			on_signal(t, who - TID_SLOT);
	} else if (who == TID_BELL) {
		on_bell(t);
		ptrace(PTRACE_CONT, tid, 0, 0);
	} else if (who == TID_EXITING)
		ptrace(PTRACE_CONT, tid, 0, 0);
	else if (who == TID_UNKNOWN)
		kill(tid, SIGKILL); /* born of an injection that failed halfway */
}

static void adopt(struct tracer *t, uint32_t index, pid_t pid, pid_t tid)
{
	struct slot *s = &t->control->slots[index];

	s->pid = (uint32_t)pid;
	s->tid = (uint32_t)tid;
	s->stop = STOP_NONE;
	atomic_store(&s->interrupt, 0);
	t->by_tid[tid] = (uint16_t)(TID_SLOT + index);
}

static int create(struct tracer *t, struct block *b)
{
	struct slot *s = &t->control->slots[b->new_slot];
	pid_t tid;
	int result = t->zygote ? 0 : spawn_zygote(t); /* somebody may have killed it */

	if (result == 0)
		result = inject_thread(t, t->zygote, STUB_CLONE_PROCESS, &tid);
	if (result < 0)
		return result;
	memset(&s->regs, 0, sizeof s->regs);
	s->regs.cs = 0x33;
	s->regs.ss = 0x2b;
	s->regs.eflags = 0x202;
	adopt(t, b->new_slot, tid, tid);
	return 0;
}

static int clone_slot(struct tracer *t, struct block *b)
{
	struct slot *from = &t->control->slots[b->slot];
	pid_t tid;
	int result = inject_thread(t, (pid_t)from->tid, b->flags ? STUB_CLONE_PROCESS : STUB_CLONE_THREAD, &tid);

	if (result < 0)
		return result;
	t->control->slots[b->new_slot].regs = from->regs;
	adopt(t, b->new_slot, b->flags ? tid : (pid_t)from->pid, tid);
	return 0;
}

static int release(struct tracer *t, struct block *b)
{
	struct slot *s = &t->control->slots[b->slot];

	set_running(t, b->slot, false);
	t->by_tid[s->tid] = TID_EXITING;
	if (b->flags)
		kill((pid_t)s->pid, SIGKILL);
	else
		inject_exit(t, (pid_t)s->tid);
	return 0;
}

static int extended_state(struct tracer *t, struct block *b)
{
	bool get = b->kind == REQUEST_GET_XSTATE;
	struct iovec iov = {b->data, get || b->size > DATA_SIZE ? DATA_SIZE : b->size};
	pid_t tid = (pid_t)t->control->slots[b->slot].tid;

	if (ptrace(get ? PTRACE_GETREGSET : PTRACE_SETREGSET, tid, NT_X86_XSTATE, &iov) < 0)
		return -errno;
	return (int)iov.iov_len;
}

/* /proc/pid/mem overrides page protections, on newer kernels only for the tracer itself. */
static int force(struct tracer *t, struct block *b)
{
	size_t size = b->size > DATA_SIZE ? DATA_SIZE : b->size;
	char path[32];
	ssize_t done;
	int fd;

	snprintf(path, sizeof path, "/proc/%u/mem", t->control->slots[b->slot].tid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	done = b->kind == REQUEST_POKE ? pwrite(fd, b->data, size, (off_t)b->address)
				       : pread(fd, b->data, size, (off_t)b->address);
	done = done < 0 ? -errno : done;
	close(fd);
	return (int)done;
}

/* A debug register of a thread that is stopped for us. The host checks what it is given; an address in the stub's memory is refused above. */
int tracer_debug_register(pid_t tid, struct block *b)
{
	unsigned long offset = offsetof(struct user, u_debugreg) + b->flags * sizeof(long), value;

	if (b->flags > 7)
		return -EINVAL;
	if (b->size == sizeof value) {
		memcpy(&value, b->data, sizeof value);
		return ptrace(PTRACE_POKEUSER, tid, offset, value) < 0 ? -errno : 0;
	}
	errno = 0;
	value = (unsigned long)ptrace(PTRACE_PEEKUSER, tid, offset, 0);
	if (errno)
		return -errno;
	memcpy(b->data, &value, sizeof value);
	return 0;
}

static int request(struct tracer *t, struct block *b)
{
	if (b->slot >= SLOT_COUNT || b->new_slot >= SLOT_COUNT)
		return -EINVAL;
	if (b->kind == REQUEST_CLOSE) {
		t->closing = true;
		return 0;
	}
	if (b->kind == REQUEST_CREATE)
		return create(t, b);
	if (!tracer_alive(t, b->slot))
		return b->kind == REQUEST_RELEASE ? 0 : -ESRCH;
	switch (b->kind) {
	case REQUEST_CLONE:
		return clone_slot(t, b);
	case REQUEST_ORDERS:
		return inject_request(t, b);
	case REQUEST_RELEASE:
		return release(t, b);
	case REQUEST_GET_XSTATE:
	case REQUEST_SET_XSTATE:
		return extended_state(t, b);
	case REQUEST_POKE:
	case REQUEST_PEEK:
		return force(t, b);
	case REQUEST_EXCHANGE:
		return inject_exchange(t, b);
	case REQUEST_DEBUG:
		return tracer_debug_register((pid_t)t->control->slots[b->slot].tid, b);
	default:
		return systrap_request(t, b);
	}
}

static void run_commands(struct tracer *t)
{
	struct control *c = t->control;

	while (commands_waiting(t) && !t->closing) {
		uint32_t entry = c->commands[RING(t->command_tail++)];

		if (!(entry & ENTRY_BLOCK)) {
			if (entry < SLOT_COUNT)
				resume(t, entry);
		} else if ((entry & ~ENTRY_BLOCK) < BLOCK_COUNT) {
			struct block *b = &c->blocks[entry & ~ENTRY_BLOCK];
			bool quiet = b->quiet; /* once it is done, JS may fill it anew */

			b->result = request(t, b);
			if (t->closing)
				return; /* done when it is done */
			atomic_store(&b->done, 1);
			if (!quiet)
				tracer_publish(t, entry);
		}
	}
}

/* Until REQUEST_CLOSE. */
void tracer_serve(struct tracer *t)
{
	t->spin_limit = SPIN_LONG;
	t->alone_limit = SPIN_ALONE;
	for (;;) {
		int status;
		pid_t tid;

		run_commands(t);
		if (t->closing)
			return;
		if (wait_kept(t, &tid, &status)) {
			on_wait(t, tid, status);
			continue;
		}
		if (await_command(t))
			continue;
		atomic_store(&t->control->tracer_sleeping, 1); /* seq_cst, before the ring is read: JS does the reverse */
		if (commands_waiting(t)) {
			atomic_store(&t->control->tracer_sleeping, 0);
			continue;
		}
		tid = waitpid(-1, &status, __WALL | __WNOTHREAD);
		atomic_store(&t->control->tracer_sleeping, 0);
		if (tid > 0)
			on_wait(t, tid, status);
		else if (errno == ECHILD && spawn_bell(t) < 0)
			usleep(1000); /* the host is out of processes: without a bell, look again and again */
	}
}
