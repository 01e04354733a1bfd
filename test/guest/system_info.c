#include "guest.h"
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/statfs.h>

int main(void) {
  struct utsname u;
  TRY(uname(&u));
  say("%s %s", u.sysname, u.machine);
  int major = 0, minor = 0;
  IS(sscanf(u.release, "%d.%d", &major, &minor) == 2 && major >= 4);
  IS(strlen(u.nodename) > 0 && strlen(u.version) > 0);
  char name[65];
  gethostname(name, sizeof name);
  IS(strcmp(name, u.nodename) == 0);
  TRY(syscall(SYS_uname, (void *)8));
  struct sysinfo i;
  TRY(sysinfo(&i));
  IS(i.totalram > 0 && i.mem_unit > 0 && i.uptime >= 0 && i.procs > 0 && i.freeram <= i.totalram);
  TRY(syscall(SYS_sysinfo, (void *)8));
  struct rlimit l, old;
  int limits[] = {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_NOFILE, RLIMIT_AS};
  for (int n = 0; n < 7; n++) {
    int result = getrlimit(limits[n], &l);
    say("limit %d: %d %d", limits[n], result, l.rlim_cur <= l.rlim_max);
  }
  TRY(getrlimit(99, &l));
  getrlimit(RLIMIT_NOFILE, &old);
  l = (struct rlimit){50, 100};
  TRY(prlimit(0, RLIMIT_NOFILE, &l, &old));
  TRY(prlimit(getpid(), RLIMIT_NOFILE, NULL, &l));
  say("%ld %ld", l.rlim_cur, l.rlim_max);
  l = (struct rlimit){101, 100};
  TRY(setrlimit(RLIMIT_NOFILE, &l));
  TRY(prlimit(0x3ffffff, RLIMIT_NOFILE, NULL, &l));
  pid_t child = NEED(fork());
  if (child == 0) {
    getrlimit(RLIMIT_NOFILE, &l);
    say("inherited: %ld %ld", l.rlim_cur, l.rlim_max);
    _exit(0);
  }
  reap("child", child);
  INT(sysconf(_SC_PAGESIZE));
  IS(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
  IS(sysconf(_SC_PHYS_PAGES) > 0);
  TRY(getpriority(PRIO_PROCESS, 0));
  TRY(setpriority(PRIO_PROCESS, 0, 5));
  TRY(getpriority(PRIO_PROCESS, 0));
  TRY(getpriority(9, 0));
  struct statfs fs;
  TRY(statfs("/", &fs));
  IS(fs.f_bsize > 0 && fs.f_blocks > 0 && fs.f_namelen == 255);
  TRY(statfs("/proc", &fs));
  say("%#lx", (long)fs.f_type);
  TRY(statfs("/missing", &fs));
  TRY(fstatfs(99, &fs));
  sync();
  return 0;
}
