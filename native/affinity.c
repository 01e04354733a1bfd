/* Which CPU a platform's guests share with their tracer. */
#include <sched.h>
#include <time.h>

#include "tracer.h"

/* How many CPUs this process may use. */
EXPORT int sentry_cpu_count(void)
{
	cpu_set_t allowed;

	return sched_getaffinity(0, sizeof allowed, &allowed) < 0 ? 1 : CPU_COUNT(&allowed);
}

/* One of them, but not the one that the caller runs on, if there is a choice; any of the others, so that several
 * platforms spread. -1 if it can't be told. */
EXPORT int sentry_cpu_pick(void)
{
	cpu_set_t allowed;
	int here = sched_getcpu(), skip;
	struct timespec t;

	if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
		return -1;
	if (CPU_COUNT(&allowed) > 1 && here >= 0 && here < CPU_SETSIZE)
		CPU_CLR(here, &allowed);
	clock_gettime(CLOCK_MONOTONIC, &t);
	skip = (int)(t.tv_nsec / 1000 % CPU_COUNT(&allowed));
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && skip-- == 0)
			return cpu;
	return -1;
}
