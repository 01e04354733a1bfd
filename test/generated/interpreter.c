/*
 * Executes generated programs over processes, threads and signals, natively and in the sandbox.
 *
 * Standard input holds programs:  `begin FLAGS`, then one line an operation, `PROCESS THREAD NAME A B C D`, then `end`.
 * A negative PROCESS means whichever thread is idle, by number; see `resolve` for arguments of this kind.
 * The controller (this file's main, one child down) gives one operation at a time to the thread it names and then waits
 * until nothing moves: every thread sleeps where it should, is stopped, or is gone. Then it prints what was returned,
 * which handlers ran, and what /proc says of every process that changed. So everything is in an order that does not
 * depend on scheduling, and processes are called by their number, never by pid. A kernel that loses a wake-up is noticed
 * as STUCK.
 */
#include "interpreter.h"
#include "output.h"

#include <time.h>

struct shared *shared;
char program_path[4096];

static int passes = 2;

static long now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- what /proc says ---------------------------------------------------------------------------------------------- */

struct look {
	char state; /* 0: there is no such thread */
	int parent, group, session;
};

static int slurp(const char *path, char *buffer, int size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int length = read(fd, buffer, size - 1);
	close(fd);
	if (length < 0)
		return -1;
	buffer[length] = 0;
	return length;
}

static struct look look_at(int pid, int tid)
{
	struct look found = {0};
	char path[64], text[1024];
	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
	if (slurp(path, text, sizeof text) <= 0)
		return found;
	char *close = strrchr(text, ')');
	if (close == NULL ||
	    sscanf(close + 1, " %c %d %d %d", &found.state, &found.parent, &found.group, &found.session) != 4)
		found.state = 0;
	if (found.state == 'X')
		found.state = 0;
	return found;
}

static const char *name_of(int pid)
{
	static char names[8][16];
	static int next;
	if (pid == 0)
		return "0";
	if (pid == shared->controller)
		return "C";
	for (int p = 0; p < PROCESSES; p++)
		if (shared->processes[p].pid == pid) {
			char *name = names[next++ % 8];
			snprintf(name, 16, "p%d", p);
			return name;
		}
	return "?";
}

/* ---- waiting until nothing moves ---------------------------------------------------------------------------------- */

static struct look looks[PROCESSES][THREADS];

/* One look at everybody. False if something still moves; `sum` changes with whatever was logged. */
static int is_quiet(unsigned *sum)
{
	int quiet = 1;
	*sum = 0;
	for (int p = 0; p < PROCESSES; p++) {
		struct process *process = &shared->processes[p];
		if (!process->used)
			continue;
		if (process->pid == 0)
			return 0;
		for (int t = 0; t < THREADS; t++) {
			struct thread *thread = &process->threads[t];
			struct look *look = &looks[p][t];
			if (thread->state == UNUSED) {
				look->state = 0;
				continue;
			}
			int tid = t == 0 ? process->pid : thread->tid;
			if (tid == 0)
				return 0;
			*look = look_at(process->pid, tid);
			*sum = *sum * 31 + look->state + thread->results * 7 + thread->handled * 11;
			if (look->state == 0 || look->state == 'Z' || look->state == 'T')
				continue;
			int rests = (thread->state == IDLE && thread->seen == thread->sent) || thread->state == BLOCKED;
			if (look->state != 'S' || !rests || process->execing)
				quiet = 0;
		}
	}
	return quiet;
}

