/* The cheapest system call there is. */
#include "measure.h"
#include <sys/syscall.h>

static void operation(void)
{
	if (syscall(SYS_getpid) <= 0)
		fail("getpid");
}

int main(void)
{
	measure(operation);
	return 0;
}
