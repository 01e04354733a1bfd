/* Runs an operation often enough to be measured and prints how many nanoseconds one takes. */
#ifndef MEASURE_H
#define MEASURE_H
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/*
 * How long the last round lasts at least, in ns, and the ones before it together about a third of that: long enough for a
 * compiler that compiles what has become hot to have done so.
 */
#define ENOUGH 500000000LL

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void measure(void (*operation)(void))
{
	operation(); /* the first one pays for page faults and caches */
	for (long long count = 4;; count *= 4) {
		long long start = now();
		for (long long i = 0; i < count; i++)
			operation();
		long long spent = now() - start;
		if (spent >= ENOUGH) {
			printf("%lld\n", spent / count);
			return;
		}
	}
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}
#endif
