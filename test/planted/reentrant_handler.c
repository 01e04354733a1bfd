/* The handler takes a lock that the program itself may hold when the signal comes. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int count;

static void
on_signal(int signo)
{
	(void)signo;
	pthread_mutex_lock(&lock);
	count++;
	pthread_mutex_unlock(&lock);
}

int
main(void)
{
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < 5; i++) {
		getppid();
		pthread_mutex_lock(&lock);
		count++;
		if (i == 3)
			getppid();
		pthread_mutex_unlock(&lock);
	}
	puts("done");
	return 0;
}
