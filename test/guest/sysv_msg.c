/* System V message queues. */
#include "guest.h"
#include <grp.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

struct message {
  long type;
  char text[8200];
};
static void *nowhere = (void *)16;
static int id;

static void show(const char *when) {
  struct msqid_ds s;
  if (msgctl(id, IPC_STAT, &s) == -1) {
    say_result(when, -1);
    return;
  }
  say("%s: mode %#o bytes %lu messages %lu limit %lu sender %s receiver %s stime %s rtime %s", when, s.msg_perm.mode,
      (unsigned long)s.__msg_cbytes, (unsigned long)s.msg_qnum, (unsigned long)s.msg_qbytes,
      s.msg_lspid == getpid() ? "mine" : s.msg_lspid ? "other" : "0",
      s.msg_lrpid == getpid() ? "mine" : s.msg_lrpid ? "other" : "0", s.msg_stime ? "set" : "0",
      s.msg_rtime ? "set" : "0");
}

static int send(long type, const char *text, int flags) {
  struct message m = {.type = type};
  strcpy(m.text, text);
  return msgsnd(id, &m, strlen(text), flags);
}

static void receive(long type, size_t size, int flags) {
  struct message m = {0};
  char name[64];
  snprintf(name, sizeof name, "receive %ld %zu %#o", type, size, flags);
  ssize_t r = msgrcv(id, &m, size, type, flags);
  if (r < 0) say_result(name, r);
  else say("%s: type %ld \"%.*s\"", name, m.type, (int)r, m.text);
}

static void on_signal(int signo) { (void)signo; }

