/*
 * An alarm clock for an event loop whose own timers count milliseconds: a thread that sleeps in a timerfd(2) and writes
 * a byte to a pipe when it rings. Setting it doesn't wake the thread.
 *
 * Functions return -errno on failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { STACK = 64 * 1024 };

struct alarm {
	int timer;
	int announce; /* does not block: a byte that waits there already says the same */
	pthread_t thread;
	_Atomic bool stop;
};

static void *alarm_loop(void *argument)
{
	struct alarm *a = argument;
	uint64_t expiries;
	char byte = 0;

	while (read(a->timer, &expiries, sizeof expiries) > 0 || errno == EINTR) {
		if (atomic_load(&a->stop))
			break;
		while (write(a->announce, &byte, 1) < 0 && errno == EINTR)
			;
	}
	return NULL;
}

static int start_thread(struct alarm *a)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	sigfillset(&all); /* signals belong to Node's threads */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = -pthread_create(&a->thread, &attributes, alarm_loop, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error;
}

/* An alarm as an address, and in *announced the read end of its pipe, which the caller owns. */
EXPORT int64_t sentry_alarm_start(int *announced)
{
	struct alarm *a = calloc(1, sizeof *a);
	int ends[2], error;

	if (!a)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
		error = -errno;
		free(a);
		return error;
	}
	a->announce = ends[1];
	a->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	error = a->timer < 0 ? -errno : start_thread(a);
	if (error < 0) {
		if (a->timer >= 0)
			close(a->timer);
		close(ends[0]);
		close(ends[1]);
		free(a);
		return error;
	}
	*announced = ends[0];
	return (int64_t)(intptr_t)a;
}

/* Rings once CLOCK_MONOTONIC reaches `deadline`, in ns; in place of what was set before. */
EXPORT void sentry_alarm_set(int64_t handle, int64_t deadline)
{
	const struct alarm *a = (const struct alarm *)(intptr_t)handle;
	struct itimerspec when = {0};

	if (deadline < 1)
		deadline = 1; /* 0 would disarm it */
	when.it_value.tv_sec = deadline / 1000000000;
	when.it_value.tv_nsec = deadline % 1000000000;
	timerfd_settime(a->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

EXPORT void sentry_alarm_stop(int64_t handle)
{
	struct alarm *a = (struct alarm *)(intptr_t)handle;

	atomic_store(&a->stop, true);
	sentry_alarm_set(handle, 1);
	pthread_join(a->thread, NULL);
	close(a->timer);
	close(a->announce);
	free(a);
}
