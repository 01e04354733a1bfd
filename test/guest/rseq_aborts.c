/*
 * When rseq(2)'s critical sections are aborted, what a signal's handler sees of that, and what becomes of a thread whose
 * area or descriptor is no good.
 */
#include "rseq.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

static struct area area;
static struct section descriptor;
static volatile int stop, handled;
static uint64_t turns = UINT64_MAX;
static uint64_t seen_rip, seen_cs;

static void on_signal(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)info;
  handled++;
  if (seen_rip == (uint64_t)section_abort) return; /* a second one that came before the alarms ended */
  seen_rip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
  seen_cs = area.rseq_cs;
}

static void install(int signo) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  NEED(sigaction(signo, &action, NULL));
}

/* Every so many microseconds a signal, or none any more. */
static void alarms(long interval) {
  struct itimerval value = {{0, interval}, {0, interval}};
  NEED(setitimer(ITIMER_REAL, &value, NULL));
}

/* A signal comes while the section runs. */
static void interrupted(const char *name) {
  handled = 0;
  seen_rip = 0;
  alarms(20000);
  long aborted;
  do aborted = run_section(&area, &descriptor, &stop, turns); /* being preempted aborts it as well */
  while (turns == UINT64_MAX && seen_rip != (uint64_t)section_abort);
  alarms(0);
  say("%s: aborted %ld, handled %d, at the abort %d, rseq_cs %lx then %lx", name, aborted, handled > 0,
      seen_rip == (uint64_t)section_abort, (unsigned long)seen_cs, (unsigned long)area.rseq_cs);
}

/* A signal comes while the descriptor is named, but the section doesn't run. */
static void outside(const char *name) {
  handled = 0;
  seen_rip = 0;
  area.rseq_cs = (uint64_t)&descriptor;
  raise(SIGALRM);
  say("%s: handled %d, in the section %d, rseq_cs %lx then %lx", name, handled,
      seen_rip >= (uint64_t)section_start && seen_rip <= (uint64_t)section_abort, (unsigned long)seen_cs,
      (unsigned long)area.rseq_cs);
}

static char *page;

static void section_version(void) { descriptor.version = 1; }
static void section_flags(void) { descriptor.flags = RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL; }
static void section_flags_unknown(void) { descriptor.flags = 0x100; }
static void area_flags(void) { area.flags = RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL; }
static void area_flags_unknown(void) { area.flags = 0x80000000; }
static void start_in_kernel(void) { descriptor.start_ip = 0xffffffff81000000; }
static void start_at_limit(void) { descriptor.start_ip = (1UL << 47) - 4096; }
static void end_at_limit(void) { descriptor.post_commit_offset = (1UL << 47) - 4096 - descriptor.start_ip; }
static void end_wraps(void) { descriptor.post_commit_offset = -8; }
static void abort_inside(void) { descriptor.abort_ip = descriptor.start_ip + 1; }
static void abort_at_start(void) { descriptor.abort_ip = descriptor.start_ip; }
static void abort_at_end(void) { descriptor.abort_ip = (uint64_t)section_end; }
static void abort_in_kernel(void) { descriptor.abort_ip = 0xffffffff81000000; }
static void abort_unmapped(void) { descriptor.abort_ip = 4096; }
static void abort_at_zero(void) { descriptor.abort_ip = 0; }
static void empty(void) { descriptor.post_commit_offset = 0; }
static void everything(void) { descriptor.start_ip = 0, descriptor.post_commit_offset = descriptor.abort_ip; }
static void nothing(void) {}

/* Of flags the host doesn't always take notice. */
static bool sets_flags(void (*bend)(void)) {
  return bend == section_flags || bend == section_flags_unknown || bend == area_flags || bend == area_flags_unknown;
}

static const struct {
  const char *name;
  void (*bend)(void);
} bends[] = {
#define BEND(name) {#name, name}
    BEND(nothing),        BEND(section_version), BEND(section_flags), BEND(section_flags_unknown),
    BEND(area_flags),     BEND(area_flags_unknown), BEND(start_in_kernel), BEND(start_at_limit),
    BEND(end_at_limit),   BEND(end_wraps),       BEND(abort_inside),  BEND(abort_at_start),
    BEND(abort_at_end),   BEND(abort_in_kernel), BEND(abort_unmapped), BEND(abort_at_zero),
    BEND(empty),          BEND(everything),
};

