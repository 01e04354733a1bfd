/* Generated calls about files, their names, what is copied between them, and memory. */
#include "calls.h"
#include <dirent.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static int directory(void) { return below(4) ? AT_FDCWD : fd(); }

static long offset(void) { return below(3) ? (long)below(20000) : (long)edge(); }

/* What is read is looked at, but for signals and events, which tell about processes. */
static void note_read(const char *at, long length)
{
	if (length <= 0)
		return;
	if (length % 128 == 0 && length <= 128 * 8)
		memset((char *)at, 0, length);
	else
		note_bytes(at, length);
}

static const struct iovec *vectors(struct iovec *room)
{
	for (int i = 0; i < 4; i++)
		room[i] = (struct iovec){place(), below(30) ? below(5000) : edge()};
	return below(30) ? room : (struct iovec *)place();
}

static void note_status(const struct stat *st)
{
	/* the size of a directory is the filesystem's own business */
	note(" {%o %ld %u %u %ld}", st->st_mode, S_ISDIR(st->st_mode) ? 0 : (long)st->st_nlink, st->st_uid, st->st_gid,
	     S_ISREG(st->st_mode) || S_ISLNK(st->st_mode) ? st->st_size : 0);
}

static void open_file(void)
{
	static const int ways[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, 3};
	static const int flags[] = {O_CREAT, O_CREAT, O_CREAT | O_EXCL, O_TRUNC, O_APPEND, O_CREAT | O_TRUNC, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_CLOEXEC, O_TMPFILE, O_NONBLOCK, O_NOATIME, 0};
	int how = ONE_OF(ways) | ONE_OF(flags) | (below(3) ? 0 : ONE_OF(flags)) | (below(3) ? O_NONBLOCK : 0);
	if (below(40) == 0)
		how |= (int)bits(0xffffffff) & ~O_DIRECT & ~FASYNC;
	WAIT(openat, directory(), P(path_to_open()), how, below(4) ? 0644 : below(010000));
}

static void open_by_structure(void)
{
	struct open_how how = {
		.flags = below(3) ? O_RDONLY : bits(O_CREAT | O_RDWR | O_EXCL | O_DIRECTORY | O_PATH | O_TRUNC | O_NOFOLLOW) | O_NONBLOCK,
		.mode = below(2) ? 0 : below(010000),
		.resolve = below(2) ? 0 : bits(0x3f) & ~RESOLVE_CACHED, /* what is in a cache is left to chance */
	};
	WAIT(openat2, directory(), P(path()), P(&how), below(10) ? sizeof how : size());
}

void files(void)
{
	struct iovec room[4];
	struct stat st;
	char *at = place();
	switch (below(24)) {
	case 0 ... 4:
		open_file();
		break;
	case 5:
		open_by_structure();
		break;
	case 6:
		CALL(close, fd());
		break;
	case 7 ... 8:
		note_read(at, WAIT(read, fd(), P(at), size()));
		break;
	case 9 ... 10:
		WAIT(write, fd(), P(at), size());
		break;
	case 11:
		note_read(at, WAIT(pread64, fd(), P(at), size(), offset()));
		break;
	case 12:
		WAIT(pwrite64, fd(), P(at), size(), offset());
		break;
	case 13:
		WAIT(readv, fd(), P(vectors(room)), below(20) ? below(5) : edge());
		break;
	case 14:
		WAIT(writev, fd(), P(vectors(room)), below(20) ? below(5) : edge());
		break;
	case 15:
		WAIT(preadv2, fd(), P(vectors(room)), below(5), offset(), 0, bits(0x18));
		break;
	case 16:
		WAIT(pwritev2, fd(), P(vectors(room)), below(5), offset(), 0, bits(0x3f));
		break;
	case 17:
		CALL(lseek, fd(), offset(), below(6));
		break;
	case 18: {
		int file = fd();
		if (own(file) && CALL(fstat, file, P(below(20) ? (char *)&st : at)) == 0 && at != NULL)
			fstat(file, &st), note_status(&st);
		break;
	}
	case 19: {
		int file = fd();
		if (own(file))
			CALL(ftruncate, file, offset());
		break;
	}
	case 20: {
		int file = fd();
		if (own(file))
			CALL(fallocate, file, below(2) ? 0 : below(128), offset(), offset());
		break;
	}
	case 21:
		CALL(dup, fd());
		break;
	case 22:
		if (below(2))
			CALL(dup2, fd(), fd());
		else
			CALL(dup3, fd(), fd(), below(3) ? O_CLOEXEC : bits(0xffffffff));
		break;
	case 23: {
		static const int commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETPIPE_SZ, F_GET_SEALS, F_ADD_SEALS, F_GETLEASE};
		int command = below(20) ? ONE_OF(commands) : (int)(100 + below(800));
		long argument = command == F_SETFL ? (long)bits(O_APPEND | O_NONBLOCK | O_RDWR | O_NOATIME) : below(3) ? (long)below(40) : (long)edge();
		CALL(fcntl, fd(), command, argument);
		break;
	}
	}
}

