/*
 * Readiness of host descriptors, and the standard streams of whoever started the sandbox.
 *
 * One thread per poller sleeps in epoll_wait. When a descriptor becomes ready it adds the events to that
 * registration's word and, if the word was empty, writes the registration's number to a pipe that JavaScript watches.
 * A word is announced at most once until it is taken, so the pipe never fills: 4 bytes a registration.
 *
 * Functions return -errno on failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define REGISTRATIONS 4096
#define STOP UINT32_MAX

struct poller {
	int epoll;
	int stop;
	int announce;
	pthread_t thread;
	_Atomic uint32_t pending[REGISTRATIONS];
};

static void *poll_loop(void *argument)
{
	struct poller *poller = argument;
	struct epoll_event events[64];
	for (;;) {
		int count = epoll_wait(poller->epoll, events, 64, -1);
		if (count < 0 && errno != EINTR)
			return NULL;
		for (int i = 0; i < count; i++) {
			uint32_t id = events[i].data.u32;
			if (id == STOP)
				return NULL;
			if (atomic_fetch_or(&poller->pending[id], events[i].events) != 0)
				continue;
			while (write(poller->announce, &id, sizeof id) < 0 && errno == EINTR)
				;
		}
	}
}

static int start_thread(struct poller *poller)
{
	/* Signals belong to Node's threads. */
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int error = pthread_create(&poller->thread, NULL, poll_loop, poller);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -error;
}

/* A poller as an address, and in *announced the read end of its pipe, which the caller owns. */
EXPORT int64_t sentry_poller_start(int *announced)
{
	int ends[2];
	struct poller *poller = calloc(1, sizeof *poller);
	if (poller == NULL)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		int error = -errno;
		free(poller);
		return error;
	}
	poller->announce = ends[1];
	poller->epoll = epoll_create1(EPOLL_CLOEXEC);
	poller->stop = eventfd(0, EFD_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = STOP };
	int error = 0;
	if (poller->epoll < 0 || poller->stop < 0 || epoll_ctl(poller->epoll, EPOLL_CTL_ADD, poller->stop, &event) < 0)
		error = -errno;
	else
		error = start_thread(poller);
	if (error < 0) {
		close(poller->epoll);
		close(poller->stop);
		close(ends[0]);
		close(ends[1]);
		free(poller);
		return error;
	}
	*announced = ends[0];
	return (int64_t)(intptr_t)poller;
}

EXPORT void sentry_poller_stop(int64_t handle)
{
	struct poller *poller = (struct poller *)(intptr_t)handle;
	uint64_t one = 1;
	while (write(poller->stop, &one, sizeof one) < 0 && errno == EINTR)
		;
	pthread_join(poller->thread, NULL);
	close(poller->epoll);
	close(poller->stop);
	close(poller->announce);
	free(poller);
}

/* Announces every change of readiness of `fd` as registration `id`, beginning with what is ready now. */
EXPORT int sentry_poller_watch(int64_t handle, int fd, uint32_t id)
{
	struct poller *poller = (struct poller *)(intptr_t)handle;
	struct epoll_event event = { .events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = id };
	if (id >= REGISTRATIONS)
		return -ENOSPC;
	return epoll_ctl(poller->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

EXPORT int sentry_poller_unwatch(int64_t handle, int fd)
{
	struct poller *poller = (struct poller *)(intptr_t)handle;
	return epoll_ctl(poller->epoll, EPOLL_CTL_DEL, fd, NULL) < 0 ? -errno : 0;
}

/* The events of registration `id` since they were last taken. */
EXPORT uint32_t sentry_poller_take(int64_t handle, uint32_t id)
{
	struct poller *poller = (struct poller *)(intptr_t)handle;
	return id < REGISTRATIONS ? atomic_exchange(&poller->pending[id], 0) : 0;
}

/* F_GETFL. */
EXPORT int sentry_stdio_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 ? -errno : flags;
}

/* Whether epoll takes `fd`: not for regular files and the like, which are always ready. */
EXPORT int sentry_stdio_pollable(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int pollable = epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
	if (epoll >= 0)
		close(epoll);
	return pollable;
}

/* A description of one's own of the file behind `fd`, so that its O_NONBLOCK is nobody else's. */
EXPORT int sentry_stdio_reopen(int fd, int flags)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int own = open(path, flags | O_CLOEXEC | O_NOCTTY);
	return own < 0 ? -errno : own;
}

EXPORT int64_t sentry_stdio_read(int fd, uint8_t *into, int64_t size, int socket)
{
	ssize_t count = socket ? recv(fd, into, size, MSG_DONTWAIT) : read(fd, into, size);
	return count < 0 ? -errno : count;
}

EXPORT int64_t sentry_stdio_write(int fd, const uint8_t *from, int64_t size, int socket)
{
	ssize_t count = socket ? send(fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL) : write(fd, from, size);
	return count < 0 ? -errno : count;
}

/* The poll(2) bits that hold now. */
EXPORT int sentry_stdio_poll(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLWRNORM | POLLRDHUP };
	return poll(&entry, 1, 0) < 0 ? -errno : entry.revents;
}

/* ioctl(2) on a buffer, or with a plain number where `buffer` is null. */
EXPORT int sentry_stdio_ioctl(int fd, uint32_t request, uint8_t *buffer, int64_t value)
{
	int result = buffer != NULL ? ioctl(fd, request, buffer) : ioctl(fd, request, value);
	return result < 0 ? -errno : result;
}

/* Lets go of the file behind a standard descriptor whose number must stay taken. */
EXPORT int sentry_stdio_detach(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	int result = dup2(null, fd) < 0 ? -errno : 0;
	close(null);
	return result;
}
