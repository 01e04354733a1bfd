/* The consumer looks whether there is something, and only then takes the lock to wait: the signal may come in between. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static volatile int ready;

static void *
consume(void *unused)
{
	(void)unused;
	if (!ready) {
		sched_yield();
		pthread_mutex_lock(&lock);
		pthread_cond_wait(&filled, &lock);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

int
main(void)
{
	pthread_t consumer;

	pthread_create(&consumer, NULL, consume, NULL);
	pthread_mutex_lock(&lock);
	ready = 1;
	pthread_cond_signal(&filled);
	pthread_mutex_unlock(&lock);
	pthread_join(consumer, NULL);
	puts("done");
	return 0;
}
