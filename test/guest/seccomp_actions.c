/* What the actions of seccomp(2) filters do, and which one counts; what a filter sees of a call. */
#include "filters.h"
#include <pthread.h>
#include <sys/signalfd.h>
#include <ucontext.h>

#define NR SYS_getppid

/* getppid with a filter's answer: the raw result. */
static void answer(const char *name, unsigned value) {
  char text[100];
  snprintf(text, sizeof text, "%s %#x", name, value);
  CHILD(text, NEED(on_call(0, NR, value)); long result = syscall(NR);
        if (result == -1) say("%s: -1 %s", text, errname(errno));
        else if (result < 0) say("%s: raw %ld", text, result);
        else say("%s: %s", text, result == 0 ? "0" : "positive"));
}

static void results(void) {
  answer("allow", SECCOMP_RET_ALLOW);
  answer("allow with data", SECCOMP_RET_ALLOW | 7);
  answer("log", SECCOMP_RET_LOG);
  answer("log with data", SECCOMP_RET_LOG | 0xffff);
  answer("errno", SECCOMP_RET_ERRNO);
  answer("errno", SECCOMP_RET_ERRNO | 1);
  answer("errno", SECCOMP_RET_ERRNO | 133);
  answer("errno", SECCOMP_RET_ERRNO | 511);
  answer("errno", SECCOMP_RET_ERRNO | 512);
  answer("errno", SECCOMP_RET_ERRNO | 513);
  answer("errno", SECCOMP_RET_ERRNO | 514);
  answer("errno", SECCOMP_RET_ERRNO | 516);
  answer("errno", SECCOMP_RET_ERRNO | 517);
  answer("errno", SECCOMP_RET_ERRNO | 4095);
  answer("errno", SECCOMP_RET_ERRNO | 4096);
  answer("errno", SECCOMP_RET_ERRNO | 0xffff);
  answer("trace", SECCOMP_RET_TRACE);
  answer("trace", SECCOMP_RET_TRACE | 5);
  answer("notify without listener", SECCOMP_RET_USER_NOTIF);
  answer("trap", SECCOMP_RET_TRAP | 5);
  answer("kill thread", SECCOMP_RET_KILL_THREAD);
  answer("kill thread", SECCOMP_RET_KILL_THREAD | 9);
  answer("kill process", SECCOMP_RET_KILL_PROCESS);
  answer("kill process", SECCOMP_RET_KILL_PROCESS | 0xffff);
  answer("unknown", 0x00010000);
  answer("unknown", 0x00040000);
  answer("unknown", 0x7fbf0000);
  answer("unknown", 0x7ffe0000);
  answer("unknown", 0x80010000);
  answer("unknown", 0xffff0000);
}

static const unsigned ACTIONS[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP,
                                   SECCOMP_RET_ERRNO | 1,    SECCOMP_RET_USER_NOTIF,  SECCOMP_RET_TRACE,
                                   SECCOMP_RET_LOG,          SECCOMP_RET_ALLOW};

static void on_sigsys(int signo, siginfo_t *info, void *context) {
  (void)context;
  say("caught SIG%s code %d errno %d", sigabbrev_np(signo), info->si_code, info->si_errno);
  _exit(0);
}

/* Two filters: the stricter one counts, whichever is older; and of equals the newer one's data. */
static void precedence(void) {
  for (unsigned i = 0; i < COUNT(ACTIONS); i++)
    for (unsigned j = 0; j < COUNT(ACTIONS); j++) {
      pid_t child = NEED(fork());
      if (child == 0) {
        struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
        sigaction(SIGSYS, &action, NULL);
        NEED(on_call(0, NR, ACTIONS[i] | 32));
        NEED(on_call(0, NR, ACTIONS[j] | 64));
        errno = 0;
        long result = syscall(NR);
        say("%ld %s", result < 0 ? result : 0, errname(errno));
        _exit(0);
      }
      char name[32];
      snprintf(name, sizeof name, "%u below %u", i, j);
      reap(name, child);
    }
  CHILD("three filters", NEED(on_call(0, NR, SECCOMP_RET_ERRNO | 1)); NEED(on_call(0, NR, SECCOMP_RET_ERRNO | 2));
        NEED(on_call(0, NR, SECCOMP_RET_ERRNO | 3)); TRY(syscall(NR)));
  CHILD("an allowing one above", NEED(on_call(0, NR, SECCOMP_RET_ERRNO | 1)); NEED(INSTALL(0, ALLOW));
        TRY(syscall(NR)));
}

