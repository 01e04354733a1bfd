/* A byte to another process and back: two writes, two reads, two context switches. */
#include "measure.h"
#include <sys/wait.h>

static int there[2], back[2];

static void operation(void)
{
	char byte = 1;
	if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
		fail("pipe");
}

int main(void)
{
	if (pipe(there) != 0 || pipe(back) != 0)
		fail("pipe");
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		char byte;
		close(there[1]);
		while (read(there[0], &byte, 1) == 1)
			if (write(back[1], &byte, 1) != 1)
				break;
		_exit(0);
	}
	measure(operation);
	close(there[1]);
	waitpid(child, NULL, 0);
	return 0;
}
