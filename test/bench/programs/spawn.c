/* fork, execve of a static program that does nothing, wait. */
#include "measure.h"
#include <sys/wait.h>

static char *program;

static void operation(void)
{
	int status;
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		char *argv[] = { program, NULL }, *envp[] = { NULL };
		execve(program, argv, envp);
		_exit(127);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		fail(program);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	program = argv[1];
	measure(operation);
	return 0;
}
