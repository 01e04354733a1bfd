/* Keeps a time in 32 bits. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int
main(void)
{
	int32_t now = (int32_t)time(NULL);
	int32_t until = (int32_t)((uint32_t)now + 3600);

	if (until < now)
		abort();
	puts("done");
	return 0;
}
