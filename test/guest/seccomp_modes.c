/* seccomp(2) and prctl(PR_SET_SECCOMP): operations, their errors, modes, what is inherited. */
#include "filters.h"
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>

static void queries(void) {
  unsigned actions[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO,
                        SECCOMP_RET_USER_NOTIF,   SECCOMP_RET_TRACE,       SECCOMP_RET_LOG,  SECCOMP_RET_ALLOW,
                        0x10000,                  0x7fff0001,              0x50001,          0xffffffff};
  for (unsigned i = 0; i < COUNT(actions); i++) {
    char name[64];
    snprintf(name, sizeof name, "action %#x", actions[i]);
    say_result(name, seccomp_(SECCOMP_GET_ACTION_AVAIL, 0, &actions[i]));
  }
  TRY(seccomp_(SECCOMP_GET_ACTION_AVAIL, 1, actions));
  TRY(seccomp_(SECCOMP_GET_ACTION_AVAIL, 0, NULL));
  TRY(seccomp_(SECCOMP_GET_ACTION_AVAIL, 0, (void *)1));
  struct seccomp_notif_sizes sizes = {0};
  TRY(seccomp_(SECCOMP_GET_NOTIF_SIZES, 0, &sizes));
  say("sizes %d %d %d", sizes.seccomp_notif, sizes.seccomp_notif_resp, sizes.seccomp_data);
  TRY(seccomp_(SECCOMP_GET_NOTIF_SIZES, 1, &sizes));
  TRY(seccomp_(SECCOMP_GET_NOTIF_SIZES, 0, NULL));
  TRY(seccomp_(4, 0, NULL));
  TRY(seccomp_(-1, 0, NULL));
  TRY(prctl(PR_GET_SECCOMP));
  TRY(prctl(PR_SET_SECCOMP, 0, NULL));
  TRY(prctl(PR_SET_SECCOMP, 3, NULL));
  TRY(prctl(PR_SET_SECCOMP, 1L << 32 | SECCOMP_MODE_STRICT, NULL));
  say("%s", get("/proc/sys/kernel/seccomp/actions_avail"));
}

static void bad_installs(void) {
  struct sock_filter allow[] = {ALLOW};
  struct sock_fprog program = {1, allow};
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, 0, NULL));
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, 0, (void *)1));
  TRY(seccomp_(SECCOMP_SET_MODE_STRICT, 1, NULL));
  TRY(seccomp_(SECCOMP_SET_MODE_STRICT, 0, &program));
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, 64, &program));
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, 0x80000000, &program));
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program));
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program));
  program.filter = NULL;
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, 0, &program));
  program.filter = (void *)1;
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, 0, &program));
  program.len = 0;
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, 0, &program));
  program.len = 4097;
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, 0, &program));
  program.len = 65535;
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, 0, &program));
  /* the last of two instructions is out of reach */
  char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(page + 4096, 4096);
  memcpy(page + 4096 - 8, allow, 8);
  program = (struct sock_fprog){2, (void *)(page + 4096 - 8)};
  TRY(seccomp_(SECCOMP_SET_MODE_FILTER, 0, &program));
  TRY(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL));
  TRY(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

/* As root, without no_new_privs, and the order of the two checks. */
static void privileges(void) {
  struct sock_filter allow[] = {ALLOW}, bad[] = {S(0xffff, 0)};
  pid_t child = NEED(fork());
  if (child == 0) {
    TRY(install(0, allow, 1));
    TRY(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    TRY(prctl(PR_GET_SECCOMP));
    status_line("/proc/self/status", "Seccomp");
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {0};
    NEED(syscall(SYS_capset, &header, data));
    TRY(install(0, allow, 1));
    TRY(install(0, bad, 1));
    TRY(install(0, NULL, 1));
    TRY(install(0, NULL, 0));
    TRY(install(0, (void *)1, 1));
    TRY(install(SECCOMP_FILTER_FLAG_NEW_LISTENER, allow, 1));
    TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    TRY(install(0, allow, 1));
    TRY(install(0, bad, 1));
    TRY(install(0, NULL, 1));
    status_line("/proc/self/status", "Seccomp");
    status_line("/proc/self/status", "NoNewPrivs");
    _exit(0);
  }
  reap("privileges", child);
}

static void strict(void) {
  CHILD("strict: exit_group", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); syscall(SYS_exit_group, 3));
  CHILD("strict: exit", seccomp_(SECCOMP_SET_MODE_STRICT, 0, NULL); syscall(SYS_exit, 4));
  CHILD("strict: write", TRY(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, "ignored")); write(1, "written\n", 8);
        syscall(SYS_exit, 5));
  CHILD("strict: getpid", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); syscall(SYS_getpid); syscall(SYS_exit, 6));
  CHILD("strict: again", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
        syscall(SYS_exit, 6));
  CHILD("strict: no such call", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); syscall(9999); syscall(SYS_exit, 6));
  CHILD("strict: readv", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); syscall(SYS_readv, 0, 0, 0); syscall(SYS_exit, 6));
  CHILD("strict: bad read", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
        syscall(SYS_exit, syscall(SYS_read, -1, NULL, 0) == -1 ? 7 : 8));
  CHILD("strict: rdtsc", int low; prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
        __asm__ volatile("rdtsc" : "=a"(low) : : "edx"); syscall(SYS_exit, 9));
  CHILD("strict after filter", INSTALL(0, ALLOW); TRY(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
        TRY(seccomp_(SECCOMP_SET_MODE_STRICT, 0, NULL)); TRY(prctl(PR_GET_SECCOMP)));
}

