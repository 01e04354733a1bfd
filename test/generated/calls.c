/*
 * Generates and executes system-call programs: files, memory, pipes, sockets, epoll, timers, futexes, signals and
 * processes, with valid, odd and hostile arguments. Reads lines `SEED FIRST COUNT show|hide [STEP…]`, and makes the programs
 * FIRST up to FIRST + COUNT of SEED one after the other, each in a process and a directory of its own, but for the steps
 * that are named. Of each it says how it ended and the digest of its journal, on demand the journal; then "end".
 *
 * Each step has its own randomness, so that a program without one of its steps is otherwise the same.
 */
#include "calls.h"
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { STEPS = 40, JOURNAL = 1 << 17, MILLISECONDS_OF_A_WAIT = 5, SECONDS_OF_A_PROGRAM = 20 };

/* What the process of a program has written, and the interpreter reads after its end, however it ended. */
static struct journal {
	int length;
	char text[JOURNAL];
} *journal;

static uint64_t state;

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t next(void)
{
	state += 0x9e3779b97f4a7c15u;
	return mix(state);
}

uint64_t edge(void)
{
	static const uint64_t edges[] = {
		0, 1, 2, 3, 7, 8, 15, 16, 63, 64, 65, 127, 255, 256, 511, 512, 1023, 1024, 1025, 4095, 4096, 4097, 65535, 65536,
		0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~0ull, ~1ull, -4096ull,
		1ull << 47, (1ull << 47) - PAGE, 1ull << 53, (1ull << 53) + 1, 1ull << 62, 999999999, 1000000000, 1ull << 40,
	};
	return ONE_OF(edges);
}

uint64_t bits(uint64_t of)
{
	uint64_t chosen = below(3) ? 0 : next();
	for (int i = 0; i < 2; i++)
		chosen |= 1ull << below(32);
	chosen &= of;
	return below(40) ? chosen : chosen | 1ull << below(64);
}

uint64_t size(void)
{
	return below(4) ? below(300) : below(3) ? below(12000) : below(4) ? below(100000) : edge();
}

int fd(void)
{
	return (int)(below(12) ? 3 + below(14) : below(3) ? below(70) : edge());
}

char *place(void)
{
	switch (below(16)) {
	case 0:
		return NULL;
	case 1:
		return READABLE + below(PAGE);
	case 2:
		return below(2) ? GONE + below(PAGE) : (char *)edge();
	case 3:
		return ARENA + ARENA_SIZE - below(64);
	case 4:
		return WINDOW + below(WINDOW_PAGES) * PAGE + below(64);
	default:
		return ARENA + below(ARENA_SIZE / 2);
	}
}

const char *path(void)
{
	static const char *const paths[] = {
		"a", "a", "b", "b", "c", "d", "d", "e", "l", "m", "d/a", "d/b", "d/e", "d/e/a", "e/a", "l/a", "d/../a", "./b", "d/.", "a/",
		"d/", "d//a", "l/", "m/b", "no/a", "a/a", ".", "", "s", "f", "d/..", "\xff\xfe", "a b\n",
	};
	static char long_name[300];
	switch (below(60)) {
	case 0: {
		uint64_t length = 254 + below(3);
		memset(long_name, 'x', length);
		long_name[length] = 0;
		return long_name;
	}
	case 1:
		return below(4) ? GONE : (char *)edge();
	case 2:
		memset(ARENA, '/', 5000);
		memcpy(ARENA + 4090 + below(6), "d", 2);
		ARENA[0] = '.';
		return ARENA;
	default:
		return ONE_OF(paths);
	}
}

const char *path_to_open(void)
{
	static const char *const elsewhere[] = {"/dev/null", "/dev/zero", "/dev/full", "/proc/self/fd/3", "/proc/self/fd/4", "/"};
	return below(12) ? path() : ONE_OF(elsewhere);
}

bool own(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && !S_ISCHR(st.st_mode) && !(S_ISDIR(st.st_mode) && st.st_nlink > 12);
}

void note(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int room = JOURNAL - journal->length;
	int length = vsnprintf(journal->text + journal->length, room, format, arguments);
	va_end(arguments);
	journal->length += length < room ? length : room - 1;
}

