/*
 * Which pages of a guest's memory are there: what a core file has to hold, without touching the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

#define PAGE 4096ull

/* PAGEMAP_SCAN (Linux 6.7), which headers of older systems do not have. */
struct scan_region {
	uint64_t start, end, categories;
};
struct scan_argument {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN _IOWR('f', 16, struct scan_argument)
#define IS_FILE (1ull << 2)
#define IS_PRESENT (1ull << 3)
#define IS_SWAPPED (1ull << 4)
#define IS_ZERO_PAGE (1ull << 5)

/* /proc/pid/pagemap: one word a page. */
#define ENTRY_FILE (1ull << 61)
#define ENTRY_SWAPPED (1ull << 62)
#define ENTRY_PRESENT (1ull << 63)
#define ENTRIES 4096ull
/* Pages that one call looks at that way. */
#define MOST_ENTRIES (1ull << 19)

struct regions {
	double *out;
	int count, room;
};

/* Adds pages to what was found; false if there is no room. */
static int add(struct regions *found, uint64_t start, uint64_t end, int anonymous)
{
	double *last = found->out + 3 * (found->count - 1);

	if (found->count > 0 && last[1] == (double)start && last[2] == anonymous) {
		last[1] = (double)end;
		return 1;
	}
	if (found->count == found->room) return 0;
	last += 3;
	last[0] = (double)start;
	last[1] = (double)end;
	last[2] = anonymous;
	found->count++;
	return 1;
}

/* By the pages' own entries. Where it stopped. */
static uint64_t walk(int fd, uint64_t start, uint64_t end, struct regions *found)
{
	uint64_t entries[ENTRIES], at = start;

	if (end - start > MOST_ENTRIES * PAGE) end = start + MOST_ENTRIES * PAGE;
	while (at < end) {
		uint64_t wanted = (end - at) / PAGE;
		ssize_t n;

		if (wanted > ENTRIES) wanted = ENTRIES;
		n = pread(fd, entries, wanted * 8, (off_t)(at / PAGE * 8));
		if (n <= 0) return end;
		for (ssize_t i = 0; i < n / 8; i++, at += PAGE) {
			if ((entries[i] & (ENTRY_PRESENT | ENTRY_SWAPPED)) == 0) continue;
			if (!add(found, at, at + PAGE, (entries[i] & ENTRY_FILE) == 0)) return at;
		}
	}
	return at;
}

/*
 * Finds the pages that process `pid` has between two page addresses: up to `room` times start, end, and whether they are
 * anonymous, into `out`. How many it found; `*stopped` is how far it has looked. -errno. Never looks for long.
 */
EXPORT int sentry_guest_present(int pid, uint64_t start, uint64_t end, double *out, int room, double *stopped)
{
	enum { ROOM = 256, PAGES = 1 << 16 };
	struct scan_region regions[ROOM];
	struct scan_argument scan = {
		.size = sizeof scan, .start = start, .end = end, .vec = (uint64_t)(uintptr_t)regions,
		.vec_len = room < ROOM ? (uint64_t)room : ROOM, .max_pages = PAGES,
		.category_inverted = IS_ZERO_PAGE, .category_mask = IS_ZERO_PAGE,
		.category_anyof_mask = IS_PRESENT | IS_SWAPPED, .return_mask = IS_FILE,
	};
	struct regions found = {out, 0, room};
	char path[64];
	int fd;
	long n;

	snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return -errno;
	n = ioctl(fd, SCAN, &scan);
	if (n >= 0) {
		for (long i = 0; i < n; i++) add(&found, regions[i].start, regions[i].end, (regions[i].categories & IS_FILE) == 0);
		*stopped = (double)scan.walk_end;
	} else if (errno == ENOTTY || errno == EINVAL) {
		*stopped = (double)walk(fd, start, end, &found);
	} else {
		found.count = -errno;
	}
	close(fd);
	return found.count;
}
