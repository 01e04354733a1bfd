/* What a guest thread has used, from proc(5): asked at the end of each, so not worth a file read by way of Node. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tracer.h"

/* The beginning of /proc/`tid`/`name` as a string; empty where the thread is gone. */
static void read_file(int tid, const char *name, char *into, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", tid, name);
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

static uint32_t kibibytes(const char *status, const char *field)
{
	const char *at = strstr(status, field);

	return at ? (uint32_t)strtoul(at + strlen(field), NULL, 10) : 0;
}

/* The resident set of its process in KiB: now, and at most. Zeros where it is gone. */
EXPORT void sentry_usage_memory(int tid, uint32_t *out)
{
	char text[4096];

	read_file(tid, "status", text, sizeof text);
	out[0] = kibibytes(text, "\nVmRSS:");
	out[1] = kibibytes(text, "\nVmHWM:");
}
