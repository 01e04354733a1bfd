/* Copying to and from guest memory, by the thread that asks: no stop and no tracer is needed. */
#include <errno.h>
#include <stdint.h>
#include <sys/uio.h>

#include "tracer.h"

/* Both copy up to the first page that is missing or protected: the number of bytes, or -errno if none. */
EXPORT int64_t sentry_guest_read(int pid, uint64_t address, uint8_t *into, uint64_t size)
{
	struct iovec local = {into, size}, remote = {(void *)address, size};
	ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n;
}

EXPORT int64_t sentry_guest_write(int pid, uint64_t address, const uint8_t *from, uint64_t size)
{
	struct iovec local = {(void *)from, size}, remote = {(void *)address, size};
	ssize_t n = process_vm_writev(pid, &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n;
}
