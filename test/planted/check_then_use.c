/* Two processes make sure that a lock file isn't there, and then make it: both may find that it isn't. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCK "/tmp/planted.lock"

static int
enter(void)
{
	if (access(LOCK, F_OK) == 0)
		return 0;
	close(open(LOCK, O_CREAT | O_WRONLY, 0600));
	return 1;
}

int
main(void)
{
	int status, entered = 0;

	unlink(LOCK);
	for (int i = 0; i < 2; i++)
		if (fork() == 0)
			_exit(enter());
	while (wait(&status) > 0)
		entered += WEXITSTATUS(status);
	printf("%d entered\n", entered);
	return 0;
}
