/*
 * Files of the host, one path component at a time.
 *
 * Nothing here walks a path: a name that contains '/', or is "..", is refused, and no symbolic link is followed.
 * Functions return a count or 0, or -errno. Attributes are written to an array of doubles (see `attributes`), because
 * that is what JavaScript reads cheapest.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static int64_t result(int64_t value)
{
	return value < 0 ? -errno : value;
}

/* Whether `name` is one component that stays in its directory. */
static int component(const char *name)
{
	return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, "..") != 0;
}

static double nanos(struct statx_timestamp time)
{
	return time.tv_nsec;
}

/* The order of src/Vfs/HostCalls.ts. Inode numbers are two halves: a double holds 53 bits. */
static int attributes(int fd, const char *name, int flags, double *out)
{
	struct statx s;
	if (statx(fd, name, flags | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &s) < 0)
		return -errno;
	out[0] = (double)(uint32_t)s.stx_ino;
	out[1] = (double)(s.stx_ino >> 32);
	out[2] = s.stx_mode;
	out[3] = s.stx_nlink;
	out[4] = s.stx_uid;
	out[5] = s.stx_gid;
	out[6] = (double)gnu_dev_makedev(s.stx_dev_major, s.stx_dev_minor);
	out[7] = (double)gnu_dev_makedev(s.stx_rdev_major, s.stx_rdev_minor);
	out[8] = (double)s.stx_size;
	out[9] = s.stx_blksize;
	out[10] = (double)s.stx_blocks;
	out[11] = (double)s.stx_atime.tv_sec;
	out[12] = nanos(s.stx_atime);
	out[13] = (double)s.stx_mtime.tv_sec;
	out[14] = nanos(s.stx_mtime);
	out[15] = (double)s.stx_ctime.tv_sec;
	out[16] = nanos(s.stx_ctime);
	out[17] = s.stx_mask & STATX_BTIME ? (double)s.stx_btime.tv_sec : -1;
	out[18] = nanos(s.stx_btime);
	return 0;
}

EXPORT int sentry_file_stat(int fd, double *out)
{
	return attributes(fd, "", AT_EMPTY_PATH, out);
}

EXPORT int sentry_file_stat_at(int dir, const char *name, double *out)
{
	return component(name) ? attributes(dir, name, AT_SYMLINK_NOFOLLOW, out) : -EINVAL;
}