/* False if that takes too long. */
static int settle(void)
{
	long start = now_ms();
	unsigned last = 0, sum;
	int same = 0;
	for (int tries = 0;; tries++) {
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

/* ---- printing ----------------------------------------------------------------------------------------------------- */

static const char *code_name(int code)
{
	static char text[16];
	switch (code) {
	case SI_USER: return "USER";
	case SI_KERNEL: return "KERNEL";
	case SI_QUEUE: return "QUEUE";
	case SI_TKILL: return "TKILL";
	}
	snprintf(text, sizeof text, "%d", code);
	return text;
}

/* More than one child changed at a time: in which order SIGCHLD told of them is chance. */
static int vague;

static void say_info(const struct event *event)
{
	if (event->signo == 0)
		say("nothing");
	else if (event->signo == SIGCHLD && event->code > 0 && event->code < SI_KERNEL && vague)
		say("17 *");
	else
		say("%d %s from %s %d", event->signo, code_name(event->code), name_of(event->pid), event->value);
}

static void say_result(int p, int t, const struct event *event)
{
	say("  %d.%d %s = ", p, t, operations[event->operation].name);
	if (event->result < 0)
		say("%s", strerrorname_np(-event->result) ? strerrorname_np(-event->result) : "E?");
	else if (operations[event->operation].returns == RETURNS_PID)
		say("%s", name_of(event->result));
	else
		say("%ld", event->result);
	if (event->kind == WITH_INFO) {
		say(" ");
		say_info(event);
	} else if (event->kind == WITH_VALUE)
		say(" %lx", event->extra);
	say("\n");
}

static void say_events(int p, int t)
{
	struct thread *thread = &shared->processes[p].threads[t];
	int told = 0;
	for (unsigned i = thread->told_handled; i < thread->handled && i < HANDLED; i++) {
		struct event *event = &thread->handlers[i];
		int is_vague = vague && event->signo == SIGCHLD;
		if (is_vague && told)
			continue;
		told |= is_vague;
		if (is_vague)
			say("  %d.%d >17 *\n", p, t);
		else if (event->kind == LEAVE)
			say("  %d.%d <%d\n", p, t, event->signo);
		else if (event->kind == ENTER)
			say("  %d.%d >%d\n", p, t, event->signo);
		else {
			say("  %d.%d >", p, t);
			say_info(event);
			say("\n");
		}
	}
	thread->told_handled = thread->handled;
	for (unsigned i = thread->told_results; i < thread->results && i < RESULTS; i++)
		say_result(p, t, &thread->events[i]);
	thread->told_results = thread->results;
}

static char known[PROCESSES][2048];
static char known_state[PROCESSES];

/* Without the two that glibc uses itself. */
static unsigned long long mask_in(const char *text, const char *field)
{
	const char *at = strstr(text, field);
	return at == NULL ? 0 : strtoull(at + strlen(field), NULL, 16) & ~(3ull << 31);
}

static int describe_thread(char *to, int size, int p, int t)
{
	struct process *process = &shared->processes[p];
	char path[64], text[4096];
	int tid = t == 0 ? process->pid : process->threads[t].tid;
	snprintf(path, sizeof path, "/proc/%d/task/%d/status", process->pid, tid);
	if (slurp(path, text, sizeof text) <= 0)
		return snprintf(to, size, " [%d gone]", t);
	return snprintf(to, size, " [%d %c pnd %llx shd %llx blk %llx ign %llx cgt %llx]", t, looks[p][t].state,
			mask_in(text, "SigPnd:"), mask_in(text, "ShdPnd:"), mask_in(text, "SigBlk:"),
			mask_in(text, "SigIgn:"), mask_in(text, "SigCgt:"));
}

static int is_alive(int p)
{
	for (int t = 0; t < THREADS; t++)
		if (looks[p][t].state != 0 && looks[p][t].state != 'Z')
			return 1;
	return 0;
}

static void describe(int p, char *text, int size)
{
	struct look *leader = &looks[p][0];
	if (leader->state == 0) {
		snprintf(text, size, "gone");
		return;
	}
	int length = snprintf(text, size, "parent %s group %s session %s", name_of(leader->parent),
			      name_of(leader->group), name_of(leader->session));
	if (!is_alive(p)) {
		snprintf(text + length, size - length, " zombie");
		return;
	}
	for (int t = 0; t < THREADS; t++)
		if (looks[p][t].state == 'Z')
			length += snprintf(text + length, size - length, " [%d zombie]", t);
		else if (looks[p][t].state != 0)
			length += describe_thread(text + length, size - length, p, t);
}

static void say_everything(void)
{
	int changes = 0;
	for (int p = 0; p < PROCESSES; p++) {
		if (!shared->processes[p].used)
			continue;
		char state = looks[p][0].state == 0 ? 'G' : !is_alive(p) ? 'Z' : looks[p][0].state == 'T' ? 'T' : 'S';
		if (known_state[p] != 0 && known_state[p] != state)
			changes += known_state[p] == 'T' && state != 'S' ? 2 : 1;
		known_state[p] = state;
	}
	if (changes > 1)
		vague = 1;
	for (int p = 0; p < PROCESSES; p++)
		for (int t = 0; t < THREADS; t++)
			say_events(p, t);
	for (int p = 0; p < PROCESSES; p++) {
		char text[2048];
		if (!shared->processes[p].used)
			continue;
		describe(p, text, sizeof text);
		if (strcmp(text, known[p]) != 0)
			say("  p%d: %s\n", p, text);
		strcpy(known[p], text);
	}
}

/* ---- one program -------------------------------------------------------------------------------------------------- */

static int dup_to(int fd, int to)
{
	if (dup2(fd, to) != to)
		_exit(4);
	close(fd);
	return to;
}

static void make_pipes(void)
{
	for (int i = 0; i < PIPES; i++) {
		int ends[2];
		if (pipe(ends) < 0)
			_exit(4);
		dup_to(ends[0], PIPE_FD + 2 * i);
		dup_to(ends[1], PIPE_FD + 2 * i + 1);
	}
}

static int begin(int flags)
{
	memset(shared->processes, 0, sizeof shared->processes);
	memset(known, 0, sizeof known);
	memset(known_state, 0, sizeof known_state);
	memset(looks, 0, sizeof looks);
	shared->futex = 0;
	vague = 0;
	make_pipes();
	struct process *process = &shared->processes[0];
	process->used = 1;
	process->threads[0].state = STARTING;
	int pid = fork();
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		if (flags & CATCHING)
			catch_some();
		if (flags & SESSION)
			setsid();
		else
			setpgid(0, 0);
		be_thread(0, 0);
	}
	process->pid = pid;
	return settle();
}

/* Nothing of the program may be left. */
static void finish(void)
{
	for (long start = now_ms(); now_ms() - start < STUCK_AFTER_MS;) {
		int status;
		for (int p = 0; p < PROCESSES; p++)
			if (shared->processes[p].used && shared->processes[p].pid > 0 && looks[p][0].state != 0)
				kill(shared->processes[p].pid, SIGKILL);
		int pid = waitpid(-1, &status, __WALL | WNOHANG);
		if (pid < 0)
			return;
		for (int p = 0; p < PROCESSES; p++)
			if (pid > 0 && shared->processes[p].pid == pid)
				looks[p][0].state = 0;
		if (pid == 0)
			usleep(100);
	}
	say("STUCK in the end\n");
}

static const char *give(int p, int t, const struct command *command)
{
	struct process *process = &shared->processes[p];
	struct thread *thread = &process->threads[t];
	if (!process->used || thread->state == UNUSED)
		return "unused";
	if (looks[p][t].state == 0 || looks[p][t].state == 'Z')
		return "dead";
	if (looks[p][t].state == 'T')
		return "stopped";
	if (thread->state == BLOCKED)
		return "busy";
	thread->command = *command;
	thread->sent++;
	if (write(PIPE_FD + 2 * (p * THREADS + t) + 1, "c", 1) != 1)
		return "no pipe";
	return NULL;
}

static int is_idle(int p, int t)
{
	struct thread *thread = &shared->processes[p].threads[t];
	return shared->processes[p].used && thread->state == IDLE && looks[p][t].state == 'S';
}

/* The `number`th (going round) of those that could execute something now. False if there is none. */
static int pick_thread(int number, int *p, int *t)
{
	int count = 0;
	for (int i = 0; i < PROCESSES * THREADS; i++)
		count += is_idle(i / THREADS, i % THREADS);
	for (int i = 0, left = count == 0 ? 0 : number % count; i < PROCESSES * THREADS; i++) {
		*p = i / THREADS;
		*t = i % THREADS;
		if (is_idle(*p, *t) && left-- == 0)
			return 1;
	}
	return 0;
}

/* The `number`th (going round) process that is not gone. */
static int pick_process(int number)
{
	int count = 0;
	for (int p = 0; p < PROCESSES; p++)
		count += shared->processes[p].used && looks[p][0].state != 0;
	for (int p = 0, left = count == 0 ? 0 : number % count; p < PROCESSES; p++)
		if (shared->processes[p].used && looks[p][0].state != 0 && left-- == 0)
			return p;
	return 0;
}

/* Arguments may ask for whatever there is: -1000 - n a process, -2000 - n its group, -3000 a free process's number,
 * -3001 a free thread's. */
static void resolve(int p, long *argument)
{
	if (*argument <= -1000 && *argument > -2000)
		*argument = pick_process(-1000 - *argument);
	else if (*argument <= -2000 && *argument > -3000)
		*argument = 10 + pick_process(-2000 - *argument);
	else if (*argument == -3000) {
		for (*argument = 1; *argument < PROCESSES - 1 && shared->processes[*argument].used;)
			++*argument;
	} else if (*argument == -3001) {
		for (*argument = 1; *argument < THREADS - 1 && shared->processes[p].threads[*argument].state != UNUSED;)
			++*argument;
	}
}

/* Nobody could do anything: somebody is sent a signal. */
static int wake_somebody(int number, int which)
{
	int p = pick_process(which), signo = which % 3 == 0 ? SIGCONT : SIGUSR1;
	if (shared->processes[p].pid == 0 || looks[p][0].state == 0) {
		say("%d: nobody is left\n", number);
		return 1;
	}
	say("%d: C kill %d %d\n  = %d\n", number, p, signo, kill(shared->processes[p].pid, signo));
	int settled = settle();
	say_everything();
	return settled;
}

static int find_operation(const char *name)
{
	for (int i = 0; operations[i].name != NULL; i++)
		if (strcmp(operations[i].name, name) == 0)
			return i;
	return -1;
}

static void on_alarm(int signal)
{
	(void)signal;
	for (int p = 0; p < PROCESSES; p++)
		if (shared->processes[p].used && shared->processes[p].pid > 0)
			kill(shared->processes[p].pid, SIGKILL);
	_exit(5);
}

static void control(void)
{
	char line[256], name[32];
	int stuck = 0, number = 0, p, t;
	struct command command;
	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGALRM, on_alarm);
	shared->controller = getpid();
	while (fgets(line, sizeof line, stdin) != NULL) {
		if (strncmp(line, "begin", 5) == 0) {
			alarm(60);
			say("%s", line);
			stuck = !begin(atoi(line + 5));
			number = 0;
			say_everything();
		} else if (strncmp(line, "end", 3) == 0) {
			if (stuck)
				say("STUCK\n");
			finish();
			say("end\n");
			flush();
		} else if (!stuck) {
			memset(&command, 0, sizeof command);
			if (sscanf(line, "%d %d %31s %ld %ld %ld %ld", &p, &t, name, &command.a, &command.b, &command.c,
				   &command.d) < 3)
				continue;
			command.operation = find_operation(name);
			if (command.operation < 0) {
				say("unknown %s\n", name);
				continue;
			}
			++number;
			if (p < 0 && !pick_thread(t, &p, &t)) {
				stuck = !wake_somebody(number, t);
				continue;
			}
			long *arguments[] = {&command.a, &command.b, &command.c, &command.d};
			for (int i = 0; i < 4; i++)
				resolve(p, arguments[i]);
			say("%d: %d.%d %s %ld %ld %ld %ld\n", number, p, t, name, command.a, command.b, command.c, command.d);
			const char *refusal = give(p, t, &command);
			if (refusal != NULL) {
				say("  %s\n", refusal);
				continue;
			}
			stuck = !settle();
			say_everything();
		}
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	int length = readlink("/proc/self/exe", program_path, sizeof program_path - 1);
	if (length < 0)
		return 2;
	program_path[length] = 0;
	if (argc > 2 && strcmp(argv[1], "resume") == 0) {
		shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, SHARED_FD, 0);
		be_thread(atoi(argv[2]), 0);
	}
	if (argc > 1)
		passes = atoi(argv[1]);
	if (argc > 2 && strcmp(argv[2], "-") != 0) {
		cpu_set_t cpus;
		CPU_ZERO(&cpus);
		CPU_SET(atoi(argv[2]), &cpus);
		sched_setaffinity(0, sizeof cpus, &cpus);
	}
	int fd = memfd_create("shared", 0);
	if (fd < 0 || ftruncate(fd, sizeof *shared) < 0)
		return 2;
	dup_to(fd, SHARED_FD);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, SHARED_FD, 0);
	shared->lazy = argc > 3;
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	int pid = fork(), status;
	if (pid == 0)
		control();
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}
