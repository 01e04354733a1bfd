/* IPC namespaces, ipc_namespaces(7): objects know nothing of others, and end with the last user of their namespace. */
#include "guest.h"
#include <mqueue.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define KEY 0x5eed
#define SIZE (1 << 20)

static int go[2], ready[2];
static void tell(int *pipe) { (void)!write(pipe[1], "x", 1); }
static void await(int *pipe) {
  char c;
  (void)!read(pipe[0], &c, 1);
}

static void show(const char *where) {
  say("%s: segment %s", where, shmget(KEY, 0, 0) == -1 ? errname(errno) : "there");
  say("%s: set %s", where, semget(KEY, 0, 0) == -1 ? errname(errno) : "there");
  say("%s: queue %s", where, msgget(KEY, 0) == -1 ? errname(errno) : "there");
  mqd_t queue = mq_open("/ns_ipc", O_RDONLY | O_NONBLOCK);
  say("%s: POSIX queue %s", where, queue == (mqd_t)-1 ? errname(errno) : "there");
  if (queue != (mqd_t)-1) mq_close(queue);
}

static void make(void) {
  NEED(shmget(KEY, SIZE, IPC_CREAT | 0600));
  NEED(semget(KEY, 100, IPC_CREAT | 0600));
  int queue = NEED(msgget(KEY, IPC_CREAT | 0600));
  struct {
    long type;
    char text[100];
  } message = {1, "text"};
  NEED(msgsnd(queue, &message, sizeof message.text, 0));
  struct mq_attr shape = {.mq_maxmsg = 5, .mq_msgsize = 100};
  mqd_t posix = NEED(mq_open("/ns_ipc", O_CREAT | O_RDWR, 0600, &shape));
  NEED(mq_send(posix, "text", 4, 1));
  mq_close(posix);
}

static pid_t in_new(void (*body)(void)) {
  pid_t child = NEED(fork());
  if (child == 0) {
    NEED(unshare(CLONE_NEWIPC));
    body();
    _exit(0);
  }
  return child;
}

static void hold(void) {
  show("new");
  make();
  show("made");
  tell(ready);
  await(go);
}

/* The file of a namespace keeps it. */
static void kept_by_a_file(void) {
  pid_t child = in_new(hold);
  await(ready);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/ipc", child);
  int file = NEED(open(path, O_RDONLY));
  tell(go);
  reap("its only process", child);
  show("outside");
  child = NEED(fork());
  if (child == 0) {
    TRY(setns(file, CLONE_NEWIPC));
    show("entered");
    _exit(0);
  }
  reap("who entered", child);
  close(file);
}

/* A mapping keeps a segment. */
static char *mapped;
static void map_and_leave(void) {
  int id = NEED(shmget(IPC_PRIVATE, SIZE, 0600)), waits = NEED(msgget(IPC_PRIVATE, 0600));
  mapped = NEED((char *)shmat(id, NULL, 0));
  strcpy(mapped, "still here");
  pid_t other = NEED(fork());
  struct {
    long type;
    char text[10];
  } message;
  if (other == 0) {
    NEED(unshare(CLONE_NEWIPC));
    tell(ready);
    await(go);
    say("mapped: %s", mapped);
    say("detached: %d", shmdt(mapped));
    _exit(0);
  }
  await(ready);
  INT(msgrcv(waits, &message, sizeof message.text, 0, IPC_NOWAIT));
  say("%s", errname(errno));
}

/* So many that they would not fit if any of them stayed. */
static void many(void) {
  int made = 0;
  for (int i = 0; i < 300; i++) {
    pid_t child = NEED(vfork());
    if (child == 0) {
      if (unshare(CLONE_NEWIPC) == -1) _exit(1);
      int id = shmget(IPC_PRIVATE, 4 * SIZE, 0600);
      char *area = id == -1 ? (char *)-1 : shmat(id, NULL, 0);
      if (area == (char *)-1) _exit(2);
      for (int at = 0; at < SIZE; at += 4096) area[at] = 1;
      shmdt(area);
      if (semget(IPC_PRIVATE, 30000, 0600) == -1) _exit(3);
      int queue = msgget(IPC_PRIVATE, 0600);
      struct {
        long type;
        char text[8000];
      } message = {.type = 1};
      if (queue == -1 || msgsnd(queue, &message, sizeof message.text, 0) == -1) _exit(4);
      _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    if (status == 0) made++;
    else {
      say("%d: %s", i, status_text(status));
      break;
    }
  }
  INT(made);
}

/* RLIMIT_MSGQUEUE is a user's, not a namespace's. */
static void limit(void) {
  struct rlimit small = {50000, 50000};
  NEED(setrlimit(RLIMIT_MSGQUEUE, &small));
  struct mq_attr shape = {.mq_maxmsg = 10, .mq_msgsize = 3000};
  NEED(unshare(CLONE_NEWUSER | CLONE_NEWIPC));
  NEED(prctl(PR_SET_DUMPABLE, 1));
  put("/proc/self/uid_map", "0 54322 1\n");
  put("/proc/self/setgroups", "deny\n");
  put("/proc/self/gid_map", "0 0 1\n");
  say("first %s", mq_open("/limit", O_CREAT | O_RDWR, 0600, &shape) == (mqd_t)-1 ? errname(errno) : "ok");
  NEED(unshare(CLONE_NEWIPC));
  say("second, while the first is open: %s", mq_open("/limit", O_CREAT | O_RDWR, 0600, &shape) == (mqd_t)-1 ? errname(errno) : "ok");
  close(3), close(4), close(5), close(6), close(7), close(8), close(9);
  sleep_ms(500); /* the host ends a namespace in its own time */
  say("third %s", mq_open("/limit", O_CREAT | O_RDWR, 0600, &shape) == (mqd_t)-1 ? errname(errno) : "ok");
}

int main(void) {
  NEED(pipe2(go, O_CLOEXEC));
  NEED(pipe2(ready, O_CLOEXEC));
  show("first");
  kept_by_a_file();
  pid_t child = in_new(map_and_leave);
  reap("who made the segment", child);
  tell(go);
  sleep_ms(100);
  many();
  child = NEED(fork());
  if (child == 0) {
    NEED(setresuid(54322, 54322, 54322));
    limit();
    _exit(0);
  }
  reap("limit", child);
  show("first");
  return 0;
}
