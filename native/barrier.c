/* membarrier(2) for guests: every stub has registered for it (stub.c, systrapstub.c). */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tracer.h"

/*
 * Whether stubs can register; they have the same kernel and the same filters above them. Asked, not tried: to register
 * takes a process with threads, as this one is, many milliseconds. 0 or -errno.
 */
EXPORT int sentry_barrier_available(void)
{
	const int needed = MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (commands < 0)
		return -errno;
	return (commands & needed) == needed ? 0 : -ENOSYS;
}

/* All running threads of all stubs pass through a full memory barrier. 0 or -errno. */
EXPORT int sentry_barrier(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) < 0 ? -errno : 0;
}
