/* What the files of the ptrace platform share. Everything here belongs to the tracer thread once it runs. */
#ifndef SENTRY_TRACER_H
#define SENTRY_TRACER_H

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "slots.h"
#include "stub.h"

#define EXPORT __attribute__((visibility("default")))

/* by_tid says whose thread a host tid is. Slot numbers are stored plus this. */
enum { TID_UNKNOWN, TID_ZYGOTE, TID_BELL, TID_EXITING, TID_SLOT };

/* Makes a running stub thread stop. Ignored by default, should one ever get past us. */
enum { INTERRUPT_SIGNAL = SIGURG };

/* Host pids never exceed this (PID_MAX_LIMIT). */
#define PID_LIMIT (4 * 1024 * 1024)

struct tracer {
	struct control *control;
	uint16_t *by_tid;
	uint32_t command_tail;
	uint32_t spin_limit;  /* ns to wait awake for JS's answer */
	uint32_t alone_limit; /* the same while no guest runs */
	uint32_t spin_misses; /* waits in vain in a row */
	uint32_t running;     /* guest threads that we have let run */
	bool resumes;         /* they run only when we let them: not so on the fast platform */
	uint64_t published;   /* ns: when the last event was published */
	uint32_t xstate_size;
	bool spinning; /* more than one CPU */
	bool closing;

	struct {
		pid_t tid;
		int status;
	} kept[SLOT_COUNT + 64]; /* wait.c: stops that nobody has dealt with, at most one a thread */
	uint32_t kept_count;

	pid_t zygote;
	pid_t bell;
	int wake_fd;  /* write end: wakes JS */
	int wake_read_fd;
	int send_fd;  /* descriptors go to the stubs here */
	int drain_fd; /* the stubs' receiving end, to take back what they didn't */
	int code_fd;  /* sealed stub code */
	int order_fd; /* sealed order page */
	struct order *orders; /* its writable mapping */

	int cpu; /* -1: not pinned */
	uint64_t stub_base; /* where the stub is in every address space: in place of STUB_BASE */
	int trap_counter; /* guests can't read the time-stamp counter */
	pid_t js_tid; /* the thread that started us, whose rings these are */
	char *stub_path;
	pthread_t thread;
	sem_t ready;
	int error; /* of the start: -errno */
	int stage; /* and what failed, an enum stage */
};

/* What start-up attempts; PtracePlatform.ts has a phrase for each. */
enum stage { STAGE_MEMORY = 1, STAGE_DESCRIPTORS, STAGE_THREAD, STAGE_SPAWN, STAGE_TRACE, STAGE_STUB, STAGE_XSTATE };

/* spawn.c */
int spawn_open(struct tracer *);
int spawn_zygote(struct tracer *);
int spawn_bell(struct tracer *);
void spawn_close(struct tracer *);

/* inject.c: each is zero or more, or -errno (-ESRCH: the stub is gone) */
int64_t inject_orders(struct tracer *, pid_t tid, const struct order *, uint32_t count);
int inject_request(struct tracer *, struct block *);
int inject_exchange(struct tracer *, struct block *);
int inject_thread(struct tracer *, pid_t from, uint64_t clone_flags, pid_t *tid);
void inject_exit(const struct tracer *, pid_t tid);
void inject_drain(struct tracer *);

/* wait.c */
bool wait_for(struct tracer *, pid_t tid, int *status);
bool wait_kept(struct tracer *, pid_t *tid, int *status);

/* affinity.c */
uint64_t affinity_own_cpu(void);
bool affinity_together(const struct tracer *);
cpu_set_t affinity_part(const struct tracer *);
void affinity_rejoin(const struct tracer *, const cpu_set_t *);

/* systrap.c */
int systrap_request(struct tracer *, struct block *);
/* How many guest threads and requests want the CPU, as JS last said. */
uint32_t systrap_wanted(const struct tracer *);

/* tracer.c */
void tracer_serve(struct tracer *);
void tracer_publish(struct tracer *, uint32_t entry);
bool tracer_alive(struct tracer *, uint32_t slot);
int tracer_debug_register(pid_t tid, struct block *);
void tracer_on_death(struct tracer *, pid_t tid);

#endif