/* Names in a directory, whatever their order. */
static void list(void)
{
	char buffer[2048];
	uint64_t sum = 0;
	int from = fd();
	if (!own(from))
		return;
	uint64_t room = below(8) ? sizeof buffer : below(100);
	long length = CALL(getdents64, from, P(buffer), room);
	for (long at = 0; at < length;) {
		uint64_t name = 0;
		struct dirent64 *entry = (struct dirent64 *)(buffer + at);
		for (const char *c = entry->d_name; *c; c++)
			name = name * 31 + (uint8_t)*c;
		sum += name * (entry->d_type + 1);
		at += entry->d_reclen;
	}
	if (room == sizeof buffer)
		note(" {%lx}", sum);
}

void names(void)
{
	static const char *const attributes[] = {"user.a", "user.b", "user.", "trusted.a", "a", "", "nonsense.a", "security.a"};
	struct stat st;
	struct statx stx;
	char text[300];
	long result;
	switch (below(24)) {
	case 0 ... 2:
		CALL(mkdirat, directory(), P(path()), below(3) ? 0755 : below(010000));
		break;
	case 3:
		CALL(unlinkat, directory(), P(path()), below(2) ? 0 : below(3) ? AT_REMOVEDIR : bits(0xffff));
		break;
	case 4:
		CALL(unlink, P(path()));
		break;
	case 5:
		CALL(rmdir, P(path()));
		break;
	case 6 ... 7:
		CALL(renameat2, directory(), P(path()), directory(), P(path()), below(2) ? 0 : below(8));
		break;
	case 8 ... 9:
		CALL(linkat, directory(), P(path()), directory(), P(path()), below(3) ? 0 : bits(AT_SYMLINK_FOLLOW));
		break;
	case 10 ... 11:
		CALL(symlinkat, P(path()), directory(), P(path()));
		break;
	case 12:
		memset(text, 0, sizeof text);
		result = CALL(readlinkat, AT_FDCWD, P(path()), P(below(10) ? text : place()), below(4) ? sizeof text : below(4));
		if (result > 0)
			note_bytes(text, result);
		break;
	case 13: {
		int from = directory(), flags = (int)(below(2) ? 0 : bits(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT));
		if ((flags & AT_EMPTY_PATH) != 0 && from != AT_FDCWD && !own(from))
			break;
		if (CALL(newfstatat, from, P(path()), P(&st), flags) == 0)
			note_status(&st);
		break;
	}
	case 14:
		memset(&stx, 0, sizeof stx);
		if (CALL(statx, AT_FDCWD, P(path()), below(2) ? 0 : bits(0x7900), below(4) ? 0x7ff : bits(0xffffffff), P(&stx)) == 0)
			note(" {%o %u}", stx.stx_mode, stx.stx_uid);
		break;
	case 15:
		CALL(fchmodat, directory(), P(path()), below(010000));
		break;
	case 16:
		CALL(fchownat, directory(), P(path()), below(2) ? 0 : below(3) ? 1000 : edge(), below(2) ? 0 : edge(), below(2) ? 0 : AT_SYMLINK_NOFOLLOW);
		break;
	case 17:
		CALL(faccessat2, directory(), P(path()), below(9), below(2) ? 0 : bits(AT_EACCESS | AT_SYMLINK_NOFOLLOW));
		break;
	case 18: {
		struct timespec times[2] = {{(time_t)below(1u << 30), (long)below(1000000000)}, {(time_t)below(1u << 30), below(4) ? 0 : below(2) ? UTIME_OMIT : (long)edge()}};
		const char *name = path();
		CALL(utimensat, AT_FDCWD, P(name), P(times), below(3) ? 0 : bits(AT_SYMLINK_NOFOLLOW));
		break;
	}
	case 19:
		CALL(mknodat, directory(), P(path()), below(2) ? S_IFIFO | 0644 : below(2) ? S_IFSOCK | 0600 : bits(S_IFREG | S_IFDIR | S_IFIFO | 07777), 0);
		break;
	case 20:
		if (below(2))
			CALL(setxattr, P(path()), P(ONE_OF(attributes)), P(place()), below(200), below(4));
		else if ((result = CALL(getxattr, P(path()), P(ONE_OF(attributes)), P(ARENA), below(300))) > 0)
			note_bytes(ARENA, result);
		break;
	case 21: {
		static const char *const inside[] = {"d", "e", ".", "d/e", "a", "no"};
		if (below(3))
			CALL(chdir, P(ONE_OF(inside)));
		break;
	}
	case 22:
		list();
		break;
	case 23:
		CALL(umask, below(01000));
		break;
	}
}

/* A place in a file that a call moves on, or none. */
static long *position(long *room)
{
	*room = offset();
	return below(2) ? NULL : below(20) ? room : (long *)place();
}

