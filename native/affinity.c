/*
 * Which CPU a platform's guests share with their tracer, and how the thread that runs JavaScript stays off it.
 *
 * That thread is not pinned, but when the tracer wakes it the host likes to put it on the tracer's own CPU (a write to
 * a pipe promises that the writer is about to sleep), where the two then wait for each other: 80 µs a system call in
 * place of 4. So the tracer forbids its CPU to that thread for just as long as it takes to wake it.
 */
#include <string.h>
#include <sys/rseq.h>
#include <time.h>
#include <unistd.h>

#include "tracer.h"

/* Where the C library and the kernel keep the number of the CPU that the calling thread runs on (rseq(2)): the address
 * of a uint32_t, or 0 if they don't. */
uint64_t affinity_own_cpu(void)
{
	return __rseq_size > 0 ? (uint64_t)&((struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset))->cpu_id : 0;
}

/* Whether it was last seen on our CPU. If it is awake it waits there for us to leave. */
bool affinity_together(const struct tracer *t)
{
	return t->cpu >= 0 && atomic_load(&t->control->js_cpu) == (uint32_t)t->cpu;
}

/* Held from part to rejoin: two tracers at once would take each other's restriction for what the thread is allowed. */
static pthread_mutex_t parting = PTHREAD_MUTEX_INITIALIZER;

/* Sends it elsewhere and forbids our CPU to it, if it has another. What it was allowed; empty: nothing was done. */
cpu_set_t affinity_part(const struct tracer *t)
{
	cpu_set_t allowed, others;

	CPU_ZERO(&allowed);
	if (t->cpu < 0 || pthread_mutex_trylock(&parting) != 0)
		return allowed;
	if (sched_getaffinity(t->js_tid, sizeof allowed, &allowed) == 0 && CPU_ISSET(t->cpu, &allowed) &&
	    CPU_COUNT(&allowed) > 1) {
		others = allowed;
		CPU_CLR(t->cpu, &others);
		sched_setaffinity(t->js_tid, sizeof others, &others);
		return allowed;
	}
	pthread_mutex_unlock(&parting);
	CPU_ZERO(&allowed);
	return allowed;
}

/* Allows it again what it was allowed. */
void affinity_rejoin(const struct tracer *t, const cpu_set_t *allowed)
{
	if (CPU_COUNT(allowed) == 0)
		return;
	sched_setaffinity(t->js_tid, sizeof *allowed, allowed);
	pthread_mutex_unlock(&parting);
}

/* One of the CPUs that this process may use, but not the one that the caller runs on, if there is a choice; any of the others, so that several
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
