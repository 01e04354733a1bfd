/*
 * As many threads as the first argument says, each computing for about as many µs as the second between calls: prints how
 * long one such round takes, of all threads together.
 */
#include "measure.h"
#include <pthread.h>

#define STEPS 750 /* of computing in a µs, about */
#define START 500000000LL
#define END (START + 1000000000LL)

static volatile unsigned sink;
static int grain;
static long long begun;

/* The rounds between START and END. */
static void *work(void *argument)
{
	long rounds = 0;
	for (;;) {
		unsigned x = rounds;
		long long at;
		for (int i = 0; i < grain * STEPS; i++)
			x = x * 1664525 + 1013904223;
		sink = x;
		if (getppid() < 0)
			fail("getppid");
		at = now() - begun;
		if (at > END)
			break;
		if (at > START)
			rounds++;
	}
	*(long *)argument = rounds;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[16];
	long rounds[16], all = 0;
	int count = argc == 3 ? atoi(argv[1]) : 0;
	if (count < 1 || count > 16)
		return 2;
	grain = atoi(argv[2]);
	begun = now();
	for (int i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, work, &rounds[i]) != 0)
			fail("thread");
	for (int i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		all += rounds[i];
	}
	printf("%lld\n", all > 0 ? (END - START) / all : 0);
	return 0;
}
