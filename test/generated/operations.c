/*
 * The operations of generated programs, executed by the thread that the controller chose. Arguments are Linux's own
 * numbers, but for processes: those are called by their number in the program, see `target`.
 *
 * System calls are made directly: the C library's wrappers hide some of what the kernel says.
 */
#include "interpreter.h"

/* Who executes this. */
static __thread int self_process, self_thread;

static struct process *my_process(void)
{
	return &shared->processes[self_process];
}

static struct thread *me(void)
{
	return &my_process()->threads[self_thread];
}

static int pid_of(int process)
{
	return process < 0 || process >= PROCESSES ? 0 : shared->processes[process].pid;
}

/* The operation named a process that was never made. */
#define NOBODY ENOTUNIQ

/* Whom kill and wait mean: 0..4 a process, 10..14 its group, -1 all, -2 the own group. 1 if there was none such. */
static int target(int number)
{
	int pid = pid_of(number % 10);
	if (number == -1)
		return -1;
	if (number == -2)
		return 0;
	if (pid == 0)
		return 1;
	return number >= 10 ? -pid : pid;
}

/* ---- what is said ------------------------------------------------------------------------------------------------- */

static void linger(void)
{
	if (!shared->lazy)
		return;
	for (volatile int i = 0; i < 300000; i++)
		;
}

static struct event *new_result(const struct command *command, long result)
{
	static struct event lost;
	struct thread *thread = me();
	linger();
	if (thread->results >= RESULTS)
		return &lost;
	struct event *event = &thread->events[thread->results];
	memset(event, 0, sizeof *event);
	event->operation = command->operation;
	event->result = result;
	return event;
}

static void publish(void)
{
	me()->results++;
}

static long error_of(long result)
{
	return result < 0 ? -errno : result;
}

static void say(const struct command *command, long result)
{
	new_result(command, result);
	publish();
}

static void say_value(const struct command *command, long result, long value)
{
	struct event *event = new_result(command, result);
	event->kind = WITH_VALUE;
	event->extra = value;
	publish();
}

static void take_info(struct event *event, const siginfo_t *info)
{
	event->signo = info->si_signo;
	event->code = info->si_code;
	event->pid = info->si_code == SI_KERNEL ? 0 : info->si_pid;
	event->value = 0;
	if (info->si_signo != 0 && info->si_code > 0 && info->si_code < SI_KERNEL)
		event->value = info->si_status;
	else if (info->si_code == SI_QUEUE)
		event->value = info->si_value.sival_int;
}

static void say_info(const struct command *command, long result, const siginfo_t *info)
{
	struct event *event = new_result(command, result);
	event->kind = WITH_INFO;
	take_info(event, info);
	publish();
}

static void log_handler(enum event_kind kind, int signo, const siginfo_t *info)
{
	struct thread *thread = me();
	unsigned at = __atomic_fetch_add(&thread->handled, 1, __ATOMIC_SEQ_CST);
	if (at >= HANDLED)
		return;
	struct event *event = &thread->handlers[at];
	memset(event, 0, sizeof *event);
	event->kind = kind;
	if (info != NULL)
		take_info(event, info);
	event->signo = signo;
}

static void handler(int signo)
{
	log_handler(ENTER, signo, NULL);
	log_handler(LEAVE, signo, NULL);
}

/* With SA_SIGINFO. */
static void info_handler(int signo, siginfo_t *info, void *context)
{
	(void)context;
	log_handler(ENTER_WITH_INFO, signo, info);
	log_handler(LEAVE, signo, NULL);
}

static void block(void)
{
	me()->state = BLOCKED;
}

static void unblock(void)
{
	me()->state = RUNNING;
}

/* ---- processes and threads ---------------------------------------------------------------------------------------- */

enum flavour {
	FORK,
	VFORK_EXEC,
	FORK_USR1,
	FORK_SILENT,
	FORK_SIBLING,
	VFORK_EXIT,
	FORK_REALTIME,
};

static const unsigned long clone_flags[] = {
	[FORK] = SIGCHLD,
	[FORK_USR1] = SIGUSR1,
	[FORK_SILENT] = 0,
	[FORK_SIBLING] = CLONE_PARENT | SIGCHLD,
	[FORK_REALTIME] = 36,
};

