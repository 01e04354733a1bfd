/*
 * Where the stub lives in every guest's address space: the topmost pages of user space. Below a kernel that keeps the
 * top for itself (ours is one) the ptrace platform's stub sits lower, at the same distances from its base.
 * Shared by C and assembly.
 */
#ifndef SENTRY_STUB_H
#define SENTRY_STUB_H

#define STUB_BASE 0x7fffffffc000    /* what guests can map ends here */
#define STUB_SCRATCH 0x7fffffffc000 /* read-write, private: message headers for recvmsg; guests may scribble */
#define STUB_ORDERS 0x7fffffffd000  /* read-only, shared with the sentry: system calls to make */
#define STUB_CODE 0x7fffffffe000    /* read-execute, sealed */
#define STUB_END 0x7ffffffff000     /* TASK_SIZE_MAX */
#define STUB_LOWEST 0x7ff000000000  /* no lower end of user space is looked for */
#define STUB_PAGE 0x1000

/* clone(2) flags of the only two kinds of clone that the filter lets through: a guest thread, a guest process. */
#define STUB_CLONE_THREAD 0x00050f00  /* VM FS FILES SIGHAND THREAD SYSVSEM */
#define STUB_CLONE_PROCESS 0x00008000 /* PARENT */

/* Descriptors of the zygote when it starts; afterwards only the socket stays. */
#define STUB_FD_SOCKET 0
#define STUB_FD_CODE 3
#define STUB_FD_ORDERS 4

#endif
