/* As many threads as the argument says, each computing some 20 µs between calls: the wall time for one such round, of all together. */
#include "measure.h"
#include <pthread.h>

#define ROUNDS 10000

static volatile unsigned sink;

static void *work(void *argument)
{
	for (int round = 0; round < ROUNDS; round++) {
		unsigned x = round;
		for (int i = 0; i < 10000; i++)
			x = x * 1664525 + 1013904223;
		sink = x;
		if (getppid() < 0)
			fail("getppid");
	}
	return argument;
}

int main(int argc, char **argv)
{
	int count = argc == 2 ? atoi(argv[1]) : 1;
	pthread_t threads[16];
	long long start = now();
	if (count < 1 || count > 16)
		return 2;
	for (int i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			fail("thread");
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("%lld\n", (now() - start) / ROUNDS / count);
	return 0;
}
