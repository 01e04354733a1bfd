/* What a guest thread has used, from proc(5): asked at the end of each, so not worth a file read by way of Node. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tracer.h"

/* The beginning of the thread's own file `name` as a string; empty where the thread is gone. */
static void read_file(int tid, const char *name, char *into, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/task/%d/%s", tid, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, into, size - 1);
		close(fd);
	}
	into[n < 0 ? 0 : n] = 0;
}

/* CPU time of host thread `tid` in ns; 0 where it is gone or the host does not count. */
EXPORT int64_t sentry_usage_cpu(int tid)
{
	char text[128];

	read_file(tid, "schedstat", text, sizeof text);
	return strtoll(text, NULL, 10);
}

static uint64_t number(const char *status, const char *field)
{
	const char *at = strstr(status, field);

	return at ? strtoul(at + strlen(field), NULL, 10) : 0;
}

/* The resident set of its process in KiB: now, and at most. Zeros where it is gone. */
EXPORT void sentry_usage_memory(int tid, uint32_t *out)
{
	char text[4096];

	read_file(tid, "status", text, sizeof text);
	out[0] = (uint32_t)number(text, "\nVmRSS:");
	out[1] = (uint32_t)number(text, "\nVmHWM:");
}

/*
 * More of the thread: CPU time in ns, of which in user mode and in the host's kernel in ticks, page faults without and
 * with input, involuntary context switches. Zeros where it is gone.
 */
EXPORT void sentry_usage_thread(int tid, uint64_t *out)
{
	char text[4096];
	const char *at;

	out[0] = (uint64_t)sentry_usage_cpu(tid);
	out[1] = out[2] = out[3] = out[4] = 0;
	read_file(tid, "stat", text, sizeof text);
	at = strrchr(text, ')');
	if (at)
		sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %lu %*u %lu %*u %lu %lu", &out[3], &out[4], &out[1], &out[2]);
	read_file(tid, "status", text, sizeof text);
	out[5] = number(text, "\nnonvoluntary_ctxt_switches:");
}

/* Lets whoever else wants the calling thread's CPU have it. */
EXPORT void sentry_cpu_yield(void)
{
	sched_yield();
}
