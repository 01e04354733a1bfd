/* The host's cryptographic randomness. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#define EXPORT __attribute__((visibility("default")))

/* Fills `into`, getrandom(2). */
EXPORT void sentry_random(uint8_t *into, uint64_t size)
{
	while (size > 0) {
		ssize_t n = getrandom(into, size, 0);

		if (n < 0 && errno != EINTR)
			abort(); /* a host without it could keep no secret */
		if (n > 0) {
			into += n;
			size -= (uint64_t)n;
		}
	}
}