static void on_signal(int signo) {
  (void)signo;
  write(1, "handler\n", 8);
}

/* rt_sigreturn is allowed. */
static void strict_signal(void) {
  int pipes[2];
  NEED(pipe(pipes));
  pid_t child = NEED(fork());
  if (child == 0) {
    handle(SIGUSR1, on_signal, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    char c;
    long n = syscall(SYS_read, pipes[0], &c, 1);
    if (n == -1 && errno == EINTR) write(1, "interrupted\n", 12);
    n = syscall(SYS_read, pipes[0], &c, 1);
    syscall(SYS_exit, n == 1 && c == 'y' ? 10 : 11);
  }
  sleep_ms(200);
  kill(child, SIGUSR1);
  sleep_ms(200);
  write(pipes[1], "y", 1);
  reap("strict: signal", child);
}

static void inherited(const char *self) {
  CHILD("child of a filtered process", on_call(0, SYS_getppid, SECCOMP_RET_ERRNO | ENOTTY); pid_t child = fork();
        if (child == 0) {
          TRY(getppid());
          status_line("/proc/self/status", "Seccomp");
          TRY(on_call(0, SYS_getpgrp, SECCOMP_RET_ERRNO | EXDEV));
          TRY(getpgrp());
          status_line("/proc/self/status", "Seccomp");
          _exit(0);
        } reap("grandchild", child);
        OK(getpgrp()); status_line("/proc/self/status", "Seccomp"));
  CHILD("exec", on_call(0, SYS_getppid, SECCOMP_RET_ERRNO | ENOTTY); execl(self, self, "exec", NULL); _exit(1));
  CHILD("exec refused", on_call(0, SYS_execve, SECCOMP_RET_ERRNO | EPERM); TRY(execl(self, self, "exec", NULL)));
  CHILD("exec killed", on_call(0, SYS_execve, SECCOMP_RET_KILL_PROCESS); execl(self, self, "exec", NULL));
  CHILD("fork refused", on_call(0, SYS_clone, SECCOMP_RET_ERRNO | EAGAIN); TRY(fork()));
}

/* The way through all filters is bounded. */
static void too_many(void) {
  pid_t child = NEED(fork());
  if (child == 0) {
    static struct sock_filter large[4096], small[1] = {ALLOW};
    for (int i = 0; i < 4095; i++) large[i] = (struct sock_filter)S(BPF_LD | BPF_IMM, i);
    large[4095] = (struct sock_filter)ALLOW;
    int n = 0;
    while (install(0, large, 4096) == 0) n++;
    say("large filters: %d, then %s", n, errname(errno));
    n = 0;
    while (install(0, small, 1) == 0) n++;
    say("small filters: %d, then %s", n, errname(errno));
    status_line("/proc/self/status", "Seccomp");
    _exit(0);
  }
  reap("too many", child);
  child = NEED(fork());
  if (child == 0) {
    /* each kind of instruction, as it counts */
    struct sock_filter mixed[] = {
        LOAD(nr),
        S(BPF_MISC | BPF_TAX, 0),
        S(BPF_LDX | BPF_IMM, 3),
        S(BPF_ALU | BPF_DIV | BPF_X, 0),
        S(BPF_ALU | BPF_DIV | BPF_K, 2),
        S(BPF_ALU | BPF_NEG, 0),
        S(BPF_ST, 0),
        S(BPF_STX, 1),
        S(BPF_LD | BPF_MEM, 1),
        S(BPF_LDX | BPF_MEM, 0),
        S(BPF_LD | BPF_W | BPF_LEN, 0),
        S(BPF_LDX | BPF_W | BPF_LEN, 0),
        J(BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 2),
        J(BPF_JMP | BPF_JEQ | BPF_K, 0x80000000, 1, 2),
        J(BPF_JMP | BPF_JGT | BPF_K, 1, 0, 2),
        J(BPF_JMP | BPF_JGE | BPF_K, 0x80000000, 0, 1),
        J(BPF_JMP | BPF_JSET | BPF_K, 1, 0, 2),
        J(BPF_JMP | BPF_JSET | BPF_X, 1, 1, 0),
        J(BPF_JMP | BPF_JGT | BPF_X, 0x80000000, 1, 1),
        J(BPF_JMP | BPF_JA, 0, 0, 0),
        J(BPF_JMP | BPF_JEQ | BPF_K, 7, 0, 0),
        J(BPF_JMP | BPF_JEQ | BPF_K, 0x90000000, 0, 1),
        RETURN(SECCOMP_RET_ALLOW),
        S(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW),
        S(BPF_RET | BPF_A, 0),
    };
    int n = 0;
    while (install(0, mixed, COUNT(mixed)) == 0) n++;
    say("mixed filters: %d, then %s", n, errname(errno));
    struct sock_filter small[] = {S(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW), S(BPF_RET | BPF_A, 0)};
    n = 0;
    while (install(0, small, 2) == 0) n++;
    say("small filters: %d, then %s", n, errname(errno));
    _exit(0);
  }
  reap("too many", child);
}

static void logged(void) {
  say("%s", get("/proc/sys/kernel/seccomp/actions_logged"));
  int fd = open("/proc/sys/kernel/seccomp/actions_logged", O_WRONLY | O_CLOEXEC);
  IS(fd >= 0);
  TRY(write(fd, "allow", 5));
  TRY(write(fd, "kill_process allow", 18));
  TRY(write(fd, "no_such_action", 14));
  TRY(write(fd, "kill_process,trap", 17));
  close(fd);
  say("%s", get("/proc/sys/kernel/seccomp/actions_logged"));
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "exec") == 0) {
    TRY(getppid());
    TRY(prctl(PR_GET_SECCOMP));
    return 0;
  }
  char self[PATH_MAX] = "";
  readlink("/proc/self/exe", self, sizeof self - 1);
  (void)argv;
  queries();
  bad_installs();
  privileges();
  strict();
  strict_signal();
  inherited(self);
  too_many();
  logged();
  return 0;
}
