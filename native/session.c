/*
 * A tracer from start to end: its memory, its thread, and what JavaScript calls.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tracer.h"

/* Kills every stub and reaps until there is nothing left. */
static void end_all(struct tracer *t)
{
	int status;
	pid_t tid;

	t->closing = true;
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		if (tracer_alive(t, i))
			kill((pid_t)t->control->slots[i].pid, SIGKILL);
	if (t->zygote)
		kill(t->zygote, SIGKILL);
	if (t->bell)
		kill(t->bell, SIGKILL);
	while ((tid = waitpid(-1, &status, __WALL | __WNOTHREAD)) > 0 || errno == EINTR)
		if (tid > 0 && WIFSTOPPED(status))
			kill(tid, SIGKILL);
		else if (tid > 0)
			tracer_on_death(t, tid);
}

static void *tracer_main(void *argument)
{
	struct tracer *t = argument;

	if (t->cpu >= 0) {
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET(t->cpu, &set);
		sched_setaffinity(0, sizeof set, &set); /* for speed only: a refusal does no harm */
	}
	t->error = spawn_zygote(t);
	if (t->error == 0)
		t->error = spawn_bell(t);
	sem_post(&t->ready);
	if (t->error == 0)
		tracer_serve(t);
	end_all(t);
	if (t->error == 0) /* the answer to REQUEST_CLOSE: event_head moves one last time */
		tracer_publish(t, ENTRY_BLOCK | BLOCK_COUNT);
	return NULL;
}

static void destroy(struct tracer *t)
{
	spawn_close(t);
	if (t->control)
		munmap(t->control, sizeof *t->control);
	if (t->by_tid)
		munmap(t->by_tid, PID_LIMIT * sizeof *t->by_tid);
	sem_destroy(&t->ready);
	free(t->stub_path);
	free(t);
}

static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* Signals are for other threads, save SIGCHLD: where nobody handles it the host drops it at once if it isn't blocked
 * here, but would have to disturb the main thread if it is. There is one for each stop. */
static int start_thread(struct tracer *t)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	sigdelset(&all, SIGCHLD);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = -pthread_create(&t->thread, NULL, tracer_main, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		while (sem_wait(&t->ready) < 0)
			;
	return error;
}

/*
 * Starts a tracer. `cpu`: where it and its stubs run, or -1. out: address and size of struct control, the tracer's
 * handle, its stage if that failed, xstate size, the read end of the pipe that wakes JS, which is the caller's, the
 * address of the calling thread's CPU number or 0, that of the order page, and where stubs begin. 0 or -errno.
 */
EXPORT int sentry_tracer_start(const char *stub_path, int cpu, int spinning, int trap_counter, uint64_t *out)
{
	struct tracer *t = calloc(1, sizeof *t);
	int error = -ENOMEM;

	out[3] = STAGE_MEMORY;
	if (!t)
		return error;
	sem_init(&t->ready, 0, 0);
	t->cpu = cpu;
	t->js_tid = gettid();
	t->spinning = spinning;
	t->trap_counter = trap_counter;
		t->stub_path = strdup(stub_path);
	t->wake_read_fd = t->wake_fd = t->send_fd = t->drain_fd = t->code_fd = t->order_fd = -1;
	t->control = reserve(sizeof *t->control);
	t->by_tid = reserve(PID_LIMIT * sizeof *t->by_tid);
	if (t->control && t->by_tid && t->stub_path) {
		t->control->js_cpu = ~0u;
		t->stage = STAGE_DESCRIPTORS;
		error = spawn_open(t);
	}
	if (error == 0) {
		t->stage = STAGE_THREAD;
		error = start_thread(t);
		if (error == 0 && t->error) {
			pthread_join(t->thread, NULL);
			error = t->error;
		}
	}
	out[3] = (uint64_t)t->stage;
	if (error) {
		if (t->wake_read_fd >= 0)
			close(t->wake_read_fd);
		destroy(t);
		return error;
	}
	out[0] = (uint64_t)t->control;
	out[1] = sizeof *t->control;
	out[2] = (uint64_t)t;
	out[4] = t->xstate_size;
	out[5] = (uint64_t)t->wake_read_fd;
	out[6] = affinity_own_cpu();
	out[7] = (uint64_t)t->orders;
	out[8] = t->stub_base;
	return 0;
}

/* Joins the thread, which has answered REQUEST_CLOSE, and frees what it used, struct control too. */
EXPORT void sentry_tracer_free(uint64_t handle)
{
	struct tracer *t = (struct tracer *)handle;

	pthread_join(t->thread, NULL);
	destroy(t);
}

/* Wakes a tracer that sleeps in waitpid. Any thread may. */
EXPORT void sentry_tracer_bell(uint64_t handle)
{
	pid_t bell = ((struct tracer *)handle)->bell;

	if (bell > 0) /* not while it is being replaced: the tracer is awake then */
		kill(bell, INTERRUPT_SIGNAL);
}

/* Makes a running guest thread stop. Any thread may. */
EXPORT int sentry_tracer_interrupt(int pid, int tid)
{
	return syscall(SYS_tgkill, pid, tid, INTERRUPT_SIGNAL) < 0 ? -errno : 0;
}
