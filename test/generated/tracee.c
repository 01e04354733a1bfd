/*
 * The tracees of generated programs. Without a C library: nothing happens in them that the tracer has not ordered, and
 * every address that it may see is the same in every run.
 */
#include "tracing.h"

#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define STACK_SIZE 16384

static struct shared *const shared = (struct shared *)SHARED_AT;
/* The stack of actor n, unless it is the one that was executed. */
static _Alignas(16) char stacks[ACTORS][STACK_SIZE];
static int executed;
volatile long watched;

static long call(long nr, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	long result;
	register unsigned long r10 __asm__("r10") = d;
	__asm__ volatile("syscall" : "=a"(result) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return result;
}

/* Whoever has changed what clone returned: both sides are well defined. */
long clone_actor(unsigned long flags, void *stack, int *tid, int self);
__asm__("clone_actor: push %r12\n mov %ecx, %r12d\n xor %r10d, %r10d\n xor %r8d, %r8d\n mov $56, %eax\n syscall\n"
	"test %rax, %rax\n jz 1f\n pop %r12\n ret\n"
	"1: mov %r12d, %edi\n and $-16, %rsp\n call be\nclone_actor_end:\n");
extern const char clone_actor_end[];

/* The way back from a handler, again if somebody lets it come back. */
void restorer(void);
__asm__("restorer: mov $15, %eax\n syscall\n jmp restorer\n");

#define FAULT_LENGTH 7
void fault(void);
__asm__("fault: mov 8, %eax\n ret\n");
void breakpoint(void);
__asm__("breakpoint: int3\n nop\n nop\n ret\n");

static int self_now(void)
{
	char *here = __builtin_frame_address(0);
	return here >= stacks[0] && here < stacks[ACTORS] ? (int)((here - stacks[0]) / STACK_SIZE) : executed;
}

static struct event *next_event(int self)
{
	static struct event lost;
	struct actor *actor = &shared->actors[self];
	return actor->events < EVENTS ? &actor->log[actor->events] : &lost;
}

static void handler(int signo, siginfo_t *info, void *context)
{
	struct ucontext *ucontext = context;
	int self = self_now();
	struct event *event = next_event(self);
	event->kind = HANDLED;
	event->signo = signo;
	event->code = info->si_code;
	event->pid = info->si_code <= 0 || signo == SIGCHLD ? info->si_pid : 0;
	event->value = info->si_code == SI_QUEUE ? info->si_int : 0;
	shared->actors[self].events++;
	if (signo == SIGSEGV && ucontext->uc_mcontext.rip == (unsigned long)fault)
		ucontext->uc_mcontext.rip += FAULT_LENGTH;
}

static long set_action(int signo, int flavour)
{
	static const unsigned long flags[] = {0, 0, SA_SIGINFO, SA_SIGINFO | SA_RESTART,
					      SA_SIGINFO | SA_NODEFER | SA_RESETHAND};
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} action = {flavour == 0 ? (void *)0 : flavour == 1 ? (void *)1 : (void *)handler,
		    flags[flavour] | 0x04000000, restorer, 0};
	return call(SYS_rt_sigaction, signo, (unsigned long)&action, 0, 8);
}

static long make(int child, int flavour)
{
	static const unsigned long flags[] = {
		SIGCHLD,
		CLONE_VM | CLONE_VFORK | SIGCHLD,
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
		SIGUSR1,
		CLONE_UNTRACED | SIGCHLD,
		CLONE_PTRACE | SIGCHLD,
		CLONE_VFORK | SIGCHLD,
		CLONE_PARENT | SIGCHLD,
	};
	return clone_actor(flags[flavour] | CLONE_PARENT_SETTID, stacks[child + 1], &shared->actors[child].pid, child);
}

/* getppid is for the tracer to decide on. */
static long install_filter(int data)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | data),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog fprog = {4, program};
	call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0);
	return call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (unsigned long)&fprog, 0);
}

static long execute(int self)
{
	char digit[] = {'0' + self, 0};
	char *argv[] = {shared->path, digit, NULL}, *envp[] = {NULL};
	return call(SYS_execve, (unsigned long)shared->path, (unsigned long)argv, (unsigned long)envp, 0);
}

static long perform(int self, const struct command *command, long *value)
{
	long a = command->a, b = command->b;
	switch (command->action) {
	case FORK:
		return make(a, b);
	case EXEC:
		return execute(self);
	case EXIT:
		for (;;)
			call(SYS_exit_group, a, 0, 0, 0);
	case THREAD_EXIT:
		for (;;)
			call(SYS_exit, a, 0, 0, 0);
	case KILL:
		return shared->actors[a].pid > 0 ? call(SYS_kill, shared->actors[a].pid, b, 0, 0) : -3;
	case RAISE:
		return call(SYS_tkill, call(SYS_gettid, 0, 0, 0, 0), a, 0, 0);
	case CALL:
		return call(a, 0, 0, 0, 0);
	case MASK: {
		unsigned long set = (unsigned)b;
		return call(SYS_rt_sigprocmask, a, (unsigned long)&set, (unsigned long)value, 8);
	}
	case ACTION:
		return set_action(a, b);
	case FAULT:
		fault();
		return 0;
	case BREAKPOINT:
		breakpoint();
		return 0;
	case TRACEME:
		return call(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
	case WAIT: {
		int status = 0;
		long result = call(SYS_wait4, -1, (unsigned long)&status, a, 0);
		*value = status;
		return result;
	}
	case PAUSE:
		return call(SYS_pause, 0, 0, 0, 0);
	case SLEEP: {
		long time[] = {100000, 0};
		return call(SYS_nanosleep, (unsigned long)time, (unsigned long)time, 0, 0);
	}
	case FILTER:
		return install_filter(a);
	case TOUCH:
		watched = a;
		return 0;
	default:
		return 0;
	}
}

__attribute__((noreturn, used)) static void be(int self)
{
	for (;;) {
		struct command command;
		/* a tracer may have changed the call or its result */
		if (call(SYS_read, PIPE_FD + 2 * self, (unsigned long)&command, sizeof command, 0) != sizeof command)
			continue;
		long value = 0, result = perform(self, &command, &value);
		struct event *event = next_event(self);
		event->kind = RETURNED;
		event->action = command.action;
		event->result = result;
		event->value = value;
		shared->actors[self].events++;
	}
}

__attribute__((noreturn, used)) static void begin(long *stack)
{
	char **argv = (char **)(stack + 1);
	executed = argv[1][0] - '0';
	register long fd __asm__("r8") = SHARED_FD;
	register long r9 __asm__("r9") = 0;
	register long flags __asm__("r10") = MAP_SHARED | MAP_FIXED;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(SYS_mmap), "D"(SHARED_AT), "S"(sizeof *shared), "d"(PROT_READ | PROT_WRITE), "r"(flags), "r"(fd),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	shared->clone_code = (unsigned long)clone_actor;
	shared->clone_code_end = (unsigned long)clone_actor_end;
	be(executed);
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
