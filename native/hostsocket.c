/* What a guest may ask about a socket of the host's that it was given as a standard stream. Nothing here changes it. */
#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#define EXPORT __attribute__((visibility("default")))

/* Copies the socket's own address, or its peer's, into 128 bytes: the length, or -errno. */
EXPORT int sentry_socket_name(int fd, int peer, uint8_t *into);
int sentry_socket_name(int fd, int peer, uint8_t *into)
{
	socklen_t size = 128;
	struct sockaddr *address = (struct sockaddr *)into;
	int failed = peer ? getpeername(fd, address, &size) : getsockname(fd, address, &size);

	if (failed) return -errno;
	return size > 128 ? 128 : (int)size;
}

/* getsockopt(2) into `room` bytes: the length, or -errno. */
EXPORT int sentry_socket_option(int fd, int level, int option, uint8_t *into, int room);
int sentry_socket_option(int fd, int level, int option, uint8_t *into, int room)
{
	socklen_t size = (socklen_t)room;

	if (getsockopt(fd, level, option, into, &size) != 0) return -errno;
	return (int)size;
}
