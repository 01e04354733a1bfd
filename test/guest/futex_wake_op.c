/* FUTEX_WAKE_OP is atomic towards threads that run. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>

static uint32_t idle, word, done;

static void *spinner(void *arg) {
  (void)arg;
  uint32_t count = 0;
  while (!__atomic_load_n(&done, __ATOMIC_SEQ_CST)) {
    __atomic_add_fetch(&word, 16, __ATOMIC_SEQ_CST);
    count++;
  }
  return (void *)(uintptr_t)count;
}

int main(void) {
  pthread_t threads[2];
  void *counts[2];
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, spinner, NULL);
  for (int i = 0; i < 300; i++) {
    if (syscall(SYS_futex, &idle, FUTEX_WAKE_OP_PRIVATE, 1, 1, &word, FUTEX_OP(FUTEX_OP_ADD, 16, FUTEX_OP_CMP_EQ, 1)) == -1)
      say_result("wake op", -1);
  }
  __atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], &counts[i]);
  uint32_t expected = 16 * ((uint32_t)(uintptr_t)counts[0] + (uint32_t)(uintptr_t)counts[1] + 300);
  IS(word == expected);
  return 0;
}