static void op_fork(const struct command *command)
{
	int number = command->a, flavour = command->b;
	struct process *child = &shared->processes[number];
	char text[8];
	char *arguments[] = {program_path, "resume", text, NULL};
	if (number < 1 || number >= PROCESSES || child->used) {
		say(command, -NOBODY);
		return;
	}
	snprintf(text, sizeof text, "%d", number);
	child->threads[0].state = STARTING;
	int pid;
	if (flavour == VFORK_EXEC || flavour == VFORK_EXIT) {
		child->used = flavour == VFORK_EXEC;
		pid = vfork();
		if (pid == 0) {
			if (flavour == VFORK_EXIT)
				_exit(33);
			execv(program_path, arguments);
			_exit(127);
		}
	} else {
		child->used = 1;
		pid = flavour == FORK ? fork() : syscall(SYS_clone, clone_flags[flavour], 0, 0, 0, 0);
		if (pid == 0)
			be_thread(number, 0);
	}
	if (pid > 0)
		child->pid = pid;
	child->used = pid > 0;
	say(command, error_of(pid));
}

static void op_exec(const struct command *command)
{
	char text[8];
	char *arguments[] = {program_path, "resume", text, NULL};
	snprintf(text, sizeof text, "%d", self_process);
	my_process()->execing = 1;
	say(command, 0);
	execv(program_path, arguments);
	my_process()->execing = 0;
	say(command, -errno);
}

struct start {
	int process, thread;
};

static void *start_thread(void *argument)
{
	struct start start = *(struct start *)argument;
	free(argument);
	be_thread(start.process, start.thread);
}

static void op_thread(const struct command *command)
{
	int number = command->a;
	struct thread *thread = &my_process()->threads[number];
	if (number < 1 || number >= THREADS || thread->state != UNUSED) {
		say(command, -NOBODY);
		return;
	}
	pthread_attr_t attributes;
	pthread_t id;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 1 << 18);
	struct start *start = malloc(sizeof *start);
	start->process = self_process;
	start->thread = number;
	thread->state = STARTING;
	int error = pthread_create(&id, &attributes, start_thread, start);
	if (error != 0)
		thread->state = UNUSED;
	say(command, -error);
}

static void op_exit(const struct command *command)
{
	syscall(SYS_exit_group, command->a);
}

static void op_thread_exit(const struct command *command)
{
	syscall(SYS_exit, command->a);
}

/* ---- signals ------------------------------------------------------------------------------------------------------ */

static void op_kill(const struct command *command)
{
	int pid = target(command->a);
	say(command, pid == 1 ? -NOBODY : error_of(syscall(SYS_kill, pid, command->b)));
}

static void op_tgkill(const struct command *command)
{
	int pid = pid_of(command->a), tid = command->b == 0 ? pid : shared->processes[command->a].threads[command->b].tid;
	say(command, pid == 0 || tid == 0 ? -NOBODY : error_of(syscall(SYS_tgkill, pid, tid, command->c)));
}

static siginfo_t queued_info(int signo, int value)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	info.si_signo = signo;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = value;
	return info;
}

static void op_sigqueue(const struct command *command)
{
	int pid = pid_of(command->a);
	siginfo_t info = queued_info(command->b, command->c);
	say(command, pid == 0 ? -NOBODY : error_of(syscall(SYS_rt_sigqueueinfo, pid, command->b, &info)));
}

static void op_tgsigqueue(const struct command *command)
{
	int pid = pid_of(command->a), tid = command->b == 0 ? pid : shared->processes[command->a].threads[command->b].tid;
	siginfo_t info = queued_info(command->c, command->d);
	say(command,
	    pid == 0 || tid == 0 ? -NOBODY : error_of(syscall(SYS_rt_tgsigqueueinfo, pid, tid, command->c, &info)));
}

static void to_set(sigset_t *set, unsigned long mask)
{
	memset(set, 0, sizeof *set);
	memcpy(set, &mask, sizeof mask);
}

/* signal, 0 default 1 ignore 2 handler, flags, mask */
static void op_sigaction(const struct command *command)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	if (command->b == 0)
		action.sa_handler = SIG_DFL;
	else if (command->b == 1)
		action.sa_handler = SIG_IGN;
	else if (command->c & SA_SIGINFO)
		action.sa_sigaction = info_handler;
	else
		action.sa_handler = handler;
	action.sa_flags = command->c;
	to_set(&action.sa_mask, command->d);
	say(command, error_of(sigaction(command->a, &action, NULL)));
}

