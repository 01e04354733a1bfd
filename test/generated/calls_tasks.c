/* Generated calls about clocks, timers, signals, futexes, processes and who they are. */
#include "calls.h"
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

/* Signals that a program may send, block and handle; SIGALRM is the interpreter's. */
static int signal_number(void)
{
	static const int common[] = {SIGUSR1, SIGUSR1, SIGUSR2, SIGCHLD, SIGURG, SIGCONT, SIGWINCH, SIGPIPE, SIGXFSZ, 34, 35, 64};
	static const int rare[] = {SIGTERM, SIGHUP, SIGINT, SIGSEGV, SIGKILL, SIGSTOP, SIGTTIN, 0, 65, -1};
	return below(8) ? ONE_OF(common) : ONE_OF(rare);
}

static uint64_t signal_set(void)
{
	uint64_t set = 0;
	for (uint64_t i = below(5); i > 0; i--)
		set |= 1ull << ((uint64_t)(signal_number() - 1) & 63);
	return (below(8) ? set : ~0ull) & ~(1ull << (SIGALRM - 1)) & ~(1ull << (SIGTERM - 1));
}

static struct timespec short_time(void)
{
	return (struct timespec){below(40) ? 0 : (time_t)edge(), below(10) ? (long)below(200000) : (long)edge()};
}

/* A timer that fires meanwhile, and one of CPU time above all, would be left to chance. */
static time_t long_enough(long fraction, long second)
{
	return fraction > 0 && fraction < second ? 1000 : below(2) ? 0 : 1000;
}

static int timers[4], timer_count;

static void futexes(void)
{
	uint32_t *word = (uint32_t *)(ARENA + 4 * below(4)), *other = (uint32_t *)(ARENA + 4 * below(4));
	if (below(20) == 0)
		word = (uint32_t *)place();
	int private = below(2) ? FUTEX_PRIVATE_FLAG : 0;
	struct timespec timeout = {0, below(10) ? 200000 : (long)edge()};
	uint32_t expected = below(2) ? *(uint32_t *)(ARENA + 4 * below(4)) : (uint32_t)below(3);
	switch (below(9)) {
	case 0 ... 1:
		WAIT(futex, P(word), FUTEX_WAIT | private, expected, P(&timeout));
		break;
	case 2:
		CALL(futex, P(word), FUTEX_WAKE | private, below(4) ? below(3) : edge());
		break;
	case 3:
		CALL(futex, P(word), FUTEX_CMP_REQUEUE | private, below(3), below(3), P(other), expected);
		break;
	case 4:
		CALL(futex, P(word), FUTEX_WAKE_OP | private, 1, 1, P(other), below(2) ? FUTEX_OP(below(5), below(9), below(6), below(9)) : next());
		break;
	case 5:
		WAIT(futex, P(word), FUTEX_WAIT_BITSET | private, expected, P(0), 0, below(3) ? 0 : bits(0xffffffff));
		break;
	case 6:
		*other = below(2) ? 0 : 0x3ffffff0; /* nobody's number */
		CALL(futex, P(other), FUTEX_TRYLOCK_PI | private, 0);
		*other = 0; /* not our thread's number, which is left to chance */
		break;
	case 7:
		CALL(futex, P(word), FUTEX_UNLOCK_PI | private);
		break;
	case 8: {
		int operation = (int)below(below(2) ? 16 : 1024);
		/* nothing but its timeout, a time that has passed, ends that wait */
		bool waits = (operation & FUTEX_CMD_MASK) == FUTEX_WAIT_REQUEUE_PI;
		WAIT(futex, P(word), operation, below(3), P(waits ? &timeout : NULL), P(other), below(3));
		break;
	}
	}
}

