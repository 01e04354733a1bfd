#include "guest.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif
#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#endif
#define PR_GET_AUXV_ 0x41555856

/* prctl(3) of the library passes whatever is in the registers: say all five. */
#define P(...) call_(#__VA_ARGS__, (long[5]){__VA_ARGS__})
static void call_(const char *name, long *a) {
  char text[200];
  snprintf(text, sizeof text, "prctl(%s)", name);
  say_result(text, syscall(SYS_prctl, a[0], a[1], a[2], a[3], a[4]));
}

static void status_of(const char *key) {
  char line[512];
  FILE *status = fopen("/proc/self/status", "r");
  while (fgets(line, sizeof line, status))
    if (strncmp(line, key, strlen(key)) == 0) {
      line[strlen(line) - 1] = 0;
      say("%s", line);
    }
  fclose(status);
}

static void simple(void) {
  int i = -1;
  P(PR_SET_PDEATHSIG, 64);
  P(PR_GET_PDEATHSIG, (long)&i);
  INT(i);
  P(PR_SET_PDEATHSIG, 65);
  P(PR_SET_PDEATHSIG, -1);
  P(PR_SET_PDEATHSIG, 0);
  P(PR_GET_PDEATHSIG, 1);
  P(PR_SET_DUMPABLE, 2);
  P(PR_SET_DUMPABLE, 0);
  P(PR_GET_DUMPABLE);
  P(PR_SET_DUMPABLE, 1);
  P(PR_GET_UNALIGN, (long)&i);
  P(PR_SET_UNALIGN, 1);
  P(PR_GET_FPEMU, (long)&i);
  P(PR_SET_FPEMU, 1);
  P(PR_GET_FPEXC, (long)&i);
  P(PR_SET_FPEXC, 1);
  P(PR_GET_TIMING);
  P(PR_SET_TIMING, PR_TIMING_STATISTICAL);
  P(PR_SET_TIMING, PR_TIMING_TIMESTAMP);
  P(PR_GET_ENDIAN, (long)&i);
  P(PR_SET_ENDIAN, 0);
  P(PR_SET_NAME, (long)"a name that is too long");
  char name[20] = "xxxxxxxxxxxxxxxxxxx";
  P(PR_GET_NAME, (long)name);
  say("%s", name);
  P(PR_SET_NAME, 1);
  P(PR_GET_NAME, 1);
  P(PR_GET_SECCOMP);
  P(PR_GET_TSC, (long)&i);
  INT(i);
  P(PR_GET_TSC, 1);
  P(PR_SET_TSC, PR_TSC_ENABLE);
  P(PR_SET_TSC, 0);
  P(PR_SET_TSC, 3);
  P(PR_SET_TIMERSLACK, 12345);
  P(PR_GET_TIMERSLACK);
  P(PR_SET_TIMERSLACK, 0);
  P(PR_GET_TIMERSLACK);
  P(PR_SET_TIMERSLACK, -1);
  P(PR_GET_TIMERSLACK);
  P(PR_TASK_PERF_EVENTS_DISABLE);
  P(PR_TASK_PERF_EVENTS_ENABLE);
  P(PR_MCE_KILL_GET);
  P(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY);
  P(PR_MCE_KILL_GET);
  P(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE);
  P(PR_MCE_KILL_GET);
  P(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_DEFAULT);
  P(PR_MCE_KILL_GET);
  P(PR_MCE_KILL, PR_MCE_KILL_SET, 3);
  P(PR_MCE_KILL, PR_MCE_KILL_SET, 1, 1);
  P(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0);
  P(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 1);
  P(PR_MCE_KILL, 2, 0);
  P(PR_MCE_KILL_GET, 1);
  P(PR_SET_CHILD_SUBREAPER, 7);
  P(PR_GET_CHILD_SUBREAPER, (long)&i);
  INT(i);
  P(PR_SET_CHILD_SUBREAPER, 0);
  P(PR_GET_CHILD_SUBREAPER, 1);
  P(PR_SET_NO_NEW_PRIVS, 0);
  P(PR_SET_NO_NEW_PRIVS, 1, 1);
  P(PR_SET_NO_NEW_PRIVS, 1, 0, 1);
  P(PR_GET_NO_NEW_PRIVS, 1);
  P(PR_GET_NO_NEW_PRIVS);
  void *tid = NULL;
  P(PR_GET_TID_ADDRESS, (long)&tid);
  IS(tid != NULL);
  int mine;
  syscall(SYS_set_tid_address, &mine);
  P(PR_GET_TID_ADDRESS, (long)&tid);
  IS(tid == &mine);
  P(PR_GET_TID_ADDRESS, 1);
  P(PR_GET_THP_DISABLE);
  P(PR_SET_THP_DISABLE, 1);
  P(PR_GET_THP_DISABLE);
  status_of("THP_enabled");
  P(PR_SET_THP_DISABLE, 0);
  P(PR_GET_THP_DISABLE);
  status_of("THP_enabled");
  P(PR_SET_THP_DISABLE, 1, 0, 1);
  P(PR_GET_THP_DISABLE, 1);
  P(PR_MPX_ENABLE_MANAGEMENT);
  P(PR_MPX_DISABLE_MANAGEMENT);
  P(PR_SET_FP_MODE, 1);
  P(PR_GET_FP_MODE);
  P(PR_SVE_SET_VL, 1);
  P(PR_SVE_GET_VL);
  P(PR_PAC_RESET_KEYS, 1);
  P(PR_SET_TAGGED_ADDR_CTRL, 1);
  P(PR_GET_TAGGED_ADDR_CTRL);
  P(PR_SET_IO_FLUSHER, 1);
  P(PR_GET_IO_FLUSHER);
  P(PR_SET_IO_FLUSHER, 0);
  P(PR_GET_IO_FLUSHER);
  P(PR_SET_IO_FLUSHER, 2);
  P(PR_SET_IO_FLUSHER, 1, 1);
  P(PR_GET_IO_FLUSHER, 1);
  P(PR_SET_MEMORY_MERGE, 1);
  P(PR_GET_MEMORY_MERGE);
  P(PR_SET_MEMORY_MERGE, 0);
  P(PR_SET_THP_DISABLE, 1, 2);
  P(PR_GET_THP_DISABLE);
  P(PR_SET_THP_DISABLE, 0, 2);
  P(PR_SET_THP_DISABLE, 1, 1);
  P(PR_SET_THP_DISABLE, 0);
  P(PR_SCHED_CORE, 0);
  P(PR_GET_AUXV_, (long)&i, 0);
  P(PR_GET_SPECULATION_CTRL, 0, 1);
  P(PR_GET_SPECULATION_CTRL, 99);
  P(PR_SET_SPECULATION_CTRL, 99, 0);
  P(PR_SET_SPECULATION_CTRL, 0, 0, 1);
  P(59, 0, 0, 0, 0);
  P(59, 0, 1, 0, 0);
  P(59, 2, 0, 0, 0);
  P(PR_GET_MEMORY_MERGE);
  P(PR_GET_MEMORY_MERGE, 1);
  P(0);
  P(17);
  P(18);
  P(48);
  P(49);
  P(63, 1);
  P(64);
  P(69, 1);
  P(70);
  P(1000);
  P(-1);
  P(PR_SET_PTRACER, 0);
  P(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  P(PR_SET_PTRACER, 999999);
  char auxv[1024];
  P(PR_GET_AUXV_, (long)auxv, sizeof auxv);
  P(PR_GET_AUXV_, (long)auxv, 16, 1, 0);
  P(PR_GET_AUXV_, 1, 16, 0, 0);
}

static void mdwe(void) {
  P(PR_GET_MDWE);
  P(PR_GET_MDWE, 1);
  P(PR_SET_MDWE, 4);
  P(PR_SET_MDWE, 2);
  P(PR_SET_MDWE, 1, 1);
  char *area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  P(PR_SET_MDWE, 1);
  P(PR_GET_MDWE);
  P(PR_SET_MDWE, 0);
  P(PR_SET_MDWE, 1);
  P(PR_SET_MDWE, 3);
  IS(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  INT(errno == EACCES);
  IS(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
  TRY(mprotect(area, 4096, PROT_READ | PROT_EXEC));
  TRY(mprotect(area, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
  TRY(mprotect(area, 4096, PROT_READ));
  TRY(mprotect(area, 4096, PROT_READ | PROT_EXEC));
  TRY(mprotect(code, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
  TRY(mprotect(code, 4096, PROT_READ | PROT_EXEC));
  TRY(mprotect(code, 4096, PROT_READ | PROT_WRITE));
  pid_t child = NEED(fork());
  if (child == 0) {
    P(PR_GET_MDWE);
    _exit(0);
  }
  reap("child", child);
}

static void memory_parts(void) {
  P(PR_SET_MM, 99, 0x400000);
  P(PR_SET_MM, PR_SET_MM_START_CODE, 0x400000, 0, 1);
  P(PR_SET_MM, PR_SET_MM_START_CODE, 0x400000, 1, 0);
  P(PR_SET_MM, PR_SET_MM_START_CODE, 1);
  P(PR_SET_MM, PR_SET_MM_START_CODE, -1);
  char *area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  strcpy(area, "new title");
  P(PR_SET_MM, PR_SET_MM_ARG_START, (long)area);
  P(PR_SET_MM, PR_SET_MM_ARG_END, (long)area + 10);
  P(PR_SET_MM, PR_SET_MM_ARG_START, (long)area);
  say("cmdline %s", get("/proc/self/cmdline"));
  P(PR_SET_MM, PR_SET_MM_EXE_FILE, -1);
  int fd = NEED(open("/dev/null", O_RDONLY));
  P(PR_SET_MM, PR_SET_MM_EXE_FILE, fd);
  unsigned size = 0;
  P(PR_SET_MM, PR_SET_MM_MAP_SIZE, (long)&size);
  INT(size);
}

static void capabilities(void) {
  P(PR_CAPBSET_READ, 0);
  P(PR_CAPBSET_READ, 40);
  P(PR_CAPBSET_READ, 41);
  P(PR_CAPBSET_DROP, 41);
  P(PR_CAPBSET_DROP, CAP_WAKE_ALARM);
  P(PR_CAPBSET_READ, CAP_WAKE_ALARM);
  P(PR_GET_SECUREBITS);
  P(PR_SET_KEEPCAPS, 2);
  P(PR_SET_KEEPCAPS, 1);
  P(PR_GET_KEEPCAPS);
  P(PR_GET_SECUREBITS);
  P(PR_SET_SECUREBITS, 0x10000);
  P(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_KEEP_CAPS_LOCKED);
  P(PR_SET_KEEPCAPS, 0);
  P(PR_SET_SECUREBITS, 0);
  P(PR_GET_SECUREBITS);
  P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL);
  P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL);
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  syscall(SYS_capget, &header, data);
  data[0].inheritable |= 1 << CAP_KILL;
  TRY(syscall(SYS_capset, &header, data));
  P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL);
  P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL);
  P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_KILL);
  P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL);
  P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL);
  status_of("CapAmb");
  P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0);
  P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1);
  P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 64);
  P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 1);
  P(PR_CAP_AMBIENT, 5, CAP_KILL);
  status_of("CapAmb");
  P(PR_SET_SECUREBITS, 0x30 | SECBIT_NO_CAP_AMBIENT_RAISE);
  P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL);
}

