/*
 * Executes generated programs over a tracer and its tracees, natively and in the sandbox.
 *
 * Standard input holds programs: `begin FLAGS`, then one line an operation, `NAME ACTOR A B C`, then `end`. A tracer,
 * made for each program, carries them out: it makes actors (tracee.c), gives them something to do, and uses ptrace(2) on
 * them. After each operation it waits until nothing moves, every actor is stopped, sleeps, or is gone, and then prints
 * what wait(2) reports of each and what ptrace(2) says in that stop. So nothing depends on scheduling; actors are
 * called by their number, never by pid.
 *
 * The tracer is gone at the end, and this file's `control` says what became of its tracees.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "output.h"
#include "tracing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ptrace.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STUCK_AFTER_MS 4000

/* Flags of a program. */
enum { LAZY = 1 /* wait(2) is called only where the program says so */ };

static struct shared *shared;
static int passes = 2, flags, tracer_pid;
static char states[ACTORS], known_states[ACTORS];
static unsigned told[ACTORS];

/* glibc's header and the kernel's don't go together. */
static long trace(long request, int pid, unsigned long address, unsigned long data)
{
	long result = syscall(SYS_ptrace, request, pid, address, data);
	return result == -1 ? -errno : result;
}

/* ---- printing ----------------------------------------------------------------------------------------------------- */

static const char *name_of(long pid)
{
	static char names[8][16];
	static int next;
	if (pid == 0)
		return "0";
	if (pid == tracer_pid)
		return "T";
	for (int i = 0; i < ACTORS; i++)
		if (shared->actors[i].pid == pid) {
			char *name = names[next++ % 8];
			snprintf(name, 16, "a%d", i);
			return name;
		}
	return "?";
}

static const char *error_name(long result)
{
	const char *name = strerrorname_np(-result);
	static char text[16];
	snprintf(text, sizeof text, "%ld", result);
	return name != NULL ? name : text;
}

/* A result; of calls that return a pid whose it is. */
static const char *result_text(long result, int is_pid)
{
	static char text[8][32];
	static int next;
	char *at = text[next++ % 8];
	if (result < 0 && result > -4096)
		return error_name(result);
	if (is_pid && result > 0)
		return name_of(result);
	snprintf(at, sizeof text[0], "%lx", result);
	return at;
}

static int returns_pid(long nr)
{
	return nr == SYS_clone || nr == SYS_getpid || nr == SYS_getppid || nr == SYS_gettid || nr == SYS_wait4;
}

/* ---- waiting until nothing moves ---------------------------------------------------------------------------------- */

static long now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The beginning of a file of /proc/pid; empty if there is none. */
static void read_proc(int pid, const char *name, char *text, size_t size)
{
	char path[64];
	text[0] = 0;
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	int length = read(fd, text, size - 1);
	close(fd);
	text[length < 0 ? 0 : length] = 0;
}

/* The letter in /proc/pid/stat; 0 if there is none. */
static char state_of(int pid)
{
	char text[512];
	if (pid <= 0)
		return 0;
	read_proc(pid, "stat", text, sizeof text);
	char *end = strrchr(text, ')');
	return end == NULL || end[2] == 'X' ? 0 : end[2];
}

static int is_quiet(unsigned *sum)
{
	int quiet = 1;
	*sum = 0;
	for (int i = 0; i < ACTORS; i++) {
		states[i] = state_of(shared->actors[i].pid);
		*sum = *sum * 31 + states[i] * 7 + shared->actors[i].events;
		if (states[i] == 'R')
			quiet = 0;
	}
	return quiet;
}

/* False if that takes too long. */
static int settle(void)
{
	long start = now_ms();
	unsigned last = 0, sum;
	for (int tries = 0, same = 0;; tries++) {
		if (is_quiet(&sum)) {
			same = same > 0 && sum == last ? same + 1 : 1;
			last = sum;
			if (same >= passes)
				return 1;
		} else
			same = 0;
		if (now_ms() - start > STUCK_AFTER_MS)
			return 0;
		struct timespec pause = {0, tries < 20 ? 20000 : 300000};
		nanosleep(&pause, NULL);
	}
}

/* ---- what a stop says --------------------------------------------------------------------------------------------- */

