/* membarrier(2): registration, errors, and that it orders what running threads see. */
#include "guest.h"
#include <linux/membarrier.h>
#include <pthread.h>

static int membarrier(int command, unsigned flags) { return syscall(SYS_membarrier, command, flags, 0); }

static volatile int flag[2], turn_over;
static int both_saw_nothing;
static pthread_barrier_t start, end;

/* The one side of Dekker's algorithm that has no fence. */
static void *fast_side(void *arg) {
  (void)arg;
  for (int i = 0; i < 300; i++) {
    pthread_barrier_wait(&start);
    flag[0] = 1;
    __asm__ volatile("" ::: "memory");
    int seen = flag[1];
    pthread_barrier_wait(&end);
    if (seen == 0 && turn_over == 0) both_saw_nothing++;
    pthread_barrier_wait(&end);
  }
  return NULL;
}

int main(void) {
  int offered = membarrier(MEMBARRIER_CMD_QUERY, 0);
  say("offered %#x", offered & (MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |
                                MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED |
                                MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED));
  TRY(membarrier(MEMBARRIER_CMD_QUERY, 1));
  TRY(membarrier(3, 0));
  TRY(membarrier(1 << 20, 0));
  TRY(membarrier(-1, 0));
  TRY(membarrier(MEMBARRIER_CMD_GLOBAL, 0));
  TRY(membarrier(MEMBARRIER_CMD_GLOBAL, 1));
  TRY(membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0));
  TRY(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0));
  TRY(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 1));
  TRY(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0));
  TRY(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0));
  TRY(membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0));
  pid_t child = NEED(fork());
  if (child == 0) {
    TRY(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0)); /* inherited */
    _exit(0);
  }
  reap("child", child);

  pthread_t thread;
  pthread_barrier_init(&start, NULL, 2);
  pthread_barrier_init(&end, NULL, 2);
  pthread_create(&thread, NULL, fast_side, NULL);
  for (int i = 0; i < 300; i++) {
    flag[0] = flag[1] = 0;
    pthread_barrier_wait(&start);
    flag[1] = 1;
    membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
    turn_over = flag[0];
    pthread_barrier_wait(&end);
    pthread_barrier_wait(&end);
  }
  pthread_join(thread, NULL);
  INT(both_saw_nothing);
  return 0;
}