void catch_some(void)
{
	static const int signals[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGTERM, SIGINT, 36, 37};
	struct sigaction action = {.sa_sigaction = info_handler, .sa_flags = SA_SIGINFO | SA_RESTART};
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
		sigaction(signals[i], &action, NULL);
		action.sa_flags ^= SA_RESTART;
	}
}

static void op_sigmask(const struct command *command)
{
	unsigned long mask = command->b, old = 0;
	say_value(command, error_of(syscall(SYS_rt_sigprocmask, (int)command->a, &mask, &old, 8)), old & ~(3ul << 31));
}

static void op_sigpending(const struct command *command)
{
	unsigned long mask = 0;
	say_value(command, error_of(syscall(SYS_rt_sigpending, &mask, 8)), mask);
}

static void op_sigtimedwait(const struct command *command)
{
	unsigned long mask = command->a;
	siginfo_t info;
	struct timespec zero = {0, 0};
	memset(&info, 0, sizeof info);
	long result = error_of(syscall(SYS_rt_sigtimedwait, &mask, &info, &zero, 8));
	say_info(command, result, &info);
}

static void op_sigwait(const struct command *command)
{
	unsigned long mask = command->a;
	siginfo_t info;
	memset(&info, 0, sizeof info);
	block();
	long result = error_of(syscall(SYS_rt_sigtimedwait, &mask, &info, NULL, 8));
	unblock();
	say_info(command, result, &info);
}

static void op_sigsuspend(const struct command *command)
{
	unsigned long mask = command->a;
	block();
	long result = error_of(syscall(SYS_rt_sigsuspend, &mask, 8));
	unblock();
	say(command, result);
}

/* ---- what blocks -------------------------------------------------------------------------------------------------- */

static const struct timespec long_time = {1000, 0};

#define BLOCKING(name, call)                            \
	static void name(const struct command *command) \
	{                                               \
		block();                                \
		long result = error_of(call);           \
		unblock();                              \
		say(command, result);                   \
	}

BLOCKING(op_pause, syscall(SYS_pause))
BLOCKING(op_sleep, syscall(SYS_nanosleep, &long_time, NULL))
BLOCKING(op_sleep_until, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){1 << 30, 0}, NULL))
BLOCKING(op_poll, syscall(SYS_poll, NULL, 0, -1))
BLOCKING(op_poll_time, syscall(SYS_poll, NULL, 0, 1000000))
BLOCKING(op_ppoll, syscall(SYS_ppoll, NULL, 0, NULL, &(unsigned long){command->a}, 8))
BLOCKING(op_select, syscall(SYS_select, 0, NULL, NULL, NULL, NULL))
BLOCKING(op_read, read(DATA_FD + 2 * (command->a % DATA_PIPES), &(char){0}, 1))
BLOCKING(op_futex, syscall(SYS_futex, &shared->futex, FUTEX_WAIT, 0, NULL))
BLOCKING(op_futex_time, syscall(SYS_futex, &shared->futex, FUTEX_WAIT, 0, &long_time))

static void op_write(const struct command *command)
{
	say(command, error_of(write(DATA_FD + 2 * (command->a % DATA_PIPES) + 1, "d", 1)));
}

static void op_futex_wake(const struct command *command)
{
	say(command, error_of(syscall(SYS_futex, &shared->futex, FUTEX_WAKE, command->a)));
}

/* ---- waiting for children ----------------------------------------------------------------------------------------- */

static void op_wait4(const struct command *command)
{
	int pid = target(command->a), status = 0x5a5a;
	if (pid == 1) {
		say(command, -NOBODY);
		return;
	}
	block();
	long result = error_of(syscall(SYS_wait4, pid, &status, command->b, NULL));
	unblock();
	say_value(command, result, status);
}

static void op_waitid(const struct command *command)
{
	int pid = command->a == P_ALL ? 0 : command->b == -2 ? 0 : pid_of(command->b % 10);
	siginfo_t info;
	memset(&info, 0, sizeof info);
	block();
	long result = error_of(syscall(SYS_waitid, (int)command->a, pid, &info, command->c, NULL));
	unblock();
	say_info(command, result, &info);
}

/* ---- who is who --------------------------------------------------------------------------------------------------- */