static void say_siginfo(int pid)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	long result = trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
	if (result < 0) {
		say(" siginfo %s", error_name(result));
		return;
	}
	say(" siginfo %d %x", info.si_signo, info.si_code);
	if (info.si_signo == SIGCHLD && info.si_code > 0)
		say(" from %s status %x", name_of(info.si_pid), info.si_status);
	else if (info.si_code == SI_QUEUE)
		say(" value %d", info.si_value.sival_int);
	else if (info.si_code > 0 && info.si_code < SI_KERNEL && (info.si_signo == SIGSEGV || info.si_code < SIGTRAP))
		say(" at %p", info.si_addr);
	else
		say(" from %s", name_of(info.si_pid));
}

static void say_message(int pid, int event)
{
	unsigned long message = 0x5a5a;
	long result = trace(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&message);
	int is_pid = event >= PTRACE_EVENT_FORK && event <= PTRACE_EVENT_VFORK_DONE;
	say(" message %s", result < 0 ? error_name(result) : is_pid ? name_of(message) : result_text(message, 0));
}

static void say_call(int pid)
{
	struct ptrace_syscall_info info;
	memset(&info, 0, sizeof info);
	long result = trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, (unsigned long)&info);
	say(" call %s %d", result_text(result, 0), info.op);
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		say(" nr %lld", info.entry.nr);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		say(" error %d", info.exit.is_error);
	else if (info.op == PTRACE_SYSCALL_INFO_SECCOMP)
		say(" nr %lld data %x", info.seccomp.nr, info.seccomp.ret_data);
}

static void say_stop(int pid, int status)
{
	say_siginfo(pid);
	say_message(pid, status >> 16);
	say_call(pid);
	struct user_regs_struct regs;
	long result = trace(PTRACE_GETREGS, pid, 0, (unsigned long)&regs);
	if (result < 0)
		say(" regs %s", error_name(result));
	else {
		int is_pid = returns_pid((long)regs.orig_rax) ||
			     (regs.rip >= shared->clone_code && regs.rip < shared->clone_code_end);
		say(" rip %llx rax %s orig %lld flags %llx", regs.rip, result_text(regs.rax, is_pid), regs.orig_rax,
		    regs.eflags & 0x100);
	}
}

/* What wait(2) has to report of an actor. Whether that was its end. */
static int collect(int actor)
{
	int pid = shared->actors[actor].pid, status, ended = 0;
	for (int tries = 0; pid > 0 && tries < 8; tries++) {
		int got = waitpid(pid, &status, WNOHANG | __WALL | WUNTRACED | WCONTINUED);
		if (got != pid)
			break;
		say("  a%d: status %x", actor, status);
		if (WIFSTOPPED(status))
			say_stop(pid, status);
		say("\n");
		ended = WIFEXITED(status) || WIFSIGNALED(status);
	}
	return ended;
}

static void say_events(int i)
{
	struct actor *actor = &shared->actors[i];
	for (; told[i] < actor->events && told[i] < EVENTS; told[i]++) {
		struct event *event = &actor->log[told[i]];
		if (event->kind == HANDLED)
			say("  a%d > %d %d from %s %ld\n", i, event->signo, event->code, name_of(event->pid), event->value);
		else
			say("  a%d = %s %lx\n", i,
			    result_text(event->result, event->action == FORK || event->action == CALL || event->action == WAIT),
			    event->value);
	}
}

static void say_everything(int collects)
{
	int ended = 0;
	for (int i = 0; i < ACTORS; i++) {
		if (collects)
			ended |= collect(i);
		say_events(i);
	}
	if (ended) /* an execve(2) may have waited for that */
		settle();
	for (int i = 0; i < ACTORS; i++) {
		states[i] = state_of(shared->actors[i].pid);
		if (states[i] != known_states[i])
			say("  a%d is %c\n", i, states[i] == 0 ? '-' : states[i]);
		known_states[i] = states[i];
	}
}

/* ---- operations of the tracer ------------------------------------------------------------------------------------- */

struct operation {
	const char *name;
	long request; /* of ptrace(2), or one of those below */
	enum { NONE, SIGNAL_IN_DATA, OPTIONS_IN_DATA } arguments;
};

enum { SPAWN = -100, DO, SEND, SEND_THREAD, SET_INFO, PEEK_INFO, GET_MASK, SET_MASK, SET_REGISTER, COLLECT, WAITID, LOOK };

