/* One operation, named by the argument: what one system call, or a few that go together, cost. */
#include "measure.h"
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define LARGE 65536

static char large[LARGE];
static int file;
static volatile int handled;

/* `mov $nr, %eax; syscall` in libc: what a platform can patch. */
static void parent(void)
{
	if (getppid() < 0)
		fail("getppid");
}

/* The number comes in a register: nobody can know it beforehand. */
static void unpatched(void)
{
	if (syscall(SYS_getpid) <= 0)
		fail("getpid");
}

static void clock_now(void)
{
	now();
}

static void on_signal(int signal)
{
	handled = signal;
}

static void signal_self(void)
{
	handled = 0;
	if (kill(getpid(), SIGUSR1) != 0 || handled != SIGUSR1)
		fail("kill");
}

static void small_file(void)
{
	char buffer[64];
	struct stat st;
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0 || read(fd, buffer, sizeof buffer) <= 0 || close(fd) != 0)
		fail("/etc/passwd");
}

static void large_read(void)
{
	if (pread(file, large, LARGE, 0) != LARGE)
		fail("pread");
}

static void large_write(void)
{
	if (pwrite(file, large, LARGE, 0) != LARGE)
		fail("pwrite");
}

static void map(void)
{
	char *p = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		fail("mmap");
	*p = 1;
	if (munmap(p, 16384) != 0)
		fail("munmap");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*operation)(void);
	} all[] = {{"getppid", parent}, {"syscall", unpatched}, {"clock", clock_now}, {"signal", signal_self}, {"file", small_file},
	           {"pread", large_read}, {"pwrite", large_write}, {"mmap", map}};

	signal(SIGUSR1, on_signal);
	file = memfd_create("large", MFD_CLOEXEC);
	if (file < 0 || pwrite(file, large, LARGE, 0) != LARGE)
		fail("memfd");
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
		if (argc == 2 && strcmp(argv[1], all[i].name) == 0) {
			measure(all[i].operation);
			return 0;
		}
	return 2;
}
