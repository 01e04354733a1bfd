/* membarrier(2) for guests: every stub has registered for it (stub.c, systrapstub.c). */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tracer.h"

/* Whether processes can register here; the stubs have the same kernel and the same filters above them. 0 or -errno. */
EXPORT int sentry_barrier_available(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) < 0 ? -errno : 0;
}

/* All running threads of all stubs pass through a full memory barrier. 0 or -errno. */
EXPORT int sentry_barrier(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) < 0 ? -errno : 0;
}