static void op_setpgid(const struct command *command)
{
	int pid = target(command->a), group = target(command->b);
	say(command, pid == 1 || group == 1 ? -NOBODY : error_of(syscall(SYS_setpgid, pid, group)));
}

static void op_setsid(const struct command *command)
{
	say(command, error_of(syscall(SYS_setsid)));
}

static void op_getpgid(const struct command *command)
{
	int pid = target(command->a);
	say(command, pid == 1 ? -NOBODY : error_of(syscall(SYS_getpgid, pid)));
}

static void op_getsid(const struct command *command)
{
	int pid = target(command->a);
	say(command, pid == 1 ? -NOBODY : error_of(syscall(SYS_getsid, pid)));
}

static void op_getppid(const struct command *command)
{
	say(command, syscall(SYS_getppid));
}

static void op_pdeathsig(const struct command *command)
{
	say(command, error_of(syscall(SYS_prctl, PR_SET_PDEATHSIG, command->a, 0, 0, 0)));
}

static void op_subreaper(const struct command *command)
{
	say(command, error_of(syscall(SYS_prctl, PR_SET_CHILD_SUBREAPER, command->a, 0, 0, 0)));
}

const struct operation operations[] = {
	{"fork", op_fork, RETURNS_PID},
	{"exec", op_exec, RETURNS_NUMBER},
	{"thread", op_thread, RETURNS_NUMBER},
	{"exit", op_exit, RETURNS_NUMBER},
	{"thread_exit", op_thread_exit, RETURNS_NUMBER},
	{"kill", op_kill, RETURNS_NUMBER},
	{"tgkill", op_tgkill, RETURNS_NUMBER},
	{"sigqueue", op_sigqueue, RETURNS_NUMBER},
	{"tgsigqueue", op_tgsigqueue, RETURNS_NUMBER},
	{"sigaction", op_sigaction, RETURNS_NUMBER},
	{"sigmask", op_sigmask, RETURNS_NUMBER},
	{"sigpending", op_sigpending, RETURNS_NUMBER},
	{"sigtimedwait", op_sigtimedwait, RETURNS_NUMBER},
	{"sigwait", op_sigwait, RETURNS_NUMBER},
	{"sigsuspend", op_sigsuspend, RETURNS_NUMBER},
	{"pause", op_pause, RETURNS_NUMBER},
	{"sleep", op_sleep, RETURNS_NUMBER},
	{"sleep_until", op_sleep_until, RETURNS_NUMBER},
	{"poll", op_poll, RETURNS_NUMBER},
	{"poll_time", op_poll_time, RETURNS_NUMBER},
	{"ppoll", op_ppoll, RETURNS_NUMBER},
	{"select", op_select, RETURNS_NUMBER},
	{"read", op_read, RETURNS_NUMBER},
	{"write", op_write, RETURNS_NUMBER},
	{"futex", op_futex, RETURNS_NUMBER},
	{"futex_time", op_futex_time, RETURNS_NUMBER},
	{"futex_wake", op_futex_wake, RETURNS_NUMBER},
	{"wait4", op_wait4, RETURNS_PID},
	{"waitid", op_waitid, RETURNS_NUMBER},
	{"setpgid", op_setpgid, RETURNS_NUMBER},
	{"setsid", op_setsid, RETURNS_PID},
	{"getpgid", op_getpgid, RETURNS_PID},
	{"getsid", op_getsid, RETURNS_PID},
	{"getppid", op_getppid, RETURNS_PID},
	{"pdeathsig", op_pdeathsig, RETURNS_NUMBER},
	{"subreaper", op_subreaper, RETURNS_NUMBER},
	{NULL, NULL, RETURNS_NUMBER},
};

void be_thread(int p, int t)
{
	self_process = p;
	self_thread = t;
	if (t == 0) {
		/* the first, and by now the only one of its process */
		my_process()->pid = getpid();
		for (int other = 1; other < THREADS; other++)
			my_process()->threads[other].state = UNUSED;
		me()->seen = me()->sent;
		my_process()->execing = 0;
	}
	me()->tid = syscall(SYS_gettid);
	for (;;) {
		char byte;
		me()->state = IDLE;
		if (read(PIPE_FD + 2 * (p * THREADS + t), &byte, 1) != 1)
			continue;
		struct command command = me()->command;
		me()->state = RUNNING;
		me()->seen = me()->sent;
		operations[command.operation].run(&command);
	}
}
