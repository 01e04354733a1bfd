/* What the controller (interpreter.c) and the threads that execute operations (operations.c) share. */
#ifndef INTERPRETER_H
#define INTERPRETER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 5
#define THREADS 3
#define RESULTS 64
#define HANDLED 160
#define STUCK_AFTER_MS 5000

/* Descriptors that every process of a program has: the shared memory, a pipe for each thread's commands, two of data. */
#define SHARED_FD 100
#define PIPE_FD 101
#define DATA_PIPES 2
#define PIPES (PROCESSES * THREADS + DATA_PIPES)
#define DATA_FD (PIPE_FD + 2 * PROCESSES * THREADS)

/* How a program begins: its first process leads a session, and has handlers for what would end it. */
#define SESSION 1
#define CATCHING 2

enum thread_state { UNUSED, STARTING, RUNNING, IDLE, BLOCKED };
enum returns { RETURNS_NUMBER, RETURNS_PID };
enum event_kind { PLAIN, WITH_INFO, WITH_VALUE, ENTER, ENTER_WITH_INFO, LEAVE };

struct command {
	int operation;
	long a, b, c, d;
};

struct event {
	enum event_kind kind;
	int operation;
	long result, extra;
	/* of a siginfo_t */
	int signo, code, pid, value;
};

struct thread {
	volatile enum thread_state state;
	volatile int tid;
	/* Commands given and taken. */
	volatile unsigned sent, seen;
	struct command command;
	/* Results of operations, and what handlers saw; how many of them, and how many were printed. */
	volatile unsigned results, handled;
	unsigned told_results, told_handled;
	struct event events[RESULTS];
	struct event handlers[HANDLED];
};

struct process {
	volatile int used;
	volatile int pid;
	/* An execve is on its way. */
	volatile int execing;
	struct thread threads[THREADS];
};

struct shared {
	int controller;
	int futex;
	/* Be slow to say what was returned: whatever happens at the same time comes first. */
	int lazy;
	struct process processes[PROCESSES];
};

struct operation {
	const char *name;
	void (*run)(const struct command *);
	enum returns returns;
};

extern struct shared *shared;
extern char program_path[];
extern const struct operation operations[];

/* Installs handlers for common signals. */
void catch_some(void);

/* Executes commands as thread `t` of process `p` for ever. */
void be_thread(int p, int t) __attribute__((noreturn));

#endif
