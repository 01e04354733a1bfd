/*
 * The kernel's own declarations, without the C library's (which differ: sigaction, termios, stat). Whatever the kernel
 * does not export to user space is declared here, from the manual page named.
 */
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <asm/ucontext.h>
#include <linux/aio_abi.h>
#include <linux/elf.h>
#include <linux/eventpoll.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/msg.h>
#include <linux/openat2.h>
#include <linux/mqueue.h>
#include <linux/ptrace.h>
#include <linux/resource.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <linux/seccomp.h>
#include <linux/sem.h>
#include <linux/shm.h>
#include <linux/signalfd.h>
#include <linux/stat.h>
#include <linux/sysinfo.h>
#include <linux/time.h>
#include <linux/times.h>
#include <linux/uio.h>
#include <linux/un.h>
#include <linux/utime.h>
#include <linux/utsname.h>

/* getdents64(2) */
struct linux_dirent64 {
  unsigned long d_ino;
  long d_off;
  unsigned short d_reclen;
  unsigned char d_type;
  char d_name[];
};

/* sendmsg(2), cmsg(3) */
struct msghdr {
  void *msg_name;
  int msg_namelen;
  struct iovec *msg_iov;
  unsigned long msg_iovlen;
  void *msg_control;
  unsigned long msg_controllen;
  unsigned int msg_flags;
};
struct cmsghdr {
  unsigned long cmsg_len;
  int cmsg_level;
  int cmsg_type;
};

/* unix(7) */
struct ucred {
  int pid;
  unsigned uid;
  unsigned gid;
};

/* socket(7) */
struct linger {
  int l_onoff;
  int l_linger;
};

/* elf(5), sys/procfs.h */
struct elf_prstatus {
  int si_signo, si_code, si_errno;
  short pr_cursig;
  unsigned long pr_sigpend, pr_sighold;
  int pr_pid, pr_ppid, pr_pgrp, pr_sid;
  struct timeval pr_utime, pr_stime, pr_cutime, pr_cstime;
  unsigned long pr_reg[27];
  int pr_fpvalid;
};
struct elf_prpsinfo {
  char pr_state, pr_sname, pr_zomb, pr_nice;
  unsigned long pr_flag;
  unsigned pr_uid, pr_gid;
  int pr_pid, pr_ppid, pr_pgrp, pr_sid;
  char pr_fname[16], pr_psargs[80];
};
/* Documentation/arch/x86/xstate.rst: NT_X86_XSAVE_LAYOUT */
struct x86_xfeat_component {
  unsigned type, size, offset, flags;
};

/* what every siginfo_t begins with, sigaction(2) */
struct siginfo_header {
  int si_signo;
  int si_errno;
  int si_code;
};
