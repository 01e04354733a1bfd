/* One thread waits for another by looking at a variable again and again, without a system call: nobody can interrupt it
 * there but a clock of the host's. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static volatile int is_ready;

static void *
prepare(void *unused)
{
	(void)unused;
	getppid();
	is_ready = 1;
	return NULL;
}

int
main(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, prepare, NULL);
	while (!is_ready)
		;
	pthread_join(thread, NULL);
	puts("done");
	return 0;
}
