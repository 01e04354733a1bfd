/* Three threads, three locks, each takes its own and then its neighbour's: all three may hold one and wait for another. */
#include <pthread.h>
#include <stdio.h>
#include <stdint.h>
#include <sched.h>

static pthread_mutex_t locks[3] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};

static pthread_barrier_t start;

static void *
work(void *argument)
{
	int me = (int)(intptr_t)argument;

	pthread_barrier_wait(&start);
	pthread_mutex_lock(&locks[me]);
	sched_yield();
	pthread_mutex_lock(&locks[(me + 1) % 3]);
	pthread_mutex_unlock(&locks[(me + 1) % 3]);
	pthread_mutex_unlock(&locks[me]);
	return NULL;
}

int
main(void)
{
	pthread_t threads[3];

	pthread_barrier_init(&start, NULL, 3);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	puts("done");
	return 0;
}
