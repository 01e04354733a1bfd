/* open, read, close of a small file. */
#include "measure.h"
#include <fcntl.h>

static void operation(void)
{
	char buffer[64];
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, buffer, sizeof buffer) <= 0 || close(fd) != 0)
		fail("/etc/passwd");
}

int main(void)
{
	measure(operation);
	return 0;
}