static void show_caps(const char *when) {
  say("%s", when);
  status_of("CapPrm");
  status_of("CapEff");
}

/* What the bits do: in children, as they do not come back. */
static void securebits(const char *self) {
  pid_t child = NEED(fork());
  if (child == 0) {
    P(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
    setresuid(1000, 1000, 1000);
    show_caps("setuid without fixup");
    _exit(0);
  }
  reap("no fixup", child);
  child = NEED(fork());
  if (child == 0) {
    P(PR_SET_KEEPCAPS, 1);
    setresuid(1000, 1000, 1000);
    show_caps("keep");
    P(PR_GET_KEEPCAPS);
    P(PR_SET_SECUREBITS, 0);
    P(PR_CAPBSET_DROP, CAP_KILL);
    P(PR_SET_IO_FLUSHER, 1);
    P(PR_SET_MM, PR_SET_MM_ARG_START, 0x400000);
    _exit(0);
  }
  reap("keep", child);
  child = NEED(fork());
  if (child == 0) {
    P(PR_SET_SECUREBITS, SECBIT_NOROOT);
    execl(self, self, "caps", NULL);
    _exit(1);
  }
  reap("no root", child);
  child = NEED(fork());
  if (child == 0) {
    P(PR_CAPBSET_DROP, CAP_KILL);
    execl(self, self, "caps", NULL);
    _exit(1);
  }
  reap("bounded", child);
}

static void tsc(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    P(PR_SET_TSC, PR_TSC_SIGSEGV);
    int i = 0;
    P(PR_GET_TSC, (long)&i);
    INT(i);
    unsigned low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    say("rdtsc goes on");
    _exit(0);
  }
  reap("rdtsc", child);
}

int main(int argc, char **argv) {
  (void)argv;
  if (argc > 1) {
    P(PR_GET_SECUREBITS);
    show_caps("after exec");
    return 0;
  }
  char self[PATH_MAX] = "";
  readlink("/proc/self/exe", self, sizeof self - 1);
  simple();
  memory_parts();
  securebits(self);
  tsc();
  capabilities();
  mdwe();
  return 0;
}
