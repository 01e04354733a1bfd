/*
 * Waiting for one thread while others may stop or die.
 *
 * The first thread of a process that has been killed can't be reaped before its other threads have been: who waited for it
 * alone would wait for ever. So deaths are dealt with whosever they are, and stops of others are kept for later.
 */
#include <errno.h>
#include <sys/wait.h>

#include "tracer.h"

/* `tid`'s stop, if it has been kept. */
static bool take(struct tracer *t, pid_t tid, int *status)
{
	for (uint32_t i = 0; i < t->kept_count; i++)
		if (t->kept[i].tid == tid) {
			*status = t->kept[i].status;
			t->kept[i] = t->kept[--t->kept_count];
			return true;
		}
	return false;
}

/* Waits for the next stop of `tid`. False if it is dead. */
bool wait_for(struct tracer *t, pid_t tid, int *status)
{
	if (take(t, tid, status))
		return true;
	for (;;) {
		pid_t got = waitpid(-1, status, __WALL | __WNOTHREAD);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (!WIFSTOPPED(*status)) {
			int unused;

			take(t, got, &unused);
			tracer_on_death(t, got);
			if (got == tid)
				return false;
		} else if (got == tid)
			return true;
		else if (t->kept_count < sizeof t->kept / sizeof *t->kept) {
			t->kept[t->kept_count].tid = got;
			t->kept[t->kept_count++].status = *status;
		}
	}
}

/* A stop that has been kept. False if there is none. */
bool wait_kept(struct tracer *t, pid_t *tid, int *status)
{
	if (t->kept_count == 0)
		return false;
	*tid = t->kept[0].tid;
	return take(t, *tid, status);
}
