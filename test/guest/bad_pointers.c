/* EFAULT, for many calls, and nothing else happens. */
#include "guest.h"
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define BAD ((void *)0x1000)
#define KERNEL ((void *)0xffff888000000000)

int main(void) {
  int fds[2], s[2];
  NEED(pipe(fds)), NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  scratch();
  put("f", "x");
  int f = NEED(open("f", O_RDWR));
  TRY(syscall(SYS_open, BAD, O_RDONLY));
  TRY(syscall(SYS_openat, AT_FDCWD, KERNEL, O_RDONLY));
  TRY(syscall(SYS_stat, BAD, BAD));
  TRY(syscall(SYS_stat, "f", BAD));
  TRY(syscall(SYS_fstat, f, KERNEL));
  TRY(syscall(SYS_access, BAD, 0));
  TRY(syscall(SYS_readlink, "f", BAD, 10));
  TRY(syscall(SYS_chdir, BAD));
  TRY(syscall(SYS_mkdir, KERNEL, 0));
  TRY(syscall(SYS_rename, "f", BAD));
  TRY(syscall(SYS_rename, BAD, "f"));
  TRY(syscall(SYS_link, BAD, "g"));
  TRY(syscall(SYS_symlink, BAD, "g"));
  TRY(syscall(SYS_unlink, BAD));
  TRY(syscall(SYS_chmod, BAD, 0));
  TRY(syscall(SYS_truncate, BAD, 0));
  TRY(syscall(SYS_read, f, KERNEL, 1));
  TRY(syscall(SYS_write, f, KERNEL, 1));
  TRY(syscall(SYS_write, fds[1], BAD, 1));
  TRY(syscall(SYS_pipe2, BAD, 0));
  TRY(syscall(SYS_poll, BAD, 1, 0));
  TRY(syscall(SYS_select, 1, BAD, NULL, NULL, NULL));
  TRY(syscall(SYS_select, 0, NULL, NULL, NULL, BAD));
  TRY(syscall(SYS_rt_sigaction, SIGUSR1, BAD, NULL, 8));
  TRY(syscall(SYS_rt_sigprocmask, SIG_BLOCK, BAD, NULL, 8));
  TRY(syscall(SYS_rt_sigpending, BAD, 8));
  TRY(syscall(SYS_rt_sigsuspend, BAD, 8));
  TRY(syscall(SYS_nanosleep, BAD, NULL));
  TRY(syscall(SYS_clock_gettime, 0, BAD));
  TRY(syscall(SYS_gettimeofday, BAD, NULL));
  TRY(syscall(SYS_getcwd, BAD, 100));
  TRY(syscall(SYS_getrlimit, 0, BAD));
  TRY(syscall(SYS_prlimit64, 0, 0, BAD, NULL));
  TRY(syscall(SYS_getrusage, 0, BAD));
  TRY(syscall(SYS_times, BAD));
  TRY(syscall(SYS_execve, BAD, NULL, NULL));
  TRY(syscall(SYS_getgroups, 64, BAD) == -1 || getgroups(0, NULL) == 0);
  TRY(syscall(SYS_fcntl, f, F_SETLK, BAD));
  TRY(syscall(SYS_ioctl, fds[0], 0x541b, BAD));
  TRY(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, BAD));
  TRY(syscall(SYS_getsockname, s[0], BAD, BAD));
  TRY(syscall(SYS_sendmsg, s[0], BAD, 0));
  TRY(syscall(SYS_recvmsg, s[0], BAD, MSG_DONTWAIT));
  TRY(syscall(SYS_sendto, s[0], BAD, 1, 0, NULL, 0));
  TRY(syscall(SYS_readv, f, BAD, 1));
  TRY(syscall(SYS_utimensat, AT_FDCWD, "f", BAD, 0));
  TRY(syscall(SYS_statfs, "f", BAD));
  TRY(syscall(SYS_epoll_ctl, f, 1, f, BAD));
  TRY(syscall(SYS_sigaltstack, BAD, NULL));
  TRY(syscall(SYS_futex, BAD, 0, 0, NULL, NULL, 0));
  TRY(syscall(SYS_set_robust_list, BAD, 1));
  TRY(syscall(SYS_sched_getaffinity, 0, 128, BAD));

  /* the file is untouched and the pipe is empty */
  say("f: %s", get("f"));
  struct pollfd p = {fds[0], POLLIN, 0};
  TRY(poll(&p, 1, 0));

  /* half of a buffer is good: what fits is done */
  char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(page + 4096, 4096);
  memset(page, 'p', 4096);
  TRY(write(f, page + 4090, 12));
  struct stat st;
  fstat(f, &st);
  INT(st.st_size);
  lseek(f, 0, SEEK_SET);
  NEED(ftruncate(f, 0));
  TRY(write(f, "0123456789", 10));
  lseek(f, 0, SEEK_SET);
  TRY(read(f, page + 4092, 10));
  TRY(open(page + 4090, O_RDONLY)); /* a path without an end */
  strcpy(page + 4094, "f");
  TRY(access(page + 4094, F_OK));
  TRY(stat("f", (struct stat *)(page + 4090)));
  mprotect(page, 4096, PROT_READ);
  TRY(read(f, page, 1));
  TRY(stat("f", (struct stat *)page));
  TRY(write(f, page, 1));
  return 0;
}
