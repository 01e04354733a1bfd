/*
 * What the families of generated system calls share: randomness, arguments, and the journal of what a program saw.
 *
 * Every call of a program is made by CALL or WAIT, which write it and its result into the journal. The journals of the
 * same program on the host and in the sandbox must be equal, so nothing goes into one that is left to chance: no pids,
 * inode numbers, times, or addresses that the kernel chose.
 */
#ifndef CALLS_H
#define CALLS_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where memory is, the same in every program: what may be used, only read, not at all, and what mmap plays with. */
#define ARENA ((char *)0x10000000)
#define ARENA_SIZE 0x40000
#define READABLE ((char *)0x10100000)
#define GONE ((char *)0x10200000)
#define WINDOW ((char *)0x20000000)
enum { PAGE = 4096, WINDOW_PAGES = 32 };

uint64_t next(void);
static inline uint64_t below(uint64_t n) { return next() % n; }
#define ONE_OF(list) (list)[below(sizeof(list) / sizeof *(list))]

/* Arguments: sensible mostly, odd or hostile now and then. */
uint64_t edge(void);
uint64_t bits(uint64_t of);
uint64_t size(void);
int fd(void);
char *place(void);
const char *path(void);
/* The name that a call opens, which may be one outside the directory. */
const char *path_to_open(void);
/* Whether a descriptor leads to something that only the program can see, so that it may be changed. */
bool own(int fd);

/* Makes a call and writes it down. The arguments are shown to whoever looks for a difference, and compared, too. */
long call(const char *name, long number, int count, const long *arguments);
/* The same for a call that may wait: it is interrupted if it takes long. */
long call_interrupted(const char *name, long number, int count, const long *arguments);
#define ARGUMENTS_OF(...) sizeof((long[]){__VA_ARGS__}) / sizeof(long), (const long[6]){__VA_ARGS__}
#define CALL(name, ...) call(#name, SYS_##name, ARGUMENTS_OF(__VA_ARGS__))
#define WAIT(name, ...) call_interrupted(#name, SYS_##name, ARGUMENTS_OF(__VA_ARGS__))
#define P(pointer) ((long)(pointer))

/* Adds to what has been written about the last call. */
__attribute__((format(printf, 1, 2))) void note(const char *format, ...);
void note_bytes(const void *bytes, long length);
/* A line for a call whose result is not the same everywhere: only whether it failed, and how. */
__attribute__((format(printf, 2, 3))) void note_outcome(long result, const char *format, ...);

/* A family makes one call, or a few that belong together. */
typedef void Family(void);
Family files, names, transfers, memory, channels, sockets, events, clocks, signals, processes, identities;
/* Before the first program: how a signal is dealt with is inherited. */
void prepare_signals(void);

#endif