/* A word of seccomp_data, 16 bits at a time in si_errno. */
static volatile int trapped;
static siginfo_t last;
static ucontext_t last_context;
static void keep(int signo, siginfo_t *info, void *context) {
  (void)signo;
  trapped++;
  last = *info;
  last_context = *(ucontext_t *)context;
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void catch_sigsys(int flags) {
  struct sigaction action = {.sa_sigaction = keep, .sa_flags = SA_SIGINFO | flags};
  NEED(sigaction(SIGSYS, &action, NULL));
}

#define WORD(offset, half)                                                                                             \
  CHILD("word " #offset "." #half, catch_sigsys(0);                                                                    \
        NEED(INSTALL(0, LOAD(nr), J(BPF_JMP | BPF_JEQ | BPF_K, NR, 1, 0), ALLOW, S(BPF_LD | BPF_W | BPF_ABS, offset),  \
                     S(BPF_ALU | BPF_RSH | BPF_K, half * 16), S(BPF_ALU | BPF_AND | BPF_K, 0xffff),                    \
                     S(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_TRAP), S(BPF_RET | BPF_A, 0)));                           \
        long result = syscall(NR, 0x123456789abcdef0, 0x23456789abcdef01, 0x3456789abcdef012, 0x456789abcdef0123,      \
                              0x56789abcdef01234, 0x6789abcdef012345);                                                 \
        int word = last.si_errno;                                                                                      \
        if (offset == 8 || offset == 12) {                                                                             \
          unsigned long ip = (unsigned long)last.si_call_addr;                                                         \
          IS(word == (int)(ip >> (offset == 12 ? 32 : 0) >> half * 16 & 0xffff));                                      \
        } else say("%#x", word);                                                                                       \
        INT(result); INT(trapped))

static void data(void) {
  WORD(0, 0);
  WORD(0, 1);
  WORD(4, 0);
  WORD(4, 1);
  WORD(8, 0);
  WORD(8, 1);
  WORD(12, 0);
  WORD(12, 1);
  WORD(16, 0);
  WORD(20, 1);
  WORD(24, 0);
  WORD(28, 1);
  WORD(32, 1);
  WORD(36, 0);
  WORD(40, 1);
  WORD(44, 0);
  WORD(48, 0);
  WORD(52, 1);
  WORD(56, 0);
  WORD(60, 1);
}

static void trap_details(void) {
  CHILD("siginfo", catch_sigsys(0); NEED(on_call(0, NR, SECCOMP_RET_TRAP | 0xabcd)); long result = syscall(NR, 1, 2, 3);
        INT(result); INT(last.si_signo); INT(last.si_code); INT(last.si_errno); INT(last.si_syscall);
        say("arch %#x", last.si_arch);
        greg_t *registers = last_context.uc_mcontext.gregs;
        IS((unsigned long)last.si_call_addr == (unsigned long)registers[REG_RIP]); INT(registers[REG_RAX]);
        INT(registers[REG_RDI]); INT(registers[REG_RSI]); INT(registers[REG_RDX]);
        unsigned char *code = (unsigned char *)registers[REG_RIP] - 2; say("%02x %02x", code[0], code[1]);
        say("rest %d", memcmp((char *)&last + 32, (char[96]){0}, 96)));
  CHILD("blocked", catch_sigsys(0); sigset_t set; sigfillset(&set); sigprocmask(SIG_BLOCK, &set, NULL);
        NEED(on_call(0, NR, SECCOMP_RET_TRAP)); syscall(NR); say("goes on"));
  CHILD("ignored", signal(SIGSYS, SIG_IGN); NEED(on_call(0, NR, SECCOMP_RET_TRAP)); syscall(NR); say("goes on"));
  CHILD("default", NEED(on_call(0, NR, SECCOMP_RET_TRAP)); syscall(NR); say("goes on"));
  CHILD("kill with handler", catch_sigsys(0); NEED(on_call(0, NR, SECCOMP_RET_KILL_PROCESS)); syscall(NR);
        say("goes on"));
  CHILD("kill thread with handler", catch_sigsys(0); NEED(on_call(0, NR, SECCOMP_RET_KILL_THREAD)); syscall(NR);
        say("goes on"));
  CHILD("kill, ignored", signal(SIGSYS, SIG_IGN); NEED(on_call(0, NR, SECCOMP_RET_KILL_PROCESS)); syscall(NR);
        say("goes on"));
  CHILD("twice", catch_sigsys(0); NEED(on_call(0, NR, SECCOMP_RET_TRAP | 1)); INT(syscall(NR)); INT(syscall(NR));
        INT(trapped));
  CHILD("reset", catch_sigsys(SA_RESETHAND); NEED(on_call(0, NR, SECCOMP_RET_TRAP | 1)); INT(syscall(NR));
        INT(syscall(NR)));
  CHILD("nested", catch_sigsys(SA_NODEFER); NEED(on_call(0, SYS_rt_sigreturn, SECCOMP_RET_ERRNO | 1));
        NEED(on_call(0, NR, SECCOMP_RET_TRAP | 1)); syscall(NR));
  CHILD("no such call", catch_sigsys(0); NEED(on_call(0, 9999, SECCOMP_RET_TRAP | 3)); INT(syscall(9999));
        INT(last.si_syscall));
  CHILD("number -1", catch_sigsys(0); NEED(on_call(0, -1, SECCOMP_RET_TRAP | 3)); INT(syscall(-1));
        INT(last.si_syscall));
  CHILD("unknown numbers", NEED(on_call(0, 600, SECCOMP_RET_ERRNO | EXDEV)); TRY(syscall(600)); TRY(syscall(601));
        TRY(syscall(-1)); TRY(syscall(NR | 0x100000000L) == getppid() ? 0 : 1));
  CHILD("x32 number", NEED(on_call(0, 0x40000000 | NR, SECCOMP_RET_ERRNO | EXDEV)); TRY(syscall(0x40000000 | NR));
        TRY(syscall(0x40000000 | SYS_getpid)));
}

/* Killing one thread of several. */
static void *call_it(void *unused) {
  (void)unused;
  syscall(NR);
  say("not reached");
  return NULL;
}
static void *linger(void *unused) {
  (void)unused;
  sleep_ms(300);
  say("the other thread ends");
  syscall(SYS_exit, 5);
  return NULL;
}

static void threads(void) {
  CHILD("kill a thread", NEED(on_call(0, NR, SECCOMP_RET_KILL_THREAD)); pthread_t thread;
        pthread_create(&thread, NULL, call_it, NULL); pthread_join(thread, NULL); say("joined"); _exit(3));
  CHILD("kill the process", NEED(on_call(0, NR, SECCOMP_RET_KILL_PROCESS)); pthread_t thread;
        pthread_create(&thread, NULL, call_it, NULL); pthread_join(thread, NULL); say("not reached"); _exit(3));
  CHILD("kill the leader", NEED(on_call(0, NR, SECCOMP_RET_KILL_THREAD)); pthread_t thread;
        pthread_create(&thread, NULL, linger, NULL); syscall(NR); say("not reached"));
  CHILD("strict in a thread", pthread_t thread;
        pthread_create(&thread, NULL, (void *(*)(void *))(void *)prctl, (void *)PR_SET_NAME);
        pthread_join(thread, NULL); say("ends"));
  CHILD("unknown action in a thread", NEED(on_call(0, NR, 0x20000)); pthread_t thread;
        pthread_create(&thread, NULL, call_it, NULL); pthread_join(thread, NULL); say("not reached"));
  CHILD("trap in a thread", catch_sigsys(0); NEED(on_call(0, NR, SECCOMP_RET_TRAP)); pthread_t thread;
        pthread_create(&thread, NULL, call_it, NULL); pthread_join(thread, NULL); INT(trapped));
}

/* Results that mean something to signal delivery. */
static void nothing(int signo) {
  (void)signo;
}
static void with_signal(void) {
  CHILD("restart code without a signal", NEED(on_call(0, NR, SECCOMP_RET_ERRNO | 512)); INT(syscall(NR)));
  CHILD("restarted call", handle(SIGALRM, nothing, SA_RESTART); NEED(on_call(0, SYS_restart_syscall, SECCOMP_RET_ERRNO | EXDEV));
        alarm(1); struct timespec two = {1, 200000000}; TRY(nanosleep(&two, NULL)));
}

int main(void) {
  results();
  precedence();
  data();
  trap_details();
  threads();
  with_signal();
  return 0;
}