void clocks(void)
{
	struct timespec when = short_time(), left = {0, 0};
	struct itimerspec setting = {{0, 0}, {0, below(20) ? 0 : (long)edge()}};
	setting.it_value.tv_sec = long_enough(setting.it_value.tv_nsec, 1000000000);
	long clock = (long)(below(10) ? below(12) : edge());
	switch (below(14)) {
	case 0 ... 4:
		futexes();
		break;
	case 5:
		CALL(clock_gettime, clock, P(below(10) ? (char *)&when : place()));
		break;
	case 6:
		if (below(2))
			CALL(clock_getres, clock, P(below(10) ? 0 : place()));
		else if (clock != 3 && clock != 2)
			WAIT(clock_nanosleep, clock, 0, P(&when), P(&left));
		break;
	case 7:
		WAIT(nanosleep, P(below(20) ? (char *)&when : place()), P(below(2) ? (char *)&left : NULL));
		break;
	case 8: {
		struct sigevent event = {.sigev_notify = below(4) ? SIGEV_SIGNAL : (int)below(6), .sigev_signo = below(4) ? SIGUSR1 : signal_number()};
		int id = -1;
		long result = syscall(SYS_timer_create, below(10) ? below(2) : below(15), below(20) ? (char *)&event : place(), &id);
		note_outcome(result == -1 ? -errno : 0, "timer_create");
		if (result == 0 && timer_count < 4)
			timers[timer_count++] = id;
		break;
	}
	case 9: {
		struct itimerspec old = {{0, 0}, {0, 0}};
		int which = (int)below(4);
		CALL(timer_settime, which < timer_count ? timers[which] : 1000 + which, below(8) ? 0 : below(9), P(below(20) ? (char *)&setting : place()), P(&old));
		note(" {%d}", old.it_value.tv_sec != 0);
		break;
	}
	case 10:
		CALL(timer_getoverrun, timer_count > 0 ? timers[0] : 1000);
		break;
	case 11:
		if (timer_count > 0)
			CALL(timer_delete, timers[--timer_count]);
		break;
	case 12: {
		struct itimerval value = {{0, 0}, {0, below(10) ? 0 : (long)edge()}};
		value.it_value.tv_sec = long_enough(value.it_value.tv_usec, 1000000);
		CALL(setitimer, 1 + below(below(8) ? 2 : 9), P(&value), 0);
		break;
	}
	case 13:
		CALL(gettimeofday, P(below(2) ? (char *)ARENA + ARENA_SIZE / 2 : place()), 0);
		memset(ARENA + ARENA_SIZE / 2, 0, 16);
		break;
	}
}

static volatile int handled[65];
static void on_signal(int signo) { handled[signo]++; }
static void on_signal_with_information(int signo, siginfo_t *information, void *context)
{
	(void)context;
	handled[signo] += information->si_code == SI_QUEUE ? 100 : 10;
}

static void note_handled(void)
{
	for (int signo = 1; signo < 65; signo++)
		if (handled[signo] != 0) {
			note(" {signal %d: %d}", signo, handled[signo]);
			handled[signo] = 0;
		}
}

void prepare_signals(void)
{
	for (int signo = 34; signo < 65; signo++)
		signal(signo, on_signal);
	static const int ours[] = {SIGUSR1, SIGUSR2, SIGXFSZ, SIGPIPE};
	for (int i = 0; i < 4; i++)
		signal(ours[i], on_signal);
}