void note_bytes(const void *bytes, long length)
{
	uint64_t digest = 0xcbf29ce484222325u;
	for (long i = 0; i < length; i++)
		digest = (digest ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
	note(" {%lx}", digest);
}

void note_outcome(long result, const char *format, ...)
{
	va_list arguments;
	char text[200];
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	note("\n   %s: %s", text, result < 0 ? strerrorname_np((int)-result) : "ok");
}

static long perform(long number, const long *a)
{
	long result;
	register long r10 __asm__("r10") = a[3];
	register long r8 __asm__("r8") = a[4];
	register long r9 __asm__("r9") = a[5];
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

long call(const char *name, long number, int count, const long *arguments)
{
	note("\n   %s(", name);
	for (int i = 0; i < count; i++) {
		bool on_the_stack = arguments[i] > 0x700000000000 && arguments[i] < 0x7ffffffff000; /* wherever that is */
		note(on_the_stack ? "*, " : "%lx, ", arguments[i]);
	}
	note(")");
	long result = perform(number, arguments);
	if (result < 0 && result > -4096)
		note(" = %s", strerrorname_np((int)-result) ?: "E?");
	else
		note(" = %ld", result);
	return result;
}

static void set_alarm(long milliseconds)
{
	struct timeval interval = {milliseconds / 1000, milliseconds % 1000 * 1000};
	struct itimerval timer = {interval, interval};
	setitimer(ITIMER_REAL, &timer, NULL);
}

long call_interrupted(const char *name, long number, int count, const long *arguments)
{
	set_alarm(MILLISECONDS_OF_A_WAIT);
	long result = call(name, number, count, arguments);
	set_alarm(0);
	return result;
}

static void on_alarm(int signo) { (void)signo; }

static void limit(int resource, rlim_t most)
{
	struct rlimit limits = {most, most};
	setrlimit(resource, &limits);
}

static void map(char *at, size_t length, int protection)
{
	if (mmap(at, length, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(97);
}

static uint64_t seed;
static bool left_out[STEPS];

static Family *const families[] = {files, names, transfers, memory, channels, sockets, events, clocks, signals, processes, identities};
static const char *const family_names[] = {"files", "names", "transfers", "memory", "channels", "sockets", "events", "clocks", "signals", "processes", "identities"};
enum { FAMILIES = sizeof families / sizeof *families };

static void program(uint64_t index)
{
	setpgid(0, 0);
	close_range(0, ~0u, 0);
	for (int i = 0; i < 3; i++)
		if (open("/dev/null", O_RDWR) != i)
			_exit(96);
	umask(022);
	struct sigaction action = {.sa_handler = on_alarm};
	sigaction(SIGALRM, &action, NULL);
	uint64_t start = mix(seed * 0x100000001b3u + index);
	state = start;
	for (int i = 0; i < ARENA_SIZE / 8; i++)
		((uint64_t *)ARENA)[i] = i % 3 ? below(5000) : next();
	/* A few families each, so that one call's state meets the next. */
	uint64_t favourites[3] = {below(FAMILIES), below(FAMILIES), below(FAMILIES)};
	limit(RLIMIT_AS, 1u << 30);
	limit(RLIMIT_FSIZE, 1u << 20);
	limit(RLIMIT_NOFILE, 64);
	limit(RLIMIT_CPU, 2);
	limit(RLIMIT_CORE, 0);
	for (int step = 0; step < STEPS; step++) {
		if (left_out[step])
			continue;
		state = mix(start + 0x9e3779b97f4a7c15u * (step + 1));
		uint64_t family = below(5) ? ONE_OF(favourites) : below(FAMILIES);
		note("\n%d %s:", step, family_names[family]);
		families[family]();
	}
	_exit(0);
}

static int remove_entry(const char *name, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(name);
}

static pid_t running;

/* Something keeps it: what waits without end, or runs. */
static void on_timeout(int signo)
{
	(void)signo;
	kill(running, SIGKILL);
}

static void run(uint64_t index, bool show)
{
	int status = 0;
	journal->length = 0;
	journal->text[0] = 0;
	if (mkdir("program", 0777) == -1 || chmod("program", 0777) == -1 || chdir("program") == -1) {
		printf("mkdir: %s\n", strerror(errno));
		exit(1);
	}
	fflush(stdout);
	running = fork();
	if (running == 0)
		program(index);
	if (running == -1) {
		printf("fork: %s\n", strerror(errno));
		exit(1);
	}
	set_alarm(SECONDS_OF_A_PROGRAM * 1000);
	while (waitpid(running, &status, WUNTRACED) == -1)
		if (errno != EINTR)
			exit(1);
	set_alarm(0);
	/* It may only have stopped. */
	kill(running, SIGKILL);
	kill(-running, SIGKILL);
	/* Its children, who are killed with it, are ours now. */
	while (waitpid(-1, NULL, __WALL) > 0) {
	}
	if (chdir("..") == -1)
		exit(1);
	if (rmdir("program") == -1)
		nftw("program", remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	uint64_t digest = 0xcbf29ce484222325u;
	for (int i = 0; i < journal->length; i++)
		digest = (digest ^ (uint8_t)journal->text[i]) * 0x100000001b3u;
	printf("%lu %x %016lx\n", index, status, digest);
	if (show)
		printf("%s\n", journal->text);
}

int main(void)
{
	journal = mmap(NULL, sizeof *journal, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char directory[] = "/dev/shm/calls.XXXXXX";
	if (journal == MAP_FAILED || mkdtemp(directory) == NULL || chmod(directory, 0755) == -1 || chdir(directory) == -1)
		return 1;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prepare_signals();
	map(ARENA, ARENA_SIZE, PROT_READ | PROT_WRITE);
	map(READABLE, PAGE, PROT_READ);
	struct sigaction action = {.sa_handler = on_timeout};
	sigaction(SIGALRM, &action, NULL);
	char line[1000];
	while (fgets(line, sizeof line, stdin) != NULL) {
		char word[8];
		uint64_t first, count;
		int read = 0;
		if (sscanf(line, "%lu %lu %lu %7s%n", &seed, &first, &count, word, &read) < 4)
			return 2;
		memset(left_out, 0, sizeof left_out);
		for (char *rest = line + read, *end; strtoull(rest, &end, 10), end != rest; rest = end)
			left_out[strtoull(rest, NULL, 10) % STEPS] = true;
		for (uint64_t index = first; index < first + count; index++)
			run(index, strcmp(word, "show") == 0);
		puts("end");
		fflush(stdout);
	}
	if (chdir("/") == -1 || rmdir(directory) == -1)
		return 1;
	return 0;
}
