/* sched(7) as an unprivileged user: policies, attributes, affinity, niceness, I/O priority. */
#include "guest.h"
#include <grp.h>
#include <sys/resource.h>

/* linux/sched/types.h clashes with libc's sched.h */
struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
  uint32_t util_min, util_max;
};

static int parameter;
static struct attributes attr;

static long set_policy(int pid, int policy) { return syscall(SYS_sched_setscheduler, pid, policy, &parameter); }
static long policy(void) { return syscall(SYS_sched_getscheduler, 0); }
static long set_attr(unsigned flags) { return syscall(SYS_sched_setattr, 0, &attr, flags); }
static long get_attr(size_t size) { return syscall(SYS_sched_getattr, 0, &attr, size, 0); }
static long io(int class, int level) { return syscall(SYS_ioprio_set, 1, 0, class << 13 | level); }
static long io_now(int which) { return syscall(SYS_ioprio_get, which, 0); }

int main(void) {
  /* as root, become somebody: what root may do depends on the machine's configuration */
  if (getuid() == 0) {
    NEED(setgroups(0, NULL));
    NEED(setresgid(65534, 65534, 65534));
    NEED(setresuid(65534, 65534, 65534));
  }
  struct rlimit none = {0, 0};
  NEED(setrlimit(RLIMIT_RTPRIO, &none));
  NEED(setrlimit(RLIMIT_NICE, &none));
  if (getpgrp() != getpid()) NEED(setpgid(0, 0));

  TRY(set_policy(0, -1));
  TRY(set_policy(0, 4));
  TRY(set_policy(0, 8));
  TRY(set_policy(0, 6));
  TRY(set_policy(-1, 0));
  TRY(set_policy(0x3ffffff, 0));
  TRY(syscall(SYS_sched_setscheduler, 0, 0, NULL));
  TRY(syscall(SYS_sched_setscheduler, 0, 0, 8L));
  TRY(set_policy(0, 1));
  parameter = 1;
  TRY(set_policy(0, 1));
  TRY(set_policy(0, 2));
  TRY(set_policy(0, 0));
  parameter = 100;
  TRY(set_policy(0, 1));
  parameter = 0;
  TRY(set_policy(0, 3));
  TRY(policy());
  TRY(set_policy(0, 3 | 0x40000000));
  TRY(policy());
  pid_t child = NEED(fork());
  if (child == 0) {
    TRY(policy());
    _exit(0);
  }
  reap("child", child);
  TRY(set_policy(0, 3));
  TRY(set_policy(0, 5));
  TRY(set_policy(0, 0));
  TRY(syscall(SYS_sched_setparam, 0, &parameter));
  TRY(syscall(SYS_sched_setparam, 0, 8L));
  TRY(syscall(SYS_sched_setparam, -1, &parameter));
  TRY(syscall(SYS_sched_getparam, 0, 8L));
  TRY(syscall(SYS_sched_getparam, 0x3ffffff, &parameter));
  for (int p = -1; p < 6; p++)
    say("priorities of %d: %ld %ld", p, syscall(SYS_sched_get_priority_min, p), syscall(SYS_sched_get_priority_max, p));
  struct timespec interval;
  TRY(syscall(SYS_sched_rr_get_interval, 0, &interval));
  TRY(syscall(SYS_sched_rr_get_interval, -1, &interval));
  TRY(syscall(SYS_sched_rr_get_interval, 0, 8L));

  TRY(get_attr(sizeof attr));
  say("policy %u flags %lu nice %d priority %u", attr.policy, (long)attr.flags, attr.nice, attr.priority);
  TRY(get_attr(48));
  INT(attr.size);
  TRY(get_attr(47));
  TRY(get_attr(4097));
  TRY(syscall(SYS_sched_getattr, 0, &attr, 48, 1));
  TRY(syscall(SYS_sched_getattr, -1, &attr, 48, 0));
  TRY(syscall(SYS_sched_getattr, 0, 8L, 48, 0));
  attr = (struct attributes){.size = 47};
  TRY(set_attr(0));
  INT(attr.size);
  attr = (struct attributes){.size = 48, .policy = 9};
  TRY(set_attr(0));
  attr.policy = 1;
  TRY(set_attr(0));
  attr.priority = 5;
  TRY(set_attr(0));
  attr = (struct attributes){.size = 48, .policy = 3, .flags = 1, .nice = 7};
  TRY(set_attr(0));
  TRY(set_attr(1));
  TRY(getpriority(PRIO_PROCESS, 0));
  attr.flags = 1 << 20;
  TRY(set_attr(0));

  uint8_t mask[128] = {0};
  TRY(syscall(SYS_sched_getaffinity, 0, 7, mask));
  TRY(syscall(SYS_sched_getaffinity, 0, 12, mask));
  TRY(syscall(SYS_sched_getaffinity, 0, 128, 8L));
  TRY(syscall(SYS_sched_getaffinity, -1, 128, mask));
  TRY(syscall(SYS_sched_setaffinity, 0, 1, "\1"));
  OK(syscall(SYS_sched_getaffinity, 0, 128, mask));
  INT(mask[0]);
  TRY(syscall(SYS_sched_setaffinity, 0, 0, "\1"));
  TRY(syscall(SYS_sched_setaffinity, 0, 8, 8L));
  TRY(syscall(SYS_sched_setaffinity, -1, 1, "\1"));

  TRY(setpriority(PRIO_PROCESS, 0, 30));
  TRY(getpriority(PRIO_PROCESS, 0));
  TRY(getpriority(PRIO_PGRP, 0));
  TRY(setpriority(PRIO_PROCESS, 0, 0));
  TRY(setpriority(PRIO_PROCESS, 0x3ffffff, 5));
  TRY(setpriority(5, 0, 5));

  TRY(io_now(1));
  TRY(io_now(2));
  TRY(io_now(4));
  TRY(io(2, 5));
  TRY(io_now(1));
  TRY(io_now(2));
  TRY(io(1, 4));
  TRY(io(3, 4));
  TRY(io_now(1));
  TRY(io(4, 0));
  TRY(io(0, 3));
  TRY(io(0, 0));
  TRY(syscall(SYS_ioprio_set, 5, 0, 2 << 13));
  TRY(syscall(SYS_ioprio_get, 1, 0x3ffffff));
  return 0;
}