static const struct operation operations[] = {
	{"spawn", SPAWN, NONE}, {"do", DO, NONE}, {"kill", SEND, NONE}, {"tkill", SEND_THREAD, NONE},
	{"setinfo", SET_INFO, NONE}, {"peekinfo", PEEK_INFO, NONE}, {"getmask", GET_MASK, NONE}, {"setmask", SET_MASK, NONE},
	{"setreg", SET_REGISTER, NONE}, {"collect", COLLECT, NONE}, {"waitid", WAITID, NONE}, {"look", LOOK, NONE},
	{"attach", PTRACE_ATTACH, NONE}, {"seize", PTRACE_SEIZE, OPTIONS_IN_DATA}, {"interrupt", PTRACE_INTERRUPT, NONE},
	{"listen", PTRACE_LISTEN, NONE}, {"detach", PTRACE_DETACH, SIGNAL_IN_DATA}, {"cont", PTRACE_CONT, SIGNAL_IN_DATA},
	{"syscall", PTRACE_SYSCALL, SIGNAL_IN_DATA}, {"step", PTRACE_SINGLESTEP, SIGNAL_IN_DATA},
	{"sysemu", PTRACE_SYSEMU, SIGNAL_IN_DATA}, {"emustep", PTRACE_SYSEMU_SINGLESTEP, SIGNAL_IN_DATA},
	{"killreq", PTRACE_KILL, NONE}, {"options", PTRACE_SETOPTIONS, OPTIONS_IN_DATA},
};

static int pipe_end(int actor, int end)
{
	return PIPE_FD + 2 * actor + end;
}

/* A new actor: traced from before its execve on if `traced`. */
static long spawn(int actor, int traced)
{
	char digit[] = {'0' + actor, 0};
	char *argv[] = {shared->path, digit, NULL}, *envp[] = {NULL};
	int pid = fork();
	if (pid == 0) {
		shared->actors[actor].pid = getpid();
		if (traced)
			trace(PTRACE_TRACEME, 0, 0, 0);
		execve(shared->path, argv, envp);
		_exit(127);
	}
	shared->actors[actor].pid = pid;
	/* what it executes may have to come from a disk: that is no wait of its own */
	for (long start = now_ms(); state_of(pid) == 'D' || state_of(pid) == 'R';) {
		if (now_ms() - start > STUCK_AFTER_MS)
			break;
		usleep(20);
	}
	return pid;
}

/* Each number is given once, even if whoever was to make the actor never does. */
static int free_actor(void)
{
	static int next;
	return next < ACTORS ? next++ : -1;
}

/* A number in /proc/pid/status; 0 if there is none. */
static int status_of(int pid, const char *name)
{
	char text[4096];
	read_proc(pid, "status", text, sizeof text);
	char *at = strstr(text, name);
	return at == NULL ? 0 : atoi(at + strlen(name));
}

/* Whether a signal from one actor to another comes back to it: a parent hears what becomes of a child, and threads stop together. */
static int is_answered(int from, int to)
{
	int group = status_of(shared->actors[from].pid, "\nTgid:");
	return from != to && (status_of(shared->actors[to].pid, "\nPPid:") == group || status_of(shared->actors[to].pid, "\nTgid:") == group);
}

static long instruct(int actor, int action, int a, int b)
{
	struct command command = {action, a, b, 0};
	/* Whether the answer finds it still on its way to its next order, or waiting for it, would be left to chance. So it
	 * waits first, and the tracer sends the signal. */
	if (action == KILL && is_answered(actor, a)) {
		command.action = IDLE;
		long result = write(pipe_end(actor, 1), &command, sizeof command);
		settle();
		return kill(shared->actors[a].pid, b) < 0 ? -errno : result;
	}
	if (action == FORK) {
		command.a = free_actor();
		if (command.a < 0)
			return -EAGAIN;
	}
	return write(pipe_end(actor, 1), &command, sizeof command);
}

static long set_info(int pid, int signo)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	info.si_signo = signo;
	info.si_code = SI_QUEUE;
	info.si_value.sival_int = 77;
	return trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)&info);
}

static long peek_info(int pid, int shared_too, int offset, int count)
{
	struct ptrace_peeksiginfo_args args = {.off = offset, .flags = shared_too, .nr = count};
	siginfo_t infos[4];
	long got = trace(PTRACE_PEEKSIGINFO, pid, (unsigned long)&args, (unsigned long)infos);
	for (long i = 0; i < got; i++)
		say("  pending %d %d from %s\n", infos[i].si_signo, infos[i].si_code, name_of(infos[i].si_pid));
	return got;
}