int main(void) {
  key_t key = 0x5c000000 | (getpid() & 0xffffff);
  TRY(msgget(key, 0));
  id = msgget(key, IPC_CREAT | IPC_EXCL | 0640);
  IS(id >= 0);
  TRY(msgget(key, IPC_CREAT | IPC_EXCL));
  IS(msgget(key, IPC_CREAT | 0600) == id);
  show("new");
  TRY(send(3, "three", 0));
  TRY(send(1, "one", 0));
  TRY(send(2, "two", 0));
  TRY(send(1, "another one", 0));
  TRY(send(5, "", 0));
  show("five");
  receive(0, 100, MSG_COPY | IPC_NOWAIT);
  receive(3, 100, MSG_COPY | IPC_NOWAIT);
  receive(5, 100, MSG_COPY | IPC_NOWAIT);
  receive(0, 100, MSG_COPY);
  receive(0, 100, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT);
  show("copied");
  receive(2, 100, 0);
  receive(-2, 100, 0);
  receive(1, 3, 0);
  receive(1, 3, MSG_NOERROR);
  receive(5, 100, MSG_EXCEPT);
  receive(5, 100, MSG_EXCEPT | IPC_NOWAIT);
  receive(-4, 100, IPC_NOWAIT);
  receive(0x8000000000000000, 0, 0);
  receive(0, 100, IPC_NOWAIT);
  show("empty");

  struct message m = {.type = 1};
  TRY(msgsnd(id, &m, 8193, 0));
  TRY(msgsnd(id, &m, -1, 0));
  TRY(msgsnd(id, nowhere, 1, 0));
  TRY(msgsnd(id, nowhere, -1, 0));
  TRY(msgsnd(-1, &m, 1, 0));
  TRY(msgsnd(id + 1000, &m, 1, 0));
  m.type = 0;
  TRY(msgsnd(id, &m, 1, 0));
  TRY(msgsnd(id + 1000, &m, 1, 0));
  m.type = -1;
  TRY(msgsnd(id, &m, 1, 0));
  TRY(msgrcv(id, &m, -1, 0, 0));
  TRY(msgrcv(-1, &m, 1, 0, 0));
  TRY(msgrcv(id + 1000, &m, 1, 0, IPC_NOWAIT));
  send(7, "lost", 0);
  TRY(msgrcv(id, nowhere, 10, 0, 0));
  show("lost");

  /* a full queue */
  m.type = 1;
  memset(m.text, 'x', sizeof m.text);
  TRY(msgsnd(id, &m, 8192, IPC_NOWAIT));
  TRY(msgsnd(id, &m, 8192, IPC_NOWAIT));
  TRY(msgsnd(id, &m, 1, IPC_NOWAIT));
  TRY(msgsnd(id, &m, 0, IPC_NOWAIT));
  show("full");
  pid_t child = NEED(fork());
  if (child == 0) _exit(msgsnd(id, &m, 100, 0) == 0 ? 21 : 1);
  sleep_ms(100);
  TRY(msgrcv(id, &m, 8192, 0, 0));
  reap("waits for room", child);
  TRY(msgrcv(id, &m, 8192, 0, 0));
  TRY(msgrcv(id, &m, 8192, 0, 0));
  TRY(msgrcv(id, &m, 8192, 0, 0));
  child = NEED(fork());
  if (child == 0) {
    receive(9, 100, 0);
    _exit(0);
  }
  sleep_ms(100);
  TRY(send(8, "eight", 0));
  long sent = send(9, "nine", 0);
  reap("waits for nine", child);
  INT(sent);
  show("handed over");
  child = NEED(fork());
  if (child == 0) {
    receive(9, 2, 0);
    _exit(0);
  }
  sleep_ms(100);
  sent = send(9, "too long", 0);
  reap("too long for it", child);
  INT(sent);
  receive(9, 100, IPC_NOWAIT);
  receive(0, 100, IPC_NOWAIT);

  /* signals */
  struct itimerspec timer = {.it_value = {0, 30000000}};
  timer_t clock;
  timer_create(CLOCK_MONOTONIC, NULL, &clock);
  for (int flags = 0; flags < 2; flags++) {
    handle(SIGALRM, on_signal, flags ? SA_RESTART : 0);
    timer_settime(clock, 0, &timer, NULL);
    receive(0, 10, 0);
  }

  /* limits and permissions */
  struct msqid_ds s;
  TRY(msgctl(id, IPC_STAT, &s));
  s.msg_qbytes = 5;
  s.msg_perm.mode = 0604;
  TRY(msgctl(id, IPC_SET, &s));
  show("smaller");
  TRY(send(1, "123456", IPC_NOWAIT));
  TRY(send(1, "12345", IPC_NOWAIT));
  TRY(send(1, "", IPC_NOWAIT));
  TRY(msgctl(id, IPC_SET, nowhere));
  TRY(msgctl(id, IPC_STAT, nowhere));
  TRY(msgctl(id, 99, &s));
  TRY(msgctl(-1, IPC_STAT, &s));
  TRY(msgctl(id + 1000, IPC_STAT, &s));
  if (getuid() == 0) {
    child = NEED(fork());
    if (child == 0) {
      NEED(setgroups(0, NULL));
      NEED(setgid(54321));
      NEED(setuid(54321));
      OK(msgget(key, 0400));
      OK(msgget(key, 0200));
      TRY(send(1, "", IPC_NOWAIT));
      receive(0, 100, IPC_NOWAIT);
      TRY(msgctl(id, IPC_RMID, NULL));
      TRY(msgctl(id, IPC_SET, &s));
      s.msg_qbytes = 100000;
      int own = msgget(IPC_PRIVATE, 0600);
      TRY(msgctl(own, IPC_SET, &s));
      TRY(msgctl(own, IPC_RMID, NULL));
      _exit(0);
    }
    reap("other user", child);
  }
  receive(0, 100, IPC_NOWAIT);
  receive(0, 100, IPC_NOWAIT);
  child = NEED(fork());
  if (child == 0) {
    receive(1, 1, 0);
    _exit(0);
  }
  sleep_ms(100);
  long removed = msgctl(id, IPC_RMID, NULL);
  reap("removed", child);
  INT(removed);
  TRY(msgctl(id, IPC_RMID, NULL));
  receive(1, 1, 0);
  struct msginfo info;
  IS(msgctl(0, IPC_INFO, (void *)&info) >= 0);
  say("limits: %d %d %d %d %d %d %d %d", info.msgpool, info.msgmap, info.msgmax, info.msgmnb, info.msgmni, info.msgssz,
      info.msgtql, info.msgseg);
  return 0;
}
