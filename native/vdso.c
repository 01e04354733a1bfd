/*
 * The vdso(7): the shared object that the kernel maps into every program. Its functions tell the time from the page
 * below it and the time-stamp counter, without a system call; whatever they can't tell they ask the kernel for.
 * Freestanding, nothing to relocate, no data of its own.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "freestanding.h"
#include "vdso.h"

#define NANOS 1000000000u
/* Of the coarse clocks: what clock_getres(2) says. */
#define COARSE 4000000u

/* Clocks of which this knows that they are CLOCK_MONOTONIC (0) or CLOCK_REALTIME (1) here. */
#define MONOTONIC_CLOCKS (1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW | 1u << CLOCK_MONOTONIC_COARSE | 1u << CLOCK_BOOTTIME)
#define REALTIME_CLOCKS (1u << CLOCK_REALTIME | 1u << CLOCK_REALTIME_COARSE | 1u << CLOCK_TAI)
#define COARSE_CLOCKS (1u << CLOCK_MONOTONIC_COARSE | 1u << CLOCK_REALTIME_COARSE)

#define FUNCTION __attribute__((visibility("default")))
#define ALIAS(of) __attribute__((weak, visibility("default"), alias(#of)))

/* Placed by vdso.ld. */
extern const volatile struct vdso_page vdso_page __attribute__((visibility("hidden")));

static int is_one_of(clockid_t clock, uint32_t clocks)
{
	return (uint32_t)clock < 32 && (clocks >> clock & 1) != 0;
}

FUNCTION int __vdso_clock_gettime(clockid_t clock, struct timespec *at);
FUNCTION int __vdso_clock_gettime(clockid_t clock, struct timespec *at)
{
	if (is_one_of(clock, MONOTONIC_CLOCKS | REALTIME_CLOCKS)) {
		uint64_t nanos = vdso_now(&vdso_page, is_one_of(clock, REALTIME_CLOCKS));

		if (nanos != 0) {
			if (is_one_of(clock, COARSE_CLOCKS))
				nanos -= nanos % COARSE;
			at->tv_sec = (time_t)(nanos / NANOS);
			at->tv_nsec = (long)(nanos % NANOS);
			return 0;
		}
	}
	return (int)call(SYS_clock_gettime, clock, (long)at, 0, 0, 0, 0);
}

FUNCTION int __vdso_clock_getres(clockid_t clock, struct timespec *at);
FUNCTION int __vdso_clock_getres(clockid_t clock, struct timespec *at)
{
	if (!is_one_of(clock, MONOTONIC_CLOCKS | REALTIME_CLOCKS))
		return (int)call(SYS_clock_getres, clock, (long)at, 0, 0, 0, 0);
	if (at) {
		at->tv_sec = 0;
		at->tv_nsec = is_one_of(clock, COARSE_CLOCKS) ? COARSE : 1;
	}
	return 0;
}

FUNCTION int __vdso_gettimeofday(struct timeval *at, struct timezone *zone);
FUNCTION int __vdso_gettimeofday(struct timeval *at, struct timezone *zone)
{
	uint64_t nanos = vdso_now(&vdso_page, 1);

	if (nanos == 0)
		return (int)call(SYS_gettimeofday, (long)at, (long)zone, 0, 0, 0, 0);
	if (at) {
		at->tv_sec = (time_t)(nanos / NANOS);
		at->tv_usec = (suseconds_t)(nanos % NANOS / 1000);
	}
	if (zone) {
		zone->tz_minuteswest = 0;
		zone->tz_dsttime = 0;
	}
	return 0;
}

FUNCTION time_t __vdso_time(time_t *at);
FUNCTION time_t __vdso_time(time_t *at)
{
	uint64_t nanos = vdso_now(&vdso_page, 1);
	time_t seconds;

	if (nanos == 0)
		return (time_t)call(SYS_time, (long)at, 0, 0, 0, 0, 0);
	seconds = (time_t)(nanos / NANOS);
	if (at)
		*at = seconds;
	return seconds;
}

FUNCTION long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);
FUNCTION long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
	uint32_t known = vdso_page.cpu;

	if (known == ~0u)
		return call(SYS_getcpu, (long)cpu, (long)node, (long)unused, 0, 0, 0);
	if (cpu)
		*cpu = known;
	if (node)
		*node = 0;
	return 0;
}

int clock_gettime(clockid_t clock, struct timespec *at) ALIAS(__vdso_clock_gettime);
int clock_getres(clockid_t clock, struct timespec *at) ALIAS(__vdso_clock_getres);
int gettimeofday(struct timeval *restrict at, void *restrict zone) ALIAS(__vdso_gettimeofday);
time_t time(time_t *at) ALIAS(__vdso_time);
long getcpu(unsigned *cpu, unsigned *node, void *unused) ALIAS(__vdso_getcpu);