static long get_mask(int pid)
{
	uint64_t mask = 0;
	long result = trace(PTRACE_GETSIGMASK, pid, 8, (unsigned long)&mask);
	return result < 0 ? result : (long)mask;
}

static long set_mask(int pid, unsigned low)
{
	uint64_t mask = low;
	return trace(PTRACE_SETSIGMASK, pid, 8, (unsigned long)&mask);
}

/* Only where a call is made or was made: elsewhere the tracee would go on somewhere that nobody has written. */
static long set_register(int pid, int which, long value)
{
	struct user_regs_struct regs;
	struct ptrace_syscall_info info = {0};
	long result = trace(PTRACE_GETREGS, pid, 0, (unsigned long)&regs);
	if (result < 0)
		return result;
	trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, (unsigned long)&info);
	int in_call = info.op == PTRACE_SYSCALL_INFO_ENTRY || info.op == PTRACE_SYSCALL_INFO_EXIT ||
		      info.op == PTRACE_SYSCALL_INFO_SECCOMP;
	if (!in_call && (which != 0 || (long)regs.orig_rax < 0))
		return -ENOTUNIQ;
	/* nor is a call that made an actor to be made again, or a new program to look as if it was not */
	int is_done = info.op != PTRACE_SYSCALL_INFO_ENTRY && info.op != PTRACE_SYSCALL_INFO_SECCOMP;
	if (is_done && (regs.orig_rax == SYS_execve || regs.orig_rax == SYS_clone))
		return -ENOTUNIQ;
	size_t offset = which == 0 ? offsetof(struct user, regs.rax) : offsetof(struct user, regs.orig_rax);
	return trace(PTRACE_POKEUSR, pid, offset, value);
}

static long wait_id(int pid, int options)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	if (waitid(P_PID, pid, &info, options | WNOHANG | __WALL) < 0)
		return -errno;
	if (info.si_pid != 0)
		say("  %s: code %d status %x\n", name_of(info.si_pid), info.si_code, info.si_status);
	return info.si_pid != 0;
}

static long carry_out(const struct operation *operation, int actor, const long *arguments)
{
	int pid = shared->actors[actor].pid;
	long a = arguments[0], b = arguments[1], c = arguments[2];
	switch (operation->request) {
	case SPAWN:
		return 0;
	case DO:
		return instruct(actor, a, b, c);
	case SEND:
		return kill(pid, a) < 0 ? -errno : 0;
	case SEND_THREAD:
		return syscall(SYS_tkill, pid, a) < 0 ? -errno : 0;
	case SET_INFO:
		return set_info(pid, a);
	case PEEK_INFO:
		return peek_info(pid, a, b, c);
	case GET_MASK:
		return get_mask(pid);
	case SET_MASK:
		return set_mask(pid, a);
	case SET_REGISTER:
		return set_register(pid, a, b);
	case COLLECT:
		collect(actor);
		return 0;
	case WAITID:
		return wait_id(pid, a);
	case LOOK:
		say_stop(pid, 0);
		say("\n");
		return 0;
	}
	return trace(operation->request, pid, 0, operation->arguments == NONE ? 0 : a);
}

/* Which actor is meant: 0..5 that one; 100 + n the nth that there is; 200 + n the nth that is in a ptrace-stop; 300 + n
 * the nth that sleeps. */
static int resolve(int actor)
{
	if (actor < 100)
		return actor % ACTORS;
	for (int kind = actor / 100; kind > 0; kind = kind > 1 ? 1 : 0) {
		int candidates[ACTORS], count = 0;
		for (int i = 0; i < ACTORS; i++) {
			char state = states[i];
			if (state != 0 && (kind == 1 || state == (kind == 2 ? 't' : 'S')))
				candidates[count++] = i;
		}
		if (count > 0)
			return candidates[actor % 100 % count];
	}
	return 0;
}

