/* The page of vdso.h: making it, and writing what was decided elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vdso.h"

#define EXPORT __attribute__((visibility("default")))

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

/* Readings of which the tightest counts: a pause between its parts would be an error of the clock. */
#define READINGS 8

/* out: the page's address here. A descriptor to map it with, which can only be read through; or -errno. */
EXPORT int sentry_vdso_page_open(uint64_t *out);
int sentry_vdso_page_open(uint64_t *out)
{
	int fd = memfd_create("sentry-vdso", MFD_CLOEXEC | MFD_ALLOW_SEALING), error;
	struct vdso_page *page;

	if (fd < 0)
		return -errno;
	page = ftruncate(fd, VDSO_PAGE) < 0 ? MAP_FAILED : mmap(NULL, VDSO_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED || fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	*out = (uintptr_t)page;
	return fd;
}

EXPORT void sentry_vdso_page_close(uint64_t page, int fd);
void sentry_vdso_page_close(uint64_t page, int fd)
{
	munmap((void *)(uintptr_t)page, VDSO_PAGE);
	close(fd);
}

static uint64_t nanos(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* out: the time-stamp counter and CLOCK_MONOTONIC at one moment, and by how much CLOCK_REALTIME is ahead of that. */
EXPORT void sentry_clock_sample(uint64_t *out);
void sentry_clock_sample(uint64_t *out)
{
	uint64_t best = ~0ull;

	for (int i = 0; i < READINGS; i++) {
		uint64_t before = vdso_counter(), monotonic = nanos(CLOCK_MONOTONIC), after = vdso_counter();
		uint64_t realtime = nanos(CLOCK_REALTIME), later = nanos(CLOCK_MONOTONIC);

		if (after - before >= best)
			continue;
		best = after - before;
		out[0] = before + (after - before) / 2;
		out[1] = monotonic;
		out[2] = realtime - monotonic - (later - monotonic) / 2;
	}
}

/* What the clock shows according to the page or, where that can't tell, the host. */
EXPORT uint64_t sentry_vdso_page_now(uint64_t page, int realtime);
uint64_t sentry_vdso_page_now(uint64_t page, int realtime)
{
	uint64_t now = vdso_now((const volatile struct vdso_page *)(uintptr_t)page, realtime);

	return now ? now : nanos(realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC);
}

/* Writes the line, five words in the order of struct vdso_line, so that no reader sees half of it. */
EXPORT void sentry_vdso_page_write(uint64_t page, const uint64_t *line);
void sentry_vdso_page_write(uint64_t page, const uint64_t *line)
{
	volatile struct vdso_page *p = (volatile struct vdso_page *)(uintptr_t)page;
	uint32_t sequence = p->sequence;

	p->sequence = sequence + 1;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	p->line.counter = line[0];
	p->line.window = line[1];
	p->line.rate = line[2];
	p->line.monotonic = line[3];
	p->line.epoch = line[4];
	__atomic_store_n(&p->sequence, sequence + 2, __ATOMIC_RELEASE);
}

EXPORT void sentry_vdso_page_cpu(uint64_t page, uint32_t cpu);
void sentry_vdso_page_cpu(uint64_t page, uint32_t cpu)
{
	((volatile struct vdso_page *)(uintptr_t)page)->cpu = cpu;
}