/* One thread has a signal number for itself: a signal sent to it is handled before the call returns. */
void signals(void)
{
	uint64_t set = signal_set(), old = 0;
	int signo = signal_number();
	switch (below(14)) {
	case 0 ... 1: {
		struct sigaction action = {.sa_flags = (int)bits(SA_RESTART | SA_NODEFER | SA_RESETHAND | SA_ONSTACK | SA_NOCLDWAIT)};
		switch (below(5)) {
		case 0:
			action.sa_handler = SIG_DFL;
			break;
		case 1:
			action.sa_handler = SIG_IGN;
			break;
		case 2:
			action.sa_sigaction = on_signal_with_information;
			action.sa_flags |= SA_SIGINFO;
			break;
		default:
			action.sa_handler = on_signal;
		}
		memcpy(&action.sa_mask, &set, 8);
		if (signo == SIGALRM || signo == SIGSEGV)
			break;
		int result = sigaction(signo, &action, NULL);
		note_outcome(result == -1 ? -errno : 0, "sigaction %d %x", signo, action.sa_flags);
		break;
	}
	case 2 ... 3:
		CALL(rt_sigprocmask, below(20) ? below(3) : edge(), P(below(30) ? (char *)&set : NULL), P(&old), below(30) ? 8 : below(20));
		note(" {%lx}", old);
		break;
	case 4 ... 6: {
		long result = below(2) ? syscall(SYS_kill, getpid(), signo) : syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signo);
		note_outcome(result == -1 ? -errno : 0, "kill %d", signo);
		break;
	}
	case 7: {
		union sigval value = {.sival_int = (int)below(9)};
		int result = sigqueue(getpid(), signo, value);
		note_outcome(result == -1 ? -errno : 0, "sigqueue %d", signo);
		break;
	}
	case 8:
		CALL(rt_sigpending, P(&old), below(20) ? 8 : below(20));
		note(" {%lx}", old);
		break;
	case 9: {
		siginfo_t information = {.si_signo = 0};
		struct timespec timeout = {0, below(10) ? (long)below(2) * 100000 : (long)edge()};
		if (WAIT(rt_sigtimedwait, P(below(20) ? (char *)&set : place()), P(&information), P(&timeout), below(20) ? 8 : below(20)) > 0)
			note(" {%d %d}", information.si_signo, information.si_code);
		break;
	}
	case 10:
		if (below(4) == 0)
			WAIT(rt_sigsuspend, P(&set), below(20) ? 8 : below(20));
		break;
	case 11: {
		static char stacks[2][32768];
		stack_t stack = {below(8) ? stacks[below(2)] : place(), (int)(below(8) ? 0 : bits(0xffffffff)), below(6) ? sizeof stacks[0] : size()};
		if (stack.ss_sp != stacks[0] && stack.ss_sp != stacks[1])
			stack.ss_size = below(2048); /* too small to be taken */
		else if (stack.ss_size > sizeof stacks[0])
			stack.ss_size = sizeof stacks[0];
		CALL(sigaltstack, P(below(20) ? &stack : NULL), 0);
		break;
	}
	case 12:
		if (below(4) == 0)
			WAIT(pause);
		break;
	case 13:
		CALL(prctl, PR_SET_NAME, P(below(10) ? "name" : place()));
		break;
	}
	note_handled();
}

static pid_t children[4];

/* Which child that was. */
static void note_child(long pid)
{
	for (int i = 0; i < 4; i++)
		if (pid == children[i] && pid > 0) {
			note(" {child %d}", i);
			children[i] = 0;
			return;
		}
	note(pid < 0 ? " %s" : pid == 0 ? " none" : " another", strerrorname_np((int)-pid));
}

static void fork_child(int at)
{
	uint64_t what = below(5), code = below(256);
	int signo = signal_number();
	if (children[at] != 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		uint64_t none = 0;
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
		if (what == 0) {
			struct timespec ever = {1000, 0};
			nanosleep(&ever, NULL);
		}
		if (what == 1)
			raise(signo);
		_exit((int)code);
	}
	/* a child that ends has ended before the next step */
	siginfo_t information;
	if (pid > 0 && what != 0) {
		while (waitid(P_PID, (id_t)pid, &information, WEXITED | WSTOPPED | WNOWAIT) == -1 && errno == EINTR) {
		}
	}
	children[at] = pid > 0 ? pid : 0;
	note_outcome(pid == -1 ? -errno : 0, "fork: %lu", what);
}

