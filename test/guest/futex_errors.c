/* futex(2): which error comes first. */
#include "guest.h"
#include <linux/futex.h>
#include <sys/mman.h>
#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static uint32_t word, word2;

static long futex(void *address, int op, uint32_t value, void *timeout, void *address2, uint32_t value3) {
  return syscall(SYS_futex, address, op, value, timeout, address2, value3);
}

int main(void) {
  struct timespec bad = {0, 1000000000}, negative = {-1, 0}, soon = {0, 1000000}, past = {1, 0};
  void *kernel = (void *)0xffff800000000000, *odd = (char *)&word + 2, *null = NULL, *nowhere = (void *)16;

  for (int op = 0; op < 16; op++) {
    for (int flags = 0; flags < 4; flags++) {
      if (op == FUTEX_LOCK_PI || op == FUTEX_UNLOCK_PI || op == FUTEX_TRYLOCK_PI || op == FUTEX_LOCK_PI2) continue;
      int full = op | (flags & 1 ? FUTEX_PRIVATE_FLAG : 0) | (flags & 2 ? FUTEX_CLOCK_REALTIME : 0);
      char name[64];
      word = word2 = 0;
      bool counts = (op >= 3 && op <= 5) || op == 12; /* val2 in place of the timeout */
      void *fourth = counts ? (void *)1 : (void *)&past;
#define EACH(what, call)                                                                                               \
  do {                                                                                                                 \
    snprintf(name, sizeof name, "op %d flags %d %s", op, flags, what);                                                 \
    say_result(name, call);                                                                                            \
  } while (0)
      EACH("value", futex(&word, full, 1, fourth, &word2, 0));
      EACH("bitset 0", futex(&word, full, 0, fourth, &word2, 0));
      EACH("odd", futex(odd, full, 1, fourth, &word2, 1));
      EACH("null", futex(null, full, 1, fourth, &word2, 1));
      EACH("nowhere", futex(nowhere, full, 1, fourth, &word2, 1));
      EACH("kernel", futex(kernel, full, 1, fourth, &word2, 1));
      EACH("second odd", futex(&word, full, 1, fourth, odd, 0));
      EACH("second nowhere", futex(&word, full, 1, fourth, nowhere, 0));
      EACH("both the same", futex(&word, full, 1, fourth, &word, 0));
    }
  }
  for (int op = 0; op < 14; op++) {
    if (op == 1 || op == 3 || op == 4 || op == 5 || op == 7 || op == 8 || op == 10 || op == 12) continue;
    char name[64];
    word = 7;
    snprintf(name, sizeof name, "op %d bad timeout", op);
    say_result(name, futex(nowhere, op, 1, &bad, &word2, 0));
    snprintf(name, sizeof name, "op %d negative timeout", op);
    say_result(name, futex(odd, op | FUTEX_CLOCK_REALTIME, 1, &negative, &word2, 0));
    snprintf(name, sizeof name, "op %d unreadable timeout", op);
    say_result(name, futex(odd, op, 1, nowhere, &word2, 0));
  }
  TRY(futex(&word, 77, 0, NULL, NULL, 0));
  TRY(futex(&word, FUTEX_FD, 0, NULL, NULL, 0));

  word = 0;
  TRY(futex(&word, FUTEX_WAIT, 0, &soon, NULL, 0));
  TRY(futex(&word, FUTEX_WAKE, 0, NULL, NULL, 0));
  TRY(futex(&word, FUTEX_WAKE, -1, NULL, NULL, 0));
  TRY(futex(&word, FUTEX_WAKE, 0x80000000, NULL, NULL, 0));
  TRY(futex(&word, FUTEX_REQUEUE, -1, NULL, &word2, 0));
  TRY(futex(&word, FUTEX_REQUEUE, 0, (void *)-1, &word2, 0));
  TRY(futex(&word, FUTEX_REQUEUE, 0, (void *)0x7fffffff, &word2, 0));
  TRY(futex(nowhere, FUTEX_REQUEUE, -1, NULL, odd, 0));
  TRY(futex(&word, FUTEX_CMP_REQUEUE_PI, 2, NULL, &word2, 0));
  TRY(futex(&word, FUTEX_CMP_REQUEUE_PI, 0, NULL, &word2, 0));
  TRY(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, NULL, &word2, 1));
  TRY(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, NULL, &word2, 0));

  /* WAKE_OP: every operation and comparison, good and bad */
  for (int op = 0; op < 16; op++) {
    word2 = 0xf0f0;
    uint32_t code = FUTEX_OP(op & 15, 5, FUTEX_OP_CMP_EQ, 0x7f0);
    char name[64];
    long r = futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, code);
    int saved = errno;
    snprintf(name, sizeof name, "wake op %d", op);
    errno = saved;
    say_result(name, r);
    say("word %#x", word2);
  }
  for (int cmp = 0; cmp < 16; cmp++) {
    word2 = -3;
    uint32_t code = FUTEX_OP(FUTEX_OP_ADD, 0xfff, (cmp & 15), 0xffd);
    char name[64];
    long r = futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, code);
    int saved = errno;
    snprintf(name, sizeof name, "wake cmp %d", cmp);
    errno = saved;
    say_result(name, r);
    say("word %d", (int)word2);
  }

  /* protections: a private futex is just an address, a shared one must be mapped as the operation wants it */
  uint32_t *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint32_t *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint32_t *shared_ro = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  TRY(futex(ro, FUTEX_WAKE, 1, NULL, NULL, 0));
  TRY(futex(ro, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  TRY(futex(none, FUTEX_WAKE, 1, NULL, NULL, 0));
  TRY(futex(none, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  TRY(futex(none, FUTEX_WAIT_PRIVATE, 0, &soon, NULL, 0));
  TRY(futex(shared_ro, FUTEX_WAKE, 1, NULL, NULL, 0));
  TRY(futex(shared_ro, FUTEX_WAIT, 0, &soon, NULL, 0));
  TRY(futex(shared_ro, FUTEX_WAIT, 1, &soon, NULL, 0));
  TRY(futex(ro, FUTEX_WAIT_PRIVATE, 0, &soon, NULL, 0));
  TRY(futex(&word, FUTEX_WAKE_OP, 1, NULL, ro, 0));
  TRY(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, NULL, ro, 0));
  TRY(futex(&word, FUTEX_WAKE_OP, 1, NULL, shared_ro, 0));
  TRY(futex(&word, FUTEX_REQUEUE, 1, NULL, shared_ro, 0));
  TRY(futex(shared_ro, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  TRY(futex(shared_ro, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  TRY(futex(shared_ro, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  TRY(futex(none, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));

  /* the robust list */
  size_t length = 1;
  void *head = &length;
  TRY(syscall(SYS_set_robust_list, &word, 23));
  TRY(syscall(SYS_set_robust_list, nowhere, 24));
  TRY(syscall(SYS_get_robust_list, 0, &head, &length));
  IS(head == nowhere);
  INT(length);
  TRY(syscall(SYS_get_robust_list, 0, nowhere, &length));
  TRY(syscall(SYS_get_robust_list, 0, &head, nowhere));
  TRY(syscall(SYS_get_robust_list, 4194303, &head, &length));
  TRY(syscall(SYS_get_robust_list, -1, &head, &length));
  TRY(syscall(SYS_set_robust_list, NULL, 24));
  return 0;
}
