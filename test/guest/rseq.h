/*
 * What guests about rseq(2) share: the structures with the fields that newer headers name, registering, and critical
 * sections to be aborted.
 */
#ifndef GUEST_RSEQ_H
#define GUEST_RSEQ_H
#include "guest.h"
#include <linux/rseq.h>
#include <sched.h>
#include <stddef.h>
#include <sys/rseq.h>

#define SIGNATURE 0x53053053u
#define UNREGISTER 1

struct area {
  uint32_t cpu_id_start, cpu_id;
  uint64_t rseq_cs;
  uint32_t flags, node_id, mm_cid, end;
} __attribute__((aligned(32)));

struct section {
  uint32_t version, flags;
  uint64_t start_ip, post_commit_offset, abort_ip;
} __attribute__((aligned(32)));

static inline long rseq(void *area, uint32_t length, int flags, uint32_t signature) {
  return syscall(SYS_rseq, area, length, flags, signature);
}

/* Where the C library has its area for the calling thread. */
static inline struct area *library_area(void) {
  return (struct area *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

/* Takes the calling thread's area away that the C library has registered, if it has. */
static inline void unregister_library(void) {
  if (__rseq_size > 0 && (int)library_area()->cpu_id >= 0) NEED(rseq(library_area(), 32, UNREGISTER, SIGNATURE));
}

/*
 * A critical section that lasts until it is aborted, or *stop is set, or `turns` have passed: whether it was aborted.
 * `descriptor` is filled in first and may be bent by `bend`.
 */
extern char section_start[], section_end[], section_abort[];
long run_section(struct area *area, struct section *descriptor, const volatile int *stop, uint64_t turns);
__asm__(".text\n"
        ".globl run_section, section_start, section_end, section_abort\n"
        ".type run_section, @function\n"
        "run_section:\n"
        "  mov %rsi, 8(%rdi)\n"
        "section_start:\n"
        "1: cmpl $0, (%rdx)\n"
        "  jne section_end\n"
        "  dec %rcx\n"
        "  jnz 1b\n"
        "section_end:\n"
        "  movq $0, 8(%rdi)\n"
        "  xor %eax, %eax\n"
        "  ret\n"
        "  .byte 0x0f, 0xb9, 0x3d\n" /* ud1, so that the signature disassembles */
        "  .long 0x53053053\n"
        "section_abort:\n"
        "  mov $1, %eax\n"
        "  ret\n");

static inline struct section plain_section(void) {
  return (struct section){0, 0, (uint64_t)section_start, (uint64_t)(section_end - section_start),
                          (uint64_t)section_abort};
}

#endif
