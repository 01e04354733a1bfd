/* What code without a C library shares (the stubs, the vdso): system calls of its own making, and the words their seccomp filters are written in. */
#ifndef SENTRY_FREESTANDING_H
#define SENTRY_FREESTANDING_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

#define SIGKILL 9
#define SIG_SETMASK 2

static inline long call(long nr, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* A failed step ends the stub with the step's number as exit status. */
static inline void must(int step, long result)
{
	if (result < 0 && result > -4096)
		call(SYS_exit_group, step, 0, 0, 0, 0, 0);
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), RETURN(SECCOMP_RET_ALLOW)

#endif