/* In a process of its own each, with a handler for SIGSEGV, which is of no use. */
static void bent(void) {
  for (unsigned i = 0; i < sizeof bends / sizeof *bends; i++)
    for (int inside = sets_flags(bends[i].bend) ? 0 : 1; inside >= 0; inside--) {
      pid_t pid = NEED(fork());
      if (pid == 0) {
        install(SIGSEGV);
        descriptor = plain_section();
        bends[i].bend();
        if (bends[i].bend == empty) turns = 200000000;
        if (inside) interrupted(bends[i].name);
        else outside(bends[i].name);
        _exit(0);
      }
      reap(inside ? "inside" : "outside", pid);
    }
}

static void cs_unmapped(void) { area.rseq_cs = 4096; }
static void cs_in_kernel(void) { area.rseq_cs = 0xffffffff81000000; }
static void cs_at_limit(void) { area.rseq_cs = (1UL << 47) - 4096; }
static void cs_across(void) { area.rseq_cs = (uint64_t)page + 4096 - 16; }
static void cs_odd(void) {
  memcpy(page + 3, &descriptor, sizeof descriptor);
  area.rseq_cs = (uint64_t)page + 3;
}

static void pointers(void) {
  static const struct {
    const char *name;
    void (*set)(void);
  } sets[] = {{"unmapped", cs_unmapped}, {"in the kernel", cs_in_kernel}, {"at the limit", cs_at_limit},
              {"across the end", cs_across}, {"odd", cs_odd}};
  for (unsigned i = 0; i < sizeof sets / sizeof *sets; i++) {
    pid_t pid = NEED(fork());
    if (pid == 0) {
      sets[i].set();
      raise(SIGALRM);
      say("%s: rseq_cs %lx", sets[i].name, (unsigned long)area.rseq_cs);
      _exit(0);
    }
    reap(sets[i].name, pid);
  }
}

/* Signatures: what is registered counts. */
static void signatures(void) {
  static const uint32_t registered[] = {SIGNATURE, SIGNATURE + 1, 0};
  for (int i = 0; i < 3; i++) {
    pid_t pid = NEED(fork());
    if (pid == 0) {
      NEED(rseq(&area, 32, UNREGISTER, SIGNATURE));
      NEED(rseq(&area, 32, 0, registered[i]));
      interrupted("signature");
      _exit(0);
    }
    reap("signature", pid);
  }
}

/* The area goes away, or can't be written. */
static void areas(void) {
  static const int protections[] = {-1, PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
  for (int i = 0; i < 4; i++) {
    int protection = protections[i];
    say("protection %d", protection);
    pid_t pid = NEED(fork());
    if (pid == 0) {
      NEED(rseq(&area, 32, UNREGISTER, SIGNATURE));
      struct area *mine = (struct area *)page;
      NEED(rseq(mine, 32, 0, SIGNATURE));
      if (protection < 0) NEED(munmap(page, 4096));
      else NEED(mprotect(page, 4096, protection));
      handled = 0;
      raise(SIGALRM);
      say("handled %d", handled);
      _exit(0);
    }
    reap("area", pid);
  }
}

/* Another thread rewrites everything all the while. */
static volatile int over;

static void *rewrite(void *unused) {
  struct section good = plain_section();
  while (!over) {
    descriptor = good;
    area.rseq_cs = 0xdead000000000000;
    descriptor.abort_ip = 0xffffffff81000000;
    area.rseq_cs = 0;
    descriptor.version = 17;
  }
  return unused;
}

static void race(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    pthread_t thread;
    NEED(-pthread_create(&thread, NULL, rewrite, NULL));
    for (int i = 0; i < 2000; i++) {
      area.rseq_cs = (uint64_t)&descriptor;
      raise(SIGALRM);
    }
    over = 1;
    _exit(0);
  }
  int status;
  NEED(waitpid(pid, &status, 0));
  say("race: %s", (WIFEXITED(status) && WEXITSTATUS(status) == 0) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)
                      ? "survived, or SIGSEGV"
                      : status_text(status));
}

int main(void) {
  page = NEED(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  NEED(munmap(page + 4096, 4096));
  install(SIGALRM);
  unregister_library();
  NEED(rseq(&area, 32, 0, SIGNATURE));
  descriptor = plain_section();
  interrupted("a section");
  interrupted("again");
  outside("no section");
  bent();
  descriptor = plain_section();
  pointers();
  signatures();
  areas();
  race();
  TRY(rseq(&area, 32, UNREGISTER, SIGNATURE));
  area.rseq_cs = 4096; /* nobody looks any more */
  raise(SIGALRM);
  say("%lx", (unsigned long)area.rseq_cs);
  return 0;
}
