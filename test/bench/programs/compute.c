/* Computes for half a second or so, and makes no system call meanwhile. */
#include <stdio.h>

int main(void)
{
	unsigned x = 1;
	for (int i = 0; i < 500000000; i++)
		x = x * 1664525 + 1013904223;
	return x == 1;
}
