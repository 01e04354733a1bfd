/* What the tracer of generated programs (tracer.c) and its tracees (tracee.c) share. */
#ifndef TRACING_H
#define TRACING_H
#include <stdint.h>

#define ACTORS 6
#define EVENTS 64

/* Descriptors that every actor has: the shared memory, and the pipes that commands come through. */
#define SHARED_FD 100
#define PIPE_FD 110
#define SHARED_AT 0x20000000ul

/* What an actor can be told to do. */
enum action {
	FORK, /* index of the child, flavour */
	EXEC,
	EXIT, /* code */
	THREAD_EXIT, /* code */
	KILL, /* actor, signal */
	RAISE, /* signal, to the own thread */
	CALL, /* number of a call without arguments */
	MASK, /* how, set */
	ACTION, /* signal, flavour */
	FAULT,
	BREAKPOINT,
	IDLE,
	TRACEME,
	WAIT, /* options */
	PAUSE,
	SLEEP,
	FILTER, /* data */
	TOUCH, /* value: writes to the watched word */
	ACTIONS
};

struct command {
	int action, a, b, c;
};

enum event_kind { RETURNED, HANDLED };

struct event {
	int kind, action;
	long result, value;
	int signo, code, pid;
};

struct actor {
	int pid;
	unsigned events;
	struct event log[EVENTS];
};

struct shared {
	char path[256];
	unsigned long clone_code, clone_code_end; /* where tracees call clone(2): rax may be a child there, whatever orig_rax says */
	struct actor actors[ACTORS];
};
#endif
