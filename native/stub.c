/*
 * build/stub: the program that becomes the zygote, of which every guest address space is a copy (or, called by the name
 * "bell", the bell: a process that sleeps for ever and whose signals wake the tracer). With an argument, guests can't
 * read the time-stamp counter.
 *
 * Freestanding: nothing but system calls, so that nothing of a C library stays behind. It makes itself harmless and
 * empty: own session, no core dumps, no descriptors but its socket, no privileges to gain, a seccomp filter that allows
 * what the tracer injects and kills on the rest, and finally no memory but the stub pages.
 * A failed step ends it with the step's number as exit status.
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
#include "stub.h"

#define ENOSYS 38

/* The vsyscall page is not in any address space: the host emulates a call to it, but asks the filter first. */
#define TRAP(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), RETURN(SECCOMP_RET_TRAP)

/* The second guard. Guests run under PTRACE_SYSEMU and never get as far as this; if one did, it would be killed.
 * An x32 number has bit 30 set and so matches nothing. */
static struct sock_filter filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	RETURN(SECCOMP_RET_KILL_PROCESS),
	LOAD(nr),
	ALLOW(SYS_mmap),
	ALLOW(SYS_munmap),
	ALLOW(SYS_mprotect),
	ALLOW(SYS_mremap),
	ALLOW(SYS_madvise),
	ALLOW(SYS_msync),
	ALLOW(SYS_recvmsg),
	ALLOW(SYS_close),
	ALLOW(SYS_exit),
	ALLOW(SYS_exit_group),
	TRAP(SYS_gettimeofday),
	TRAP(SYS_time),
	TRAP(SYS_getcpu),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 4),
	LOAD(args[0]),
	ALLOW(PR_SET_TSC),
	RETURN(SECCOMP_RET_KILL_PROCESS),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
	RETURN(SECCOMP_RET_KILL_PROCESS),
	LOAD(args[0]),
	ALLOW(STUB_CLONE_THREAD),
	ALLOW(STUB_CLONE_PROCESS),
	RETURN(SECCOMP_RET_KILL_PROCESS),
};

static void close_descriptors(void)
{
	if (call(SYS_close_range, 1, 0x7fffffff, 0, 0, 0, 0) >= 0)
		return;
	for (int fd = 1; fd < 65536; fd++) /* a host or container profile without close_range(2) */
		call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static void map(int step, uintptr_t address, int protection, int flags, int fd)
{
	must(step, call(SYS_mmap, (long)address, STUB_PAGE, protection, flags | MAP_FIXED, fd, 0));
}

/* Whether `address` is in user space. Unmaps the page there: nothing up there is needed any more. */
static int is_user_space(uintptr_t address)
{
	return call(SYS_munmap, (long)address, STUB_PAGE, 0, 0, 0, 0) == 0;
}

/* Where the stub goes so that it ends where user space ends. */
static uintptr_t find_base(void)
{
	uintptr_t inside = STUB_LOWEST, outside = STUB_END;

	if (is_user_space(STUB_END - STUB_PAGE))
		return STUB_BASE;
	while (outside - inside > STUB_PAGE) {
		uintptr_t middle = inside + (outside - inside) / 2 / STUB_PAGE * STUB_PAGE;

		if (is_user_space(middle))
			inside = middle;
		else
			outside = middle;
	}
	return outside - (STUB_END - STUB_BASE);
}

__attribute__((noreturn, used)) static void stub_main(const long *initial)
{
	uint64_t no_signals = 0;
	struct rlimit no_core = {0, 0};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
	const char *name = (const char *)initial[1];
	int traps_counter = initial[0] > 1;
	uintptr_t base;

	must(1, call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0));
	must(2, call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&no_signals, 0, sizeof no_signals, 0, 0));
	call(SYS_setsid, 0, 0, 0, 0, 0, 0);
	must(3, call(SYS_setrlimit, RLIMIT_CORE, (long)&no_core, 0, 0, 0, 0));
	if (name[0] == 'b') {
		call(SYS_close, 0, 0, 0, 0, 0, 0);
		close_descriptors();
		for (;;)
			call(SYS_pause, 0, 0, 0, 0, 0, 0);
	}
	/* From here on this may overwrite the initial stack (where addresses aren't randomised); ours is in .bss. */
	base = find_base();
	map(4, base, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	map(5, base + (STUB_ORDERS - STUB_BASE), PROT_READ, MAP_SHARED, STUB_FD_ORDERS);
	map(6, base + (STUB_CODE - STUB_BASE), PROT_READ | PROT_EXEC, MAP_PRIVATE, STUB_FD_CODE);
	close_descriptors();
	if (traps_counter)
		must(7, call(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0, 0));
	call(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0, 0, 0, 0); /* its copies inherit that */
	must(8, call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
	/* SPEC_ALLOW: the default would slow every guest down to protect against itself. */
	if (call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, (long)&program, 0, 0, 0) < 0)
		must(9, call(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)&program, 0, 0, 0));
	((void (*)(uintptr_t))(base + (STUB_CODE - STUB_BASE)))(base);
	__builtin_unreachable();
}

__attribute__((used, aligned(16))) static char stack[8192];

__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	lea stack+8192(%rip), %rsp\n"
	"	xor %ebp, %ebp\n"
	"	call stub_main\n");
