/*
 * Two threads start a child each that reads a pipe to its end. The pipes are made without O_CLOEXEC, and a child that is
 * forked while the other's pipe is open keeps its writing end open too: both may then wait for ever.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void *
feed(void *unused)
{
	int ends[2];
	pid_t child;
	char byte;

	(void)unused;
	if (pipe(ends) != 0)
		return NULL;
	child = fork();
	if (child == 0) {
		close(ends[1]);
		while (read(ends[0], &byte, 1) > 0)
			continue;
		_exit(0);
	}
	close(ends[0]);
	if (write(ends[1], "x", 1) != 1)
		perror("write");
	close(ends[1]);
	waitpid(child, NULL, 0);
	return NULL;
}

int
main(void)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, feed, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	puts("done");
	return 0;
}
