/*
 * Starting the two processes that a tracer has from the beginning: the zygote and the bell (stub.c), and the
 * descriptors they need. Neither is forked from the embedding process, whose memory is large: clone(CLONE_VM |
 * CLONE_VFORK) borrows it until execve.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "systrap.h"
#include "tracer.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

extern const char stub_code[], stub_code_end[], systrap_code[], systrap_code_end[];

/* Moves a descriptor out of the way of those that the zygote is started with. */
static int high(int fd)
{
	int moved = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 16);
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return moved;
}

static int open_code(struct tracer *t)
{
	size_t size = (size_t)(stub_code_end - stub_code);

	t->code_fd = high(memfd_create("sentry-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	if (t->code_fd < 0)
		return -errno;
	if (write(t->code_fd, stub_code, size) != (ssize_t)size)
		return -EIO;
	size = (size_t)(systrap_code_end - systrap_code); /* the fast platform's, behind it */
	if (write(t->code_fd, systrap_code, size) != (ssize_t)size)
		return -EIO;
	if (fcntl(t->code_fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return 0;
}

/* Sealed after we have mapped it writable: whoever maps it from now on can only read. */
static int open_orders(struct tracer *t)
{
	void *p;

	t->order_fd = high(memfd_create("sentry-orders", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	if (t->order_fd < 0 || ftruncate(t->order_fd, STUB_PAGE) < 0)
		return -errno;
	p = mmap(NULL, STUB_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, t->order_fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	t->orders = p;
	if (fcntl(t->order_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return 0;
}

int spawn_open(struct tracer *t)
{
	int pair[2], error;

	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	t->wake_read_fd = pair[0];
	t->wake_fd = pair[1];
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	t->send_fd = high(pair[0]);
	t->drain_fd = high(pair[1]);
	if (t->send_fd < 0 || t->drain_fd < 0)
		return -errno;
	error = open_code(t);
	return error ? error : open_orders(t);
}

void spawn_close(struct tracer *t)
{
	int *fds[] = {&t->wake_fd, &t->send_fd, &t->drain_fd, &t->code_fd, &t->order_fd};

	if (t->orders)
		munmap(t->orders, STUB_PAGE);
	for (unsigned i = 0; i < sizeof fds / sizeof *fds; i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
}

struct child {
	const struct tracer *t;
	const char *name;
	int error; /* shared memory: set by the child if it can't become the stub */
	int stage;
};

/* Runs in the child, on borrowed memory. */
static int become_stub(void *argument)
{
	struct child *c = argument;
	char *const arguments[] = {(char *)c->name, c->t->trap_counter ? "trap" : NULL, NULL}, *const environment[] = {NULL};

	int wake_fd = fcntl(c->t->wake_fd, F_DUPFD, 16); /* from where none of the others is put */

	c->stage = STAGE_TRACE;
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) == 0) {
		c->stage = STAGE_SPAWN;
		if (dup2(c->t->drain_fd, STUB_FD_SOCKET) >= 0 && dup2(c->t->code_fd, STUB_FD_CODE) >= 0 &&
		    dup2(c->t->order_fd, STUB_FD_ORDERS) >= 0 && dup2(wake_fd, SYSTRAP_FD_WAKE) >= 0)
			execve(c->t->stub_path, arguments, environment);
	}
	c->error = -errno;
	_exit(127);
}

static int await(pid_t pid, int *status)
{
	pid_t got;

	while ((got = waitpid(pid, status, __WALL | __WNOTHREAD)) < 0 && errno == EINTR)
		;
	return got < 0 ? -errno : 0;
}

/* A stub process, stopped at its first instruction. */
static int spawn(struct tracer *t, const char *name, pid_t *pid)
{
	static const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
				    PTRACE_O_TRACEVFORK;
	char stack[16384] __attribute__((aligned(16)));
	struct child child = {.t = t, .name = name};
	int status;

	t->stage = STAGE_SPAWN;
	*pid = clone(become_stub, stack + sizeof stack, CLONE_VM | CLONE_VFORK, &child);
	if (*pid < 0)
		return -errno;
	if (await(*pid, &status) < 0 || !WIFSTOPPED(status)) {
		*pid = 0;
		t->stage = child.stage;
		return child.error ? child.error : -ECHILD;
	}
	t->stage = STAGE_TRACE;
	if (ptrace(PTRACE_SETOPTIONS, *pid, 0, options) < 0)
		return -errno;
	return 0;
}

static int measure_xstate(struct tracer *t)
{
	uint8_t image[DATA_SIZE];
	struct iovec iov = {image, sizeof image};

	t->stage = STAGE_XSTATE;
	if (ptrace(PTRACE_GETREGSET, t->zygote, NT_X86_XSTATE, &iov) < 0)
		return -errno;
	t->xstate_size = (uint32_t)iov.iov_len;
	return 0;
}

/* Runs the zygote from execve to where it parks. A failed step of stub.c is its exit status: -ECANCELED - step. */
int spawn_zygote(struct tracer *t)
{
	int error = spawn(t, "effect-sentry stub", &t->zygote), status;
	struct user_regs_struct regs;

	if (error)
		return error;
	t->by_tid[t->zygote] = TID_ZYGOTE;
	t->stage = STAGE_STUB;
	for (;;) {
		ptrace(PTRACE_CONT, t->zygote, 0, 0);
		error = await(t->zygote, &status);
		if (error)
			return error;
		if (!WIFSTOPPED(status)) {
			t->zygote = 0;
			return WIFEXITED(status) ? -(1000 + WEXITSTATUS(status)) : -(2000 + WTERMSIG(status));
		}
		if (WSTOPSIG(status) == SIGTRAP)
			break;
	}
	if (ptrace(PTRACE_GETREGS, t->zygote, 0, &regs) < 0)
		return -errno;
	if (regs.rax != 0)
		return (int)regs.rax; /* munmap of everything else */
	t->stub_base = regs.rbx;
	return measure_xstate(t);
}

int spawn_bell(struct tracer *t)
{
	int error = spawn(t, "bell", &t->bell);

	if (error)
		return error;
	t->by_tid[t->bell] = TID_BELL;
	return ptrace(PTRACE_CONT, t->bell, 0, 0) < 0 ? -errno : 0;
}
