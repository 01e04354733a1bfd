/* Retries a read that found nothing, but not one that a signal has interrupted. */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int
main(void)
{
	int ends[2];
	char byte;
	ssize_t count;

	if (pipe(ends) != 0)
		return 2;
	if (fork() == 0) {
		for (int i = 0; i < 3; i++)
			if (write(ends[1], "x", 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	for (;;) {
		count = read(ends[0], &byte, 1);
		if (count == 0)
			break;
		if (count < 0 && errno != EAGAIN) {
			perror("read");
			return 1;
		}
	}
	wait(NULL);
	puts("done");
	return 0;
}
