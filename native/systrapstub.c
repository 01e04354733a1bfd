/*
 * build/systrapstub: the program that becomes the zygote of the fast platform. It does what build/stub does (stub.c),
 * and in addition maps the code that guest threads run, has all signals handled by it, and keeps the pipe that wakes
 * the sentry.
 *
 * Its own thread, and the first thread of each of its copies, is the *service thread*: stopped under ptrace, never runs
 * guest code, makes the system calls that the tracer orders. The filter here is its own. Guest threads are its
 * clones; they get the stricter one in systrapcode.c before they are let go.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "freestanding.h"
#include "systrap.h"

#define SIGSTOP 19
#define SIG_IGN 1
#define SA_FLAGS (0x4 | 0x08000000 | 0x04000000 | 0x40000000) /* SIGINFO ONSTACK RESTORER NODEFER */

/* Whatever isn't allowed is trapped rather than killed, because guest threads inherit this filter and the harsher of
 * two verdicts counts. */
static struct sock_filter filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	RETURN(SECCOMP_RET_TRAP),
	LOAD(nr),
	/* guest threads, from systrapcode.c */
	ALLOW(SYS_futex),
	ALLOW(SYS_rt_sigreturn),
	ALLOW(SYS_write),
	ALLOW(SYS_exit),
	ALLOW(SYS_sched_yield),
	/* the service thread */
	ALLOW(SYS_mmap),
	ALLOW(SYS_munmap),
	ALLOW(SYS_mprotect),
	ALLOW(SYS_mremap),
	ALLOW(SYS_madvise),
	ALLOW(SYS_msync),
	ALLOW(SYS_recvmsg),
	ALLOW(SYS_close),
	/* guest threads: before they are let go, and about the time-stamp counter */
	ALLOW(SYS_sigaltstack),
	ALLOW(SYS_set_tid_address),
	ALLOW(SYS_rt_sigprocmask),
	ALLOW(SYS_seccomp),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 4),
	LOAD(args[0]),
	ALLOW(PR_SET_TSC),
	RETURN(SECCOMP_RET_TRAP),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
	RETURN(SECCOMP_RET_TRAP),
	LOAD(args[0]),
	ALLOW(STUB_CLONE_THREAD),
	ALLOW(STUB_CLONE_PROCESS),
	RETURN(SECCOMP_RET_TRAP),
};

/* Of the handler's own copies: SIGBUS, SIGSEGV. */
#define COPY_FAULTS (1ull << 6 | 1ull << 10)

struct action {
	uint64_t handler, flags, restorer, mask;
};

static void handle_signals(void)
{
	static const int handled[] = {4, 5, 7, 8, 11, 23, 31}; /* ILL TRAP BUS FPE SEGV URG SYS */
	struct action ours = {SYSTRAP_CODE + SYSTRAP_AT_HANDLER, SA_FLAGS, SYSTRAP_CODE + SYSTRAP_AT_RETURN, ~COPY_FAULTS};
	struct action ignored = {SIG_IGN, 0, 0, 0};

	for (int signal = 1; signal <= 64; signal++)
		if (signal != SIGKILL && signal != SIGSTOP)
			must(10, call(SYS_rt_sigaction, signal, (long)&ignored, 0, 8, 0, 0));
	for (unsigned i = 0; i < sizeof handled / sizeof *handled; i++)
		must(11, call(SYS_rt_sigaction, handled[i], (long)&ours, 0, 8, 0, 0));
}

static void close_range(unsigned from, unsigned to)
{
	if (call(SYS_close_range, from, to, 0, 0, 0, 0) >= 0)
		return;
	for (unsigned fd = from; fd <= to && fd < 65536; fd++) /* a host or container profile without close_range(2) */
		call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static void map(int step, uintptr_t address, long size, int protection, int flags, int fd, long offset)
{
	must(step, call(SYS_mmap, (long)address, size, protection, flags | MAP_FIXED, fd, offset));
}

__attribute__((noreturn, used)) static void stub_main(const long *initial)
{
	uint64_t no_signals = 0;
	struct rlimit no_core = {0, 0};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
	const char *name = (const char *)initial[1];

	must(1, call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0));
	must(2, call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&no_signals, 0, sizeof no_signals, 0, 0));
	call(SYS_setsid, 0, 0, 0, 0, 0, 0);
	must(3, call(SYS_setrlimit, RLIMIT_CORE, (long)&no_core, 0, 0, 0, 0));
	if (name[0] == 'b') {
		close_range(0, 0x7fffffff);
		for (;;)
			call(SYS_pause, 0, 0, 0, 0, 0, 0);
	}
	/* From here on this may overwrite the initial stack (where addresses aren't randomised); ours is in .bss. */
	map(4, STUB_SCRATCH, STUB_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	map(5, STUB_ORDERS, STUB_PAGE, PROT_READ, MAP_SHARED, STUB_FD_ORDERS, 0);
	map(6, STUB_CODE, STUB_PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, STUB_FD_CODE, 0);
	map(6, SYSTRAP_CODE, SYSTRAP_CODE_SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, STUB_FD_CODE, STUB_PAGE);
	close_range(1, SYSTRAP_FD_WAKE - 1);
	close_range(SYSTRAP_FD_WAKE + 1, 0x7fffffff);
	handle_signals();
	if (initial[0] > 1)
		must(7, call(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0, 0));
	call(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0, 0, 0, 0); /* its copies inherit that */
	must(8, call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
	/* SPEC_ALLOW: the default would slow every guest down to protect against itself. */
	if (call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, (long)&program, 0, 0, 0) < 0)
		must(9, call(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)&program, 0, 0, 0));
	((void (*)(void))(SYSTRAP_CODE + SYSTRAP_AT_PARK))();
	__builtin_unreachable();
}

__attribute__((used, aligned(16))) static char stack[8192];

__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	lea stack+8192(%rip), %rsp\n"
	"	xor %ebp, %ebp\n"
	"	call stub_main\n");