void transfers(void)
{
	long one, other;
	int to = fd();
	struct iovec room[4];
	switch (below(12)) {
	case 0 ... 1:
		WAIT(sendfile, to, fd(), P(position(&one)), size());
		break;
	case 2 ... 4:
		WAIT(splice, fd(), P(position(&one)), to, P(position(&other)), size(), SPLICE_F_NONBLOCK | bits(0xf));
		break;
	case 5:
		WAIT(tee, fd(), to, size(), SPLICE_F_NONBLOCK | bits(0xf));
		break;
	case 6:
		WAIT(vmsplice, fd(), P(vectors(room)), below(5), SPLICE_F_NONBLOCK);
		break;
	case 7 ... 8:
		if (own(to))
			WAIT(copy_file_range, fd(), P(position(&one)), to, P(position(&other)), size(), below(20) ? 0 : below(4));
		break;
	case 9:
		WAIT(flock, fd(), below(16));
		break;
	case 10: {
		struct flock lock = {.l_type = (short)below(4), .l_whence = (short)below(4), .l_start = offset(), .l_len = offset()};
		static const int commands[] = {F_SETLK, F_GETLK, F_OFD_SETLK, F_OFD_GETLK, F_SETLKW};
		WAIT(fcntl, fd(), ONE_OF(commands), P(below(20) ? (char *)&lock : place()));
		break;
	}
	case 11:
		if (below(2))
			CALL(fadvise64, fd(), offset(), offset(), below(9));
		else if (own(to))
			CALL(fsync, to);
		break;
	}
}

static char *mapping(void) { return below(30) ? WINDOW + below(WINDOW_PAGES) * PAGE + (below(8) ? 0 : below(PAGE)) : place(); }

static uint64_t extent(void) { return below(6) ? below(8) * PAGE + (below(4) ? 0 : below(PAGE)) : below(3) ? 0 : edge(); }

/* An extent that begins in the window stays in it: nothing else is there to be lost. */
static uint64_t extent_in_window(const char *from)
{
	uint64_t length = extent();
	return length < 0x1000000 || length > 1ull << 47 || from < WINDOW ? length : 5 * PAGE;
}

void memory(void)
{
	char *at = mapping();
	long result;
	switch (below(14)) {
	case 0 ... 4: {
		static const int kinds[] = {MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE, 0};
		int flags = ONE_OF(kinds) | MAP_FIXED | (below(2) ? MAP_ANONYMOUS : 0) | (int)(below(4) ? 0 : bits(MAP_POPULATE | MAP_NORESERVE | MAP_FIXED_NOREPLACE));
		CALL(mmap, P(WINDOW + below(WINDOW_PAGES) * PAGE + (below(20) ? 0 : below(PAGE))), below(8) * PAGE + below(2) * below(PAGE), below(8), flags, fd(), below(3) ? 0 : below(2) ? below(8) * PAGE : edge());
		break;
	}
	case 5:
		if (at >= WINDOW)
			CALL(munmap, P(at), extent_in_window(at));
		break;
	case 6:
		if (at >= WINDOW)
			CALL(mprotect, P(at), extent_in_window(at), below(20) ? below(8) : bits(0xffffffff));
		break;
	case 7: {
		char *to = WINDOW + below(WINDOW_PAGES) * PAGE;
		if (at >= WINDOW && at < WINDOW + WINDOW_PAGES * PAGE)
			CALL(mremap, P(at), extent_in_window(at), extent_in_window(to), below(2) ? MREMAP_MAYMOVE | MREMAP_FIXED : below(8) & ~MREMAP_MAYMOVE, P(to));
		break;
	}
	case 8: {
		static const int advice[] = {MADV_NORMAL, MADV_RANDOM, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_DONTDUMP, MADV_DODUMP, 99};
		if (at >= WINDOW)
			CALL(madvise, P(at), extent_in_window(at), ONE_OF(advice));
		break;
	}
	case 9:
		CALL(msync, P(at), extent_in_window(at), below(9));
		break;
	case 10:
		if (below(2))
			CALL(mlock, P(at), below(5 * PAGE));
		else
			CALL(munlock, P(at), extent_in_window(at));
		break;
	case 11:
		CALL(memfd_create, P(below(8) ? "name" : place()), below(10) ? below(4) : bits(0x1b));
		break;
	case 12: {
		struct iovec here[2] = {{place(), below(5000)}, {place(), below(5000)}}, there[2] = {{place(), below(5000)}, {place(), below(5000)}};
		result = syscall(SYS_process_vm_readv, getpid(), here, below(3), there, below(3), below(20) ? 0 : 1);
		note_outcome(result == -1 ? -errno : result, "process_vm_readv %ld", result);
		break;
	}
	case 13: {
		/* what the pages that can be read hold now */
		int pair[2];
		if (pipe2(pair, O_NONBLOCK) == -1)
			break;
		result = write(pair[1], at, 512);
		note_outcome(result == -1 ? -errno : result, "look %lx", P(at));
		char copy[512];
		if (result > 0)
			note_bytes(copy, read(pair[0], copy, sizeof copy));
		close(pair[0]);
		close(pair[1]);
		break;
	}
	}
}