/* Opens what is there; `out`, if not NULL, gets the attributes of what was really opened. */
EXPORT int sentry_file_open_at(int dir, const char *name, int flags, double *out)
{
	if (!component(name))
		return -EINVAL;
	int fd = openat(dir, name, (flags & ~O_CREAT) | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	int error = out == NULL ? 0 : attributes(fd, "", AT_EMPTY_PATH, out);
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

/* Opens the directory at an absolute path that the user of the sandbox named: the one place where a path is walked. */
EXPORT int sentry_file_open_root(const char *path)
{
	return (int)result(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* A new regular file, open for reading and writing, with exactly the permissions `mode`. */
EXPORT int sentry_file_create_at(int dir, const char *name, int mode, double *out)
{
	if (!component(name))
		return -EINVAL;
	int fd = openat(dir, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, mode & 0777);
	if (fd < 0)
		return -errno;
	int error = fchmod(fd, mode & 07777) < 0 ? -errno : attributes(fd, "", AT_EMPTY_PATH, out);
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

EXPORT int sentry_file_close(int fd)
{
	return (int)result(close(fd));
}

EXPORT int sentry_file_readlink_at(int dir, const char *name, uint8_t *into, int size)
{
	return component(name) ? (int)result(readlinkat(dir, name, (char *)into, size)) : -EINVAL;
}

EXPORT int sentry_file_getdents(int fd, uint8_t *into, int size)
{
	return (int)result(syscall(SYS_getdents64, fd, into, size));
}

/* Since Linux 6.13; the numbers are the same on all architectures. */
#define NR_setxattrat 463
#define NR_getxattrat 464
#define NR_listxattrat 465
#define NR_removexattrat 466

struct attribute_value {
	uint64_t value;
	uint32_t size;
	uint32_t flags;
};

static int too_old(int64_t value)
{
	return value < 0 && (errno == ENOSYS || errno == EPERM);
}

/* For hosts without the calls above: `name`, open, if it is a file whose opening has no effects. */
static int open_for_attributes(int dir, const char *name)
{
	struct stat s;
	if (fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode))
		return -EOPNOTSUPP;
	int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

EXPORT int sentry_file_getxattr_at(int dir, const char *name, const char *attribute, uint8_t *into, int size)
{
	if (!component(name))
		return -EINVAL;
	struct attribute_value args = { (uintptr_t)into, size, 0 };
	int64_t got = syscall(NR_getxattrat, dir, name, AT_SYMLINK_NOFOLLOW, attribute, &args, sizeof args);
	if (!too_old(got))
		return (int)result(got);
	int fd = open_for_attributes(dir, name);
	if (fd < 0)
		return fd;
	got = result(fgetxattr(fd, attribute, into, size));
	close(fd);
	return (int)got;
}

EXPORT int sentry_file_listxattr_at(int dir, const char *name, uint8_t *into, int size)
{
	if (!component(name))
		return -EINVAL;
	int64_t got = syscall(NR_listxattrat, dir, name, AT_SYMLINK_NOFOLLOW, into, (size_t)size);
	if (!too_old(got))
		return (int)result(got);
	int fd = open_for_attributes(dir, name);
	if (fd < 0)
		return fd;
	got = result(flistxattr(fd, (char *)into, size));
	close(fd);
	return (int)got;
}

/* A negative size removes the attribute. */
EXPORT int sentry_file_setxattr_at(int dir, const char *name, const char *attribute, const uint8_t *value, int size,
				   int flags)
{
	if (!component(name))
		return -EINVAL;
	struct attribute_value args = { (uintptr_t)value, size, flags };
	int64_t done = size < 0 ? syscall(NR_removexattrat, dir, name, AT_SYMLINK_NOFOLLOW, attribute)
				: syscall(NR_setxattrat, dir, name, AT_SYMLINK_NOFOLLOW, attribute, &args, sizeof args);
	if (!too_old(done))
		return (int)result(done);
	int fd = open_for_attributes(dir, name);
	if (fd < 0)
		return fd;
	done = result(size < 0 ? fremovexattr(fd, attribute) : fsetxattr(fd, attribute, value, size, flags));
	close(fd);
	return (int)done;
}

EXPORT int64_t sentry_file_seek(int fd, int64_t offset, int whence)
{
	return result(lseek(fd, offset, whence));
}

EXPORT int64_t sentry_file_read(int fd, uint8_t *into, int64_t size, int64_t offset)
{
	return result(pread(fd, into, size, offset));
}

EXPORT int64_t sentry_file_write(int fd, const uint8_t *from, int64_t size, int64_t offset)
{
	return result(pwrite(fd, from, size, offset));
}

/* Writes at the end, atomically with respect to other writers. The descriptor's offset is then the new end. */
EXPORT int64_t sentry_file_append(int fd, const uint8_t *from, int64_t size)
{
	struct iovec iov = { .iov_base = (void *)from, .iov_len = size };
	return result(pwritev2(fd, &iov, 1, -1, RWF_APPEND));
}

EXPORT int sentry_file_truncate(int fd, int64_t length)
{
	return (int)result(ftruncate(fd, length));
}

EXPORT int sentry_file_allocate(int fd, int mode, int64_t offset, int64_t length)
{
	return (int)result(fallocate(fd, mode, offset, length));
}

EXPORT int sentry_file_sync(int fd, int data_only)
{
	return (int)result(data_only ? fdatasync(fd) : fsync(fd));
}

EXPORT int sentry_file_memfd(void)
{
	return (int)result(memfd_create("sentry", MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

/* Seals of a memfd: adds `seals`, and returns those that then hold. */
EXPORT int sentry_file_seal(int fd, int seals)
{
	if (seals != 0 && fcntl(fd, F_ADD_SEALS, seals) < 0)
		return -errno;
	return (int)result(fcntl(fd, F_GET_SEALS));
}

EXPORT int sentry_file_mkdir_at(int dir, const char *name, int mode)
{
	if (!component(name))
		return -EINVAL;
	if (mkdirat(dir, name, mode & 0777) < 0)
		return -errno;
	/* the process umask must not show */
	return (int)result(fchmodat(dir, name, mode & 07777, AT_SYMLINK_NOFOLLOW));
}

/* FIFOs, sockets and regular files; never devices. */
EXPORT int sentry_file_mknod_at(int dir, const char *name, int mode)
{
	if (!component(name))
		return -EINVAL;
	if (!S_ISFIFO(mode) && !S_ISSOCK(mode) && !S_ISREG(mode))
		return -EPERM;
	if (mknodat(dir, name, (mode & S_IFMT) | (mode & 0777), 0) < 0)
		return -errno;
	return (int)result(fchmodat(dir, name, mode & 07777, AT_SYMLINK_NOFOLLOW));
}

EXPORT int sentry_file_symlink_at(const char *target, int dir, const char *name)
{
	return component(name) ? (int)result(symlinkat(target, dir, name)) : -EINVAL;
}

EXPORT int sentry_file_link_at(int dir, const char *name, int new_dir, const char *new_name)
{
	return component(name) && component(new_name) ? (int)result(linkat(dir, name, new_dir, new_name, 0)) : -EINVAL;
}

EXPORT int sentry_file_unlink_at(int dir, const char *name, int directory)
{
	return component(name) ? (int)result(unlinkat(dir, name, directory ? AT_REMOVEDIR : 0)) : -EINVAL;
}

EXPORT int sentry_file_rename_at(int dir, const char *name, int new_dir, const char *new_name, uint32_t flags)
{
	if (!component(name) || !component(new_name))
		return -EINVAL;
	return (int)result(renameat2(dir, name, new_dir, new_name, flags));
}

EXPORT int sentry_file_chmod_at(int dir, const char *name, int mode)
{
	return component(name) ? (int)result(fchmodat(dir, name, mode, AT_SYMLINK_NOFOLLOW)) : -EINVAL;
}

EXPORT int sentry_file_chown_at(int dir, const char *name, uint32_t uid, uint32_t gid)
{
	return component(name) ? (int)result(fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW)) : -EINVAL;
}

/* `times`: atime seconds and nanoseconds, then mtime's; UTIME_OMIT leaves one. */
EXPORT int sentry_file_utimens_at(int dir, const char *name, const double *times)
{
	struct timespec t[2] = {
		{ .tv_sec = (time_t)times[0], .tv_nsec = (long)times[1] },
		{ .tv_sec = (time_t)times[2], .tv_nsec = (long)times[3] },
	};
	return component(name) ? (int)result(utimensat(dir, name, t, AT_SYMLINK_NOFOLLOW)) : -EINVAL;
}

EXPORT int sentry_file_chmod(int fd, int mode)
{
	return (int)result(fchmod(fd, mode));
}

EXPORT int sentry_file_chown(int fd, uint32_t uid, uint32_t gid)
{
	return (int)result(fchown(fd, uid, gid));
}

EXPORT int sentry_file_utimens(int fd, const double *times)
{
	struct timespec t[2] = {
		{ .tv_sec = (time_t)times[0], .tv_nsec = (long)times[1] },
		{ .tv_sec = (time_t)times[2], .tv_nsec = (long)times[3] },
	};
	return (int)result(futimens(fd, t));
}

/* type, block size, blocks, free, available, files, free files, name length */
EXPORT int sentry_file_statfs(int fd, double *out)
{
	struct statfs s;
	if (fstatfs(fd, &s) < 0)
		return -errno;
	out[0] = (double)(uint32_t)s.f_type;
	out[1] = (double)s.f_bsize;
	out[2] = (double)s.f_blocks;
	out[3] = (double)s.f_bfree;
	out[4] = (double)s.f_bavail;
	out[5] = (double)s.f_files;
	out[6] = (double)s.f_ffree;
	out[7] = (double)s.f_namelen;
	return 0;
}
