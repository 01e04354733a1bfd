/*
 * The page that the vdso (vdso.c) reads and the sentry writes (vdsopage.c, src/Time/VdsoPage.ts). It is mapped right
 * below the vdso in every program, where guests can only read it.
 */
#ifndef SENTRY_VDSO_H
#define SENTRY_VDSO_H

#include <stdint.h>

#define VDSO_PAGE 4096

/* Time is a line through (counter, monotonic): for `window` ticks from `counter` on it is believed. */
struct vdso_line {
	uint64_t counter;        /* the time-stamp counter at the line's beginning */
	uint64_t window;         /* ticks; 0: always make the system call */
	uint64_t rate;           /* nanoseconds a tick, times 2^32 */
	uint64_t monotonic;      /* CLOCK_MONOTONIC at the beginning, nanoseconds */
	uint64_t epoch;          /* CLOCK_REALTIME less CLOCK_MONOTONIC, nanoseconds */
};

struct vdso_page {
	uint32_t sequence;       /* odd while the line is being written */
	uint32_t cpu;            /* the CPU that every task runs on, as getcpu(2) says; ~0: ask */
	struct vdso_line line;
};

static inline uint64_t vdso_counter(void)
{
	uint32_t low, high;

	/* not before what the program did earlier, and not before the page was read */
	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* What CLOCK_MONOTONIC or CLOCK_REALTIME shows, nanoseconds; 0 if the page can't tell. */
static inline uint64_t vdso_now(const volatile struct vdso_page *page, int realtime)
{
	uint64_t ticks, nanos;
	uint32_t sequence;

	do {
		sequence = __atomic_load_n(&page->sequence, __ATOMIC_ACQUIRE);
		ticks = vdso_counter() - page->line.counter;
		if (ticks >= page->line.window)
			return 0;
		nanos = page->line.monotonic + (uint64_t)(((unsigned __int128)ticks * page->line.rate) >> 32);
		if (realtime)
			nanos += page->line.epoch;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while ((sequence & 1) != 0 || sequence != __atomic_load_n(&page->sequence, __ATOMIC_RELAXED));
	return nanos;
}

#endif