void processes(void)
{
	int at = (int)below(4), status = 0;
	switch (below(10)) {
	case 0 ... 2:
		fork_child(at);
		break;
	case 3 ... 4: {
		int options = WNOHANG | (int)(below(2) ? 0 : bits(WUNTRACED | WCONTINUED | __WALL | __WCLONE));
		long pid = wait4(below(2) ? -1 : children[at] != 0 ? children[at] : 0x7ffffff, &status, options, NULL);
		note("\n   wait4 %d %x: %x", at, options, status);
		note_child(pid == -1 ? -errno : pid);
		break;
	}
	case 5: {
		siginfo_t information = {.si_signo = 0};
		int options = WNOHANG | (int)bits(WEXITED | WSTOPPED | WCONTINUED | WNOWAIT);
		long result = waitid(P_PID, (id_t)(children[at] != 0 ? children[at] : 0x7ffffff), &information, options);
		note_outcome(result == -1 ? -errno : 0, "waitid %d %x %d %d", at, options, information.si_code, information.si_status);
		break;
	}
	case 6:
		if (children[at] != 0) {
			int signo = below(2) ? SIGKILL : signal_number();
			long result = kill(children[at], signo);
			note_outcome(result == -1 ? -errno : 0, "kill %d with %d", at, signo);
			if (signo == SIGKILL) {
				siginfo_t information;
				while (waitid(P_PID, (id_t)children[at], &information, WEXITED | WNOWAIT) == -1 && errno == EINTR) {
				}
			}
		}
		break;
	case 7: {
		static const int options[] = {PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_GET_PDEATHSIG, PR_GET_KEEPCAPS, PR_SET_KEEPCAPS, PR_GET_NO_NEW_PRIVS, PR_GET_TIMERSLACK, PR_GET_CHILD_SUBREAPER, PR_GET_SECUREBITS, 9999};
		CALL(prctl, ONE_OF(options), below(3), below(20) ? 0 : below(3), 0, 0);
		break;
	}
	case 8: {
		struct rlimit64 limits = {below(100), below(200)};
		static const int resources[] = {RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_CORE, RLIMIT_MSGQUEUE, RLIMIT_SIGPENDING, 99};
		CALL(prlimit64, 0, ONE_OF(resources), P(below(3) ? NULL : &limits), 0);
		break;
	}
	case 9: {
		long pid = children[at] != 0 ? children[at] : 0x7ffffff;
		long result = syscall(SYS_pidfd_open, pid, below(10) ? 0 : below(9));
		note_outcome(result == -1 ? -errno : 0, "pidfd_open %d %ld", at, result == -1 ? -1 : result);
		break;
	}
	}
	note_handled();
}

static long id(void) { return below(3) ? (long)below(2) * 1000 : below(2) ? -1 : (long)edge(); }

void identities(void)
{
	uint32_t ids[3] = {0, 0, 0}, groups[3] = {0, 1000, 7};
	switch (below(12)) {
	case 0:
		CALL(getresuid, P(&ids[0]), P(&ids[1]), P(below(10) ? (char *)&ids[2] : place()));
		note(" {%u %u %u}", ids[0], ids[1], ids[2]);
		break;
	case 1:
		CALL(getresgid, P(&ids[0]), P(&ids[1]), P(&ids[2]));
		note(" {%u %u %u}", ids[0], ids[1], ids[2]);
		break;
	case 2:
		CALL(setresuid, id(), id(), id());
		break;
	case 3:
		CALL(setresgid, id(), id(), id());
		break;
	case 4:
		CALL(setreuid, id(), id());
		break;
	case 5:
		CALL(setfsuid, id());
		break;
	case 6:
		CALL(setgroups, below(8) ? below(4) : edge(), P(groups));
		break;
	case 7:
		CALL(getpriority, below(6) ? 0 : 3 + below(9), 0);
		break;
	case 8:
		CALL(sched_getscheduler, below(8) ? 0 : -1);
		break;
	case 9:
		CALL(setpriority, 0, 0, below(3) ? below(20) : edge());
		break;
	case 10: {
		uint32_t header[2] = {below(10) ? 0x20080522 : (uint32_t)next(), 0}, data[6] = {0};
		CALL(capget, P(header), P(below(10) ? (char *)data : place()));
		break;
	}
	case 11:
		CALL(getrandom, P(GONE), below(3), below(16));
		break;
	}
}
