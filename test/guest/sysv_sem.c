/* System V semaphores. */
#include "guest.h"
#include <pthread.h>
#include <grp.h>
#include <sys/ipc.h>
#include <sys/sem.h>

union semun {
  int val;
  struct semid_ds *buf;
  unsigned short *array;
  struct seminfo *info;
};
static void *nowhere = (void *)16;
static int id;

static void values(const char *when) {
  unsigned short v[4];
  if (semctl(id, 0, GETALL, v) == -1) say_result(when, -1);
  else say("%s: %d %d %d %d", when, v[0], v[1], v[2], v[3]);
}

static int op1(int num, int op, int flags) {
  struct sembuf s = {num, op, flags};
  return semop(id, &s, 1);
}

/* Until `count` calls wait for semaphore `num`. */
static void await(int num, int command, int count) {
  for (int i = 0; i < 2000 && semctl(id, num, command) != count; i++) sleep_ms(1);
}

static void on_signal(int signo) { (void)signo; }

static void *in_thread(void *arg) {
  (void)arg;
  say_result("thread, undo", op1(3, 2, SEM_UNDO));
  return NULL;
}

int main(void) {
  key_t key = 0x5d000000 | (getpid() & 0xffffff);
  struct semid_ds s;
  TRY(semget(key, 4, 0));
  TRY(semget(key, 0, IPC_CREAT | 0600));
  TRY(semget(key, -1, IPC_CREAT | 0600));
  TRY(semget(key, 32001, IPC_CREAT | 0600));
  id = semget(key, 4, IPC_CREAT | IPC_EXCL | 0640);
  IS(id >= 0);
  TRY(semget(key, 4, IPC_CREAT | IPC_EXCL | 0640));
  IS(semget(key, 0, 0) == id);
  IS(semget(key, 4, IPC_CREAT) == id);
  TRY(semget(key, 5, 0));
  TRY(semctl(id, 0, IPC_STAT, &s));
  say("mode %#o nsems %lu otime %s ctime %s", s.sem_perm.mode, s.sem_nsems, s.sem_otime ? "set" : "0",
      s.sem_ctime ? "set" : "0");
  values("new");

  /* one at a time */
  TRY(op1(0, 3, 0));
  TRY(op1(0, -2, 0));
  TRY(op1(0, -2, IPC_NOWAIT));
  TRY(op1(0, 0, IPC_NOWAIT));
  TRY(op1(1, 0, 0));
  TRY(op1(4, 1, 0));
  TRY(op1(0, 32767, 0));
  TRY(op1(0, 32766, 0));
  values("full");
  TRY(op1(0, -32767, 0));
  TRY(semctl(id, 0, GETPID) == getpid());
  TRY(semctl(id, 2, GETPID));
  TRY(semctl(id, 0, IPC_STAT, &s));
  say("otime %s", s.sem_otime ? "set" : "0");

  /* all or none */
  struct sembuf both[] = {{0, 1, 0}, {1, -1, IPC_NOWAIT}};
  TRY(semop(id, both, 2));
  values("none");
  struct sembuf chain[] = {{0, 1, 0}, {0, -1, 0}, {0, 0, 0}, {1, 2, 0}, {1, -1, 0}};
  TRY(semop(id, chain, 5));
  values("chain");

  /* errors */
  struct sembuf many[501];
  for (int i = 0; i < 501; i++) many[i] = (struct sembuf){0, 0, 0};
  TRY(semop(id, many, 500));
  TRY(semop(id, many, 501));
  TRY(semop(id, many, 0));
  TRY(semop(id, nowhere, 1));
  TRY(semop(-1, many, 1));
  TRY(semop(id + 1000, many, 1));
  struct timespec bad = {0, 1000000000}, none = {0, 0}, soon = {0, 30000000};
  TRY(semtimedop(id, many, 1, &bad));
  TRY(semtimedop(id, many, 1, nowhere));
  TRY(semtimedop(id, many, 1, &none));
  struct sembuf down = {0, -1, 0};
  TRY(semtimedop(id, &down, 1, &none));
  TRY(semtimedop(id, &down, 1, &soon));

  /* values */
  TRY(semctl(id, 0, SETVAL, 5));
  TRY(semctl(id, 0, GETVAL));
  TRY(semctl(id, 4, GETVAL));
  TRY(semctl(id, -1, GETVAL));
  TRY(semctl(id, 0, SETVAL, -1));
  TRY(semctl(id, 0, SETVAL, 32768));
  TRY(semctl(id, 4, SETVAL, 1));
  unsigned short set[] = {1, 2, 3, 4}, wrong[] = {1, 40000, 3, 4};
  TRY(semctl(id, 0, SETALL, set));
  values("set");
  TRY(semctl(id, 0, SETALL, wrong));
  TRY(semctl(id, 0, SETALL, nowhere));
  TRY(semctl(id, 0, GETALL, nowhere));
  TRY(semctl(id, 0, 77, 0));
  TRY(semctl(id + 1000, 0, GETVAL));

  /* waiting: for more, for zero, for both */
  pid_t child = NEED(fork());
  if (child == 0) _exit(op1(0, -4, 0) == 0 ? 11 : 1);
  await(0, GETNCNT, 1);
  TRY(semctl(id, 0, GETNCNT));
  TRY(semctl(id, 0, GETZCNT));
  TRY(op1(0, 2, 0));
  TRY(semctl(id, 0, GETNCNT));
  TRY(op1(0, 2, 0));
  reap("waits for more", child);
  values("after");
  child = NEED(fork());
  if (child == 0) _exit(op1(1, 0, 0) == 0 ? 12 : 1);
  await(1, GETZCNT, 1);
  TRY(semctl(id, 1, GETZCNT));
  TRY(op1(1, -2, 0));
  reap("waits for zero", child);
  child = NEED(fork());
  if (child == 0) {
    struct sembuf two[] = {{2, -4, 0}, {3, -5, 0}};
    _exit(semop(id, two, 2) == 0 ? 13 : 1);
  }
  await(2, GETNCNT, 1);
  TRY(semctl(id, 3, GETNCNT));
  TRY(op1(2, 1, 0));
  await(3, GETNCNT, 1);
  TRY(semctl(id, 2, GETNCNT));
  values("not yet");
  TRY(semctl(id, 3, SETVAL, 5));
  reap("waits for two", child);
  values("after");

  /* who came first is served first, if that is possible */
  int fds[2];
  NEED(pipe(fds));
  pid_t children[3];
  int wants[] = {3, 1, 2};
  semctl(id, 0, SETVAL, 0);
  for (int i = 0; i < 3; i++) {
    children[i] = NEED(fork());
    if (children[i] == 0) {
      op1(0, -wants[i], 0);
      char c = 'a' + i;
      write(fds[1], &c, 1);
      _exit(0);
    }
    await(0, GETNCNT, i + 1);
  }
  char c[4] = {0};
  for (int i = 0; i < 3; i++) {
    op1(0, i == 2 ? 3 : i == 1 ? 2 : 1, 0);
    read(fds[0], c + i, 1);
  }
  say("order %s", c);
  for (int i = 0; i < 3; i++) reap("in turn", children[i]);

  /* signals and removal */
  handle(SIGALRM, on_signal, SA_RESTART);
  struct itimerspec timer = {.it_value = {0, 30000000}};
  timer_t clock;
  timer_create(CLOCK_MONOTONIC, NULL, &clock);
  timer_settime(clock, 0, &timer, NULL);
  TRY(op1(0, -1, 0));
  TRY(semctl(id, 0, GETNCNT));

  /* undo at exit */
  semctl(id, 0, SETALL, set);
  child = NEED(fork());
  if (child == 0) {
    TRY(op1(0, 5, SEM_UNDO));
    TRY(op1(1, -2, SEM_UNDO));
    TRY(op1(2, 1, 0));
    values("before exit");
    _exit(0);
  }
  reap("undo", child);
  values("undone");
  INT(semctl(id, 0, GETPID) == child);
  child = NEED(fork());
  if (child == 0) {
    op1(0, 5, SEM_UNDO);
    pid_t grandchild = NEED(fork());
    if (grandchild == 0) _exit(0); /* does not inherit the adjustments */
    waitpid(grandchild, NULL, 0);
    values("grandchild gone");
    op1(0, -6, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    values("thread gone");
    semctl(id, 1, SETVAL, 9); /* forgets adjustments of that one */
    execl("/bin/true", "true", NULL);
    _exit(1);
  }
  reap("undo after exec", child);
  values("not below zero");
  TRY(op1(0, 32767 - semctl(id, 0, GETVAL), 0));
  child = NEED(fork());
  if (child == 0) {
    op1(0, -32767, SEM_UNDO);
    TRY(op1(0, 32767, 0));
    TRY(op1(0, -32767, 0));
    TRY(op1(0, 30000, 0));
    _exit(0);
  }
  reap("not above the limit", child);
  values("limit");
  semctl(id, 0, SETVAL, 0);
  TRY(op1(0, 20000, SEM_UNDO));
  TRY(op1(0, -10000, 0));
  TRY(op1(0, 20000, SEM_UNDO)); /* the adjustment would be too large */
  values("range");

  /* permissions */
  TRY(semctl(id, 0, IPC_STAT, &s));
  s.sem_perm.mode = 0604;
  TRY(semctl(id, 0, IPC_SET, &s));
  TRY(semctl(id, 0, IPC_SET, nowhere));
  TRY(semctl(id, 0, IPC_STAT, nowhere));
  if (getuid() == 0) {
    child = NEED(fork());
    if (child == 0) {
      NEED(setgroups(0, NULL));
      NEED(setgid(54321));
      NEED(setuid(54321));
      OK(semget(key, 0, 0400));
      OK(semget(key, 0, 0200));
      TRY(op1(1, 1, 0));
      TRY(op1(1, 0, IPC_NOWAIT));
      TRY(semctl(id, 0, GETVAL));
      TRY(semctl(id, 0, SETVAL, 1));
      TRY(semctl(id, 9, SETVAL, 1));
      TRY(semctl(id, 9, GETVAL));
      TRY(semctl(id, 0, IPC_RMID));
      TRY(semctl(id, 0, IPC_SET, &s));
      _exit(0);
    }
    reap("other user", child);
  }
  semctl(id, 0, SETVAL, 0);
  child = NEED(fork());
  if (child == 0) {
    TRY(op1(0, -1, 0));
    _exit(0);
  }
  await(0, GETNCNT, 1);
  long removed = semctl(id, 0, IPC_RMID);
  reap("removed", child);
  INT(removed);
  TRY(op1(0, 1, 0));
  TRY(semctl(id, 0, IPC_RMID));
  TRY(semget(key, 0, 0));
  struct seminfo info;
  IS(semctl(0, 0, IPC_INFO, &info) >= 0);
  say("limits: %d %d %d %d %d %d %d %d %d %d", info.semmap, info.semmni, info.semmns, info.semmnu, info.semmsl,
      info.semopm, info.semume, info.semusz, info.semvmx, info.semaem);
  return 0;
}
