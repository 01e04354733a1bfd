/*
 * Tests one by one what the platforms need of the host, for `doctor`: 0 or an errno. Slow (some fork the whole
 * process) and on the calling thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "systrap.h"
#include "tracer.h"

enum probe { PROBE_PTRACE, PROBE_SYSEMU, PROBE_SECCOMP, PROBE_TSC, PROBE_MEMFD, PROBE_VM, PROBE_SCM, PROBE_AFFINITY, PROBE_VDSO, PROBE_TRAP, PROBE_FSGSBASE };

/* Runs `body` in a child; its result. */
static int in_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (pid == 0)
		_exit(body());
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EFAULT;
}

static int install_filter(void)
{
	struct sock_filter filter[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {1, filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return errno;
	return 0;
}

static int trap_tsc(void)
{
	return prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) < 0 ? errno : 0;
}

/* A part of it can't be unmapped (EINVAL), but if it is sealed the host says so first. */
static int unmap_vdso(void)
{
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR);

	return vdso && syscall(SYS_munmap, vdso, 4096) < 0 && errno == EPERM ? EPERM : 0;
}

static int await_stop(pid_t pid, int wanted)
{
	int status;

	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return errno;
	return WIFSTOPPED(status) && WSTOPSIG(status) == wanted ? 0 : WIFEXITED(status) ? WEXITSTATUS(status) : EFAULT;
}

static int emulate_call(pid_t pid)
{
	struct user_regs_struct regs;
	int error, status;

	if (ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0 || ptrace(PTRACE_SYSEMU, pid, 0, 0) < 0)
		return errno;
	error = await_stop(pid, SIGTRAP | 0x80);
	if (error)
		return error;
	if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
		return errno;
	regs.rax = 4242;
	if (ptrace(PTRACE_SETREGS, pid, 0, &regs) < 0 || ptrace(PTRACE_CONT, pid, 0, 0) < 0)
		return errno;
	if (waitpid(pid, &status, __WALL) < 0)
		return errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 42 ? 0 : ENOSYS; /* a kernel that pretends, but runs the call */
}

static int read_memory(pid_t pid)
{
	static const char here[] = "memory";
	char there[sizeof here];
	struct iovec local = {there, sizeof there}, remote = {(void *)here, sizeof here};

	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != sizeof there)
		return errno;
	return memcmp(here, there, sizeof here) ? EIO : 0;
}

/* Has a child stop to be traced, and `body` do something with it. */
static int with_tracee(int (*body)(pid_t))
{
	int error;
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
			_exit(errno);
		raise(SIGSTOP);
		for (;;)
			if (syscall(SYS_gettid) == 4242)
				_exit(42);
	}
	error = await_stop(pid, SIGSTOP);
	if (error == 0 && body)
		error = body(pid);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	return error;
}

static int memfd(void)
{
	int fd = memfd_create("probe", MFD_CLOEXEC | MFD_ALLOW_SEALING), error = 0;

	if (fd < 0)
		return errno;
	if (ftruncate(fd, 4096) < 0 || fcntl(fd, F_ADD_SEALS, 0x0010 /* F_SEAL_FUTURE_WRITE */) < 0)
		error = errno;
	close(fd);
	return error;
}

static int pass_descriptor(void)
{
	int pair[2], error = 0;
	char byte = 0, control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
		return errno;
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &pair[0], sizeof(int));
	if (sendmsg(pair[0], &message, MSG_DONTWAIT) < 0)
		error = errno;
	close(pair[0]);
	close(pair[1]);
	return error;
}

static int affinity(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) < 0 || sched_setaffinity(0, sizeof set, &set) < 0 ? errno : 0;
}

static volatile int trapped;

static void on_trap(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	trapped = info->si_code == SYS_SECCOMP && info->si_syscall == SYS_getppid;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = 4242;
}

/* A system call becomes a signal, whose handler answers it from its own stack. */
static int trap_call(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
	struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	static char memory[65536];
	stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
	sigset_t none;

	sigemptyset(&none);
	if (sigaltstack(&stack, NULL) < 0 || sigaction(SIGSYS, &action, NULL) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return errno;
	/* not prctl: guest threads can make no other call for it */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) < 0)
		return errno;
	return syscall(SYS_getppid) == 4242 && trapped ? 0 : ENOSYS;
}

EXPORT int sentry_probe(int which)
{
	switch ((enum probe)which) {
	case PROBE_PTRACE:
		return with_tracee(NULL);
	case PROBE_SYSEMU:
		return with_tracee(emulate_call);
	case PROBE_SECCOMP:
		return in_child(install_filter);
	case PROBE_TSC:
		return in_child(trap_tsc);
	case PROBE_MEMFD:
		return memfd();
	case PROBE_VM:
		return with_tracee(read_memory);
	case PROBE_SCM:
		return pass_descriptor();
	case PROBE_AFFINITY:
		return affinity();
	case PROBE_VDSO:
		return in_child(unmap_vdso);
	case PROBE_TRAP:
		return in_child(trap_call);
	case PROBE_FSGSBASE:
		return getauxval(AT_HWCAP2) & 2 /* HWCAP2_FSGSBASE */ ? 0 : ENOSYS;
	}
	return EINVAL;
}
