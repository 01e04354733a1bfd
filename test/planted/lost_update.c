/* Two threads add to one counter, and between reading and writing it each looks at the clock: an update may be lost. */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

static volatile int counter;

static void *
add(void *unused)
{
	struct timespec now;
	int seen = counter;

	(void)unused;
	clock_gettime(CLOCK_REALTIME, &now);
	counter = seen + 1;
	return NULL;
}

int
main(void)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, add, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("%d\n", counter);
	return counter == 2 ? 0 : 1;
}
