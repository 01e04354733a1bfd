/* Locks whose memory goes away, whose owner is killed, replaced or stopped, and waiters that are killed. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>

static uint32_t *words;

static long futex(uint32_t *address, int op, uint32_t value, void *timeout, void *address2, uint32_t value3) {
  return syscall(SYS_futex, address, op, value, timeout, address2, value3);
}
static uint32_t tid(void) { return syscall(SYS_gettid); }

static void show(const char *when, uint32_t word) {
  uint32_t owner = word & FUTEX_TID_MASK;
  say("%s: %s%s%s", when, word & FUTEX_WAITERS ? "WAITERS " : "", word & FUTEX_OWNER_DIED ? "OWNER_DIED " : "",
      owner == 0 ? "free" : owner == tid() ? "mine" : "another's");
}

static void *wait_for_lock(void *arg) {
  futex(arg, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
  return NULL;
}

static void await_waiters(uint32_t *word) {
  for (int i = 0; i < 3000 && !(__atomic_load_n(word, __ATOMIC_SEQ_CST) & FUTEX_WAITERS); i++) sleep_ms(1);
  sleep_ms(30);
}

int main(void) {
  words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  scratch();

  /* a file that shrinks under its mapping */
  int fd = NEED(open("file", O_RDWR | O_CREAT, 0600));
  NEED(ftruncate(fd, 8192));
  uint32_t *file = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  TRY(futex(file + 1024, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  TRY(futex(file + 1024, FUTEX_WAKE_OP, 1, NULL, file + 1025, FUTEX_OP(FUTEX_OP_SET, 3, FUTEX_OP_CMP_EQ, 0)));
  INT(file[1025]);
  NEED(ftruncate(fd, 4096));
  TRY(futex(file + 1024, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
  TRY(futex(file + 1024, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  TRY(futex(file + 1024, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  TRY(futex(file + 1024, FUTEX_WAKE_OP_PRIVATE, 1, NULL, file + 1025, FUTEX_OP(FUTEX_OP_SET, 3, FUTEX_OP_CMP_EQ, 0)));
  TRY(futex(file + 1024, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0));
  TRY(futex(file, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  TRY(futex(file, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));

  /* the same word through two mappings of a file is one lock */
  uint32_t *again = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  TRY(futex(file, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  pid_t child = NEED(fork());
  if (child == 0) {
    TRY(futex(again, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    long r = futex(again, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    show("child", *file);
    _exit(r == 0 ? 5 : 1);
  }
  await_waiters(file);
  long unlocked = futex(again, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
  reap("child", child);
  INT(unlocked);

  /* a waiter is killed: the lock stays with its owner, and the next waiter gets it */
  TRY(futex(&words[0], FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  child = NEED(fork());
  if (child == 0) {
    wait_for_lock(&words[0]);
    _exit(1);
  }
  await_waiters(&words[0]);
  pid_t second = NEED(fork());
  if (second == 0) {
    wait_for_lock(&words[0]);
    show("second waiter", words[0]);
    _exit(6);
  }
  sleep_ms(80);
  kill(child, SIGKILL);
  reap("first waiter", child);
  show("ours", words[0]);
  unlocked = futex(&words[0], FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
  reap("second waiter", second);
  INT(unlocked);
  show("it died with it", words[0]);

  /* the owner is killed, with a waiter in another process */
  words[1] = 0;
  child = NEED(fork());
  if (child == 0) {
    futex(&words[1], FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    words[2] = 1;
    for (;;) pause();
  }
  while (*(volatile uint32_t *)&words[2] != 1) sleep_ms(1);
  second = NEED(fork());
  if (second == 0) {
    say_result("killed owner", futex(&words[1], FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    show("killed owner", words[1]);
    _exit(0);
  }
  await_waiters(&words[1]);
  kill(child, SIGKILL);
  reap("heir", second);
  reap("owner", child);

  /* the owner executes another program */
  words[1] = words[2] = 0;
  child = NEED(fork());
  if (child == 0) {
    futex(&words[1], FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    words[2] = 1;
    sleep_ms(150);
    execl("/bin/sleep", "sleep", "0.2", NULL);
    _exit(1);
  }
  while (*(volatile uint32_t *)&words[2] != 1) sleep_ms(1);
  TRY(futex(&words[1], FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  show("after exec", words[1]);
  reap("exec", child);

  /* a group that ends while its threads wait for each other's locks */
  child = NEED(fork());
  if (child == 0) {
    pthread_t threads[3];
    words[4] = 0;
    futex(&words[4], FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, wait_for_lock, &words[4]);
    await_waiters(&words[4]);
    _exit(9);
  }
  reap("group", child);
  return 0;
}
