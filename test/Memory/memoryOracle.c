/*
 * Carries out memory calls, one a line, and prints what the host's kernel answers: a negative errno, 0, "+" for an
 * address outside the arena, or the page number of one inside it. In the end, the protection of each page of the arena.
 *
 *   memoryOracle FILE
 *   map ADDRESS LENGTH PROT FLAGS FILE OFFSET      FILE: 0 none, 1 read-write, 2 read-only, 3 write-only
 *   unmap ADDRESS LENGTH / protect ADDRESS LENGTH PROT / advise ADDRESS LENGTH ADVICE / sync ADDRESS LENGTH FLAGS
 *   lock ADDRESS LENGTH / unlock ADDRESS LENGTH / remap ADDRESS LENGTH NEWLENGTH FLAGS NEWADDRESS
 *
 * Addresses are relative to the arena, in bytes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARENA 0x1000000000L
#define PAGES 32
#define PAGE 4096L

static void answer(long result) {
	if (result == -1)
		printf("%d\n", -errno);
	else if (result >= ARENA && result < ARENA + 2 * PAGES * PAGE)
		printf("%ld\n", (result - ARENA) / PAGE);
	else
		printf(result == 0 ? "0\n" : "+\n");
}

int main(int argc, char **argv) {
	if (argc != 2)
		return 1;
	int files[4] = {-1, open(argv[1], O_RDWR), open(argv[1], O_RDONLY), open(argv[1], O_WRONLY)};
	char op[16];
	long a[6];
	char line[256];
	while (fgets(line, sizeof line, stdin) != NULL) {
		memset(a, 0, sizeof a);
		if (sscanf(line, "%15s %ld %ld %ld %ld %ld %ld", op, a, a + 1, a + 2, a + 3, a + 4, a + 5) < 3)
			return 1;
		long at = ARENA + a[0];
		if (strcmp(op, "map") == 0)
			answer(syscall(SYS_mmap, at, a[1], a[2], a[3], files[a[4]], a[5]));
		else if (strcmp(op, "unmap") == 0)
			answer(syscall(SYS_munmap, at, a[1]));
		else if (strcmp(op, "protect") == 0)
			answer(syscall(SYS_mprotect, at, a[1], a[2]));
		else if (strcmp(op, "advise") == 0)
			answer(syscall(SYS_madvise, at, a[1], a[2]));
		else if (strcmp(op, "sync") == 0)
			answer(syscall(SYS_msync, at, a[1], a[2]));
		else if (strcmp(op, "lock") == 0)
			answer(syscall(SYS_mlock, at, a[1]));
		else if (strcmp(op, "unlock") == 0)
			answer(syscall(SYS_munlock, at, a[1]));
		else if (strcmp(op, "remap") == 0)
			answer(syscall(SYS_mremap, at, a[1], a[2], a[3], ARENA + a[4]));
		else
			return 1;
	}
	FILE *maps = fopen("/proc/self/maps", "r");
	static char pages[2 * PAGES][5];
	while (fgets(line, sizeof line, maps) != NULL) {
		unsigned long start, end;
		char how[8];
		if (sscanf(line, "%lx-%lx %7s", &start, &end, how) != 3)
			return 1;
		for (long i = 0; i < 2 * PAGES; i++)
			if ((unsigned long)(ARENA + i * PAGE) >= start && (unsigned long)(ARENA + i * PAGE) < end)
				memcpy(pages[i], how, 4);
	}
	for (long i = 0; i < 2 * PAGES; i++)
		printf("%s ", pages[i][0] != 0 ? pages[i] : "-");
	printf("\n");
	return 0;
}