static const struct operation *find_operation(const char *name)
{
	for (unsigned i = 0; i < sizeof operations / sizeof operations[0]; i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	return NULL;
}

/* One line of a program; false if it never comes to rest. */
static int execute(int number, const char *line)
{
	char name[32];
	int actor;
	long arguments[3] = {0};
	if (sscanf(line, "%31s %d %ld %ld %ld", name, &actor, &arguments[0], &arguments[1], &arguments[2]) < 2)
		return 1;
	const struct operation *operation = find_operation(name);
	if (operation == NULL) {
		say("unknown %s\n", name);
		return 1;
	}
	actor = operation->request == SPAWN ? free_actor() : resolve(actor);
	if (operation->request == DO && (arguments[0] == KILL))
		arguments[1] = resolve(arguments[1]);
	say("%d: %s a%d %ld %ld %ld", number, name, actor, arguments[0], arguments[1], arguments[2]);
	if (operation->request == SPAWN && actor >= 0) {
		say("\n");
		spawn(actor, arguments[0]);
	} else if (actor < 0 || state_of(shared->actors[actor].pid) == 0) {
		say(" nobody\n");
		return 1;
	} else {
		say("\n");
		long result = carry_out(operation, actor, arguments);
		say("  = %s\n", result_text(result, 0));
	}
	int settled = settle();
	say_everything(!(flags & LAZY));
	return settled;
}

/* ---- one program -------------------------------------------------------------------------------------------------- */

static char *lines[256];
static int line_count;

static void be_tracer(void)
{
	tracer_pid = getpid();
	setpgid(0, 0);
	int stuck = 0;
	for (int i = 0; i < line_count && !stuck; i++)
		stuck = !execute(i + 1, lines[i]);
	if (stuck)
		say("STUCK\n");
	say_everything(1);
	flush();
	_exit(0);
}

static void make_pipes(void)
{
	for (int i = 0; i < ACTORS; i++) {
		int ends[2];
		if (pipe(ends) < 0)
			_exit(4);
		for (int end = 0; end < 2; end++) {
			dup2(ends[end], pipe_end(i, end));
			close(ends[end]);
		}
	}
}

/* Nothing of the program may be left. */
static void finish(void)
{
	for (long start = now_ms(); now_ms() - start < STUCK_AFTER_MS;) {
		kill(-tracer_pid, SIGKILL);
		int pid = waitpid(-1, NULL, __WALL | WNOHANG);
		if (pid < 0)
			return;
		if (pid == 0)
			usleep(100);
	}
	say("STUCK in the end\n");
}

static void on_alarm(int signal)
{
	(void)signal;
	kill(-tracer_pid, SIGKILL);
	_exit(5);
}

static void run_program(void)
{
	memset(shared->actors, 0, sizeof shared->actors);
	memset(states, 0, sizeof states);
	memset(known_states, 0, sizeof known_states);
	memset(told, 0, sizeof told);
	make_pipes();
	flush();
	int tracer = fork(), status;
	if (tracer == 0)
		be_tracer();
	tracer_pid = tracer;
	setpgid(tracer, tracer);
	waitpid(tracer, &status, 0);
	say("without a tracer (%x):\n", status);
	if (!settle())
		say("STUCK\n");
	for (int i = 0; i < ACTORS; i++)
		told[i] = shared->actors[i].events;
	say_everything(1);
	finish();
}

static void control(void)
{
	static char text[256][80];
	char line[80];
	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGALRM, on_alarm);
	while (fgets(line, sizeof line, stdin) != NULL) {
		if (strncmp(line, "begin", 5) == 0) {
			alarm(30);
			say("%s", line);
			flags = atoi(line + 5);
			line_count = 0;
		} else if (strncmp(line, "end\n", 4) == 0) {
			run_program();
			say("end\n");
			flush();
		} else if (line_count < 256) {
			strcpy(text[line_count], line);
			lines[line_count] = text[line_count];
			line_count++;
		}
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		passes = atoi(argv[1]);
	if (argc > 2 && strcmp(argv[2], "-") != 0) {
		cpu_set_t cpus;
		CPU_ZERO(&cpus);
		CPU_SET(atoi(argv[2]), &cpus);
		sched_setaffinity(0, sizeof cpus, &cpus);
	}
	int fd = memfd_create("shared", 0);
	if (fd < 0 || ftruncate(fd, sizeof *shared) < 0 || dup2(fd, SHARED_FD) != SHARED_FD)
		return 2;
	close(fd);
	shared = mmap((void *)SHARED_AT, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, SHARED_FD, 0);
	if (shared == MAP_FAILED)
		return 2;
	int length = readlink("/proc/self/exe", shared->path, sizeof shared->path - 16);
	if (length < 0)
		return 2;
	strcpy(strrchr(shared->path, '/'), "/tracee");
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	int pid = fork(), status;
	if (pid == 0)
		control();
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}
