#include "guest.h"
#include <sys/file.h>

static int fd;

static const char *kind(short type) { return type == F_RDLCK ? "read" : type == F_WRLCK ? "write" : "none"; }

static int lock(int cmd, short type, off_t start, off_t length) {
  struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
  return fcntl(fd, cmd, &l);
}

static void query(const char *name, short type, off_t start, off_t length, pid_t owner) {
  struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
  if (fcntl(fd, F_GETLK, &l) == -1) say("%s: %s", name, errname(errno));
  else if (l.l_type == F_UNLCK) say("%s: free", name);
  else say("%s: %s %ld+%ld by %s", name, kind(l.l_type), l.l_start, l.l_len, l.l_pid == owner ? "parent" : "?");
}

static int to_child[2], to_parent[2];
static void tell(int *pipe) { (void)!write(pipe[1], "x", 1); }
static void await(int *pipe) {
  char c;
  (void)!read(pipe[0], &c, 1);
}

int main(void) {
  scratch();
  put("f", "0123456789");
  fd = NEED(open("f", O_RDWR));
  NEED(pipe(to_child)), NEED(pipe(to_parent));
  pid_t parent = getpid();
  TRY(lock(F_SETLK, F_WRLCK, 2, 3));
  TRY(lock(F_SETLK, F_RDLCK, 7, 0));
  query("own locks do not conflict", F_WRLCK, 0, 0, parent);
  pid_t child = NEED(fork());
  if (child == 0) {
    query("0+2", F_WRLCK, 0, 2, parent);
    query("0+3", F_WRLCK, 0, 3, parent);
    query("5+2", F_WRLCK, 5, 2, parent);
    query("read at 8", F_RDLCK, 8, 1, parent);
    query("write at 8", F_WRLCK, 8, 1, parent);
    TRY(lock(F_SETLK, F_RDLCK, 4, 1));
    TRY(lock(F_SETLK, F_RDLCK, 8, 1));
    TRY(lock(F_SETLK, F_WRLCK, 5, 2));
    tell(to_parent);
    TRY(lock(F_SETLKW, F_WRLCK, 2, 3));
    say("child has it");
    tell(to_parent);
    await(to_child);
    _exit(0);
  }
  await(to_parent);
  query("child's", F_WRLCK, 0, 0, child);
  sleep_ms(30);
  say("parent unlocks the middle only");
  TRY(lock(F_SETLK, F_UNLCK, 3, 1));
  sleep_ms(30);
  say("parent unlocks all");
  NEED(lock(F_SETLK, F_UNLCK, 0, 0));
  await(to_parent);
  TRY(lock(F_SETLK, F_WRLCK, 2, 1));
  tell(to_child);
  TRY(lock(F_SETLKW, F_WRLCK, 2, 1)); /* released by the exit */
  reap("child", child);
  /* any close of the file releases */
  child = NEED(fork());
  if (child == 0) {
    int other = open("f", O_RDONLY);
    (void)other;
    TRY(lock(F_SETLK, F_WRLCK, 2, 1));
    await(to_child);
    TRY(lock(F_SETLK, F_WRLCK, 2, 1));
    _exit(0);
  }
  sleep_ms(60);
  close(open("f", O_RDONLY));
  tell(to_child);
  reap("after a close", child);

  int ro = NEED(open("f", O_RDONLY)), rw = fd;
  fd = ro;
  TRY(lock(F_SETLK, F_WRLCK, 0, 1));
  TRY(lock(F_SETLK, F_RDLCK, 0, 1));
  fd = rw;
  TRY(lock(F_SETLK, 9, 0, 1));
  TRY(lock(F_SETLK, F_RDLCK, -1, 1));
  TRY(lock(F_SETLK, F_RDLCK, 5, -3));
  TRY(fcntl(99, F_SETLK, &(struct flock){0}));

  /* held by another, until it dies */
  child = NEED(fork());
  if (child == 0) {
    lock(F_SETLK, F_WRLCK, 0, 0);
    tell(to_parent);
    pause();
  }
  await(to_parent);
  TRY(lock(F_SETLK, F_WRLCK, 0, 0));
  kill(child, SIGKILL);
  reap("holder", child);
  TRY(lock(F_SETLK, F_WRLCK, 0, 0));
  lock(F_SETLK, F_UNLCK, 0, 0);

  /* flock: by open file description */
  int a = NEED(open("f", O_RDWR)), b = NEED(open("f", O_RDWR));
  TRY(flock(a, LOCK_SH));
  TRY(flock(b, LOCK_SH | LOCK_NB));
  TRY(flock(b, LOCK_EX | LOCK_NB));
  TRY(flock(a, LOCK_UN));
  TRY(flock(b, LOCK_EX | LOCK_NB));
  TRY(flock(a, LOCK_SH | LOCK_NB));
  int c = dup(b);
  close(b);
  TRY(flock(a, LOCK_SH | LOCK_NB));
  child = NEED(fork());
  if (child == 0) {
    TRY(flock(c, LOCK_EX | LOCK_NB));
    TRY(flock(c, LOCK_UN));
    _exit(0);
  }
  reap("unlocks for both", child);
  TRY(flock(a, LOCK_EX | LOCK_NB));
  TRY(flock(a, 77));
  TRY(flock(99, LOCK_SH));
  child = NEED(fork());
  if (child == 0) {
    int own = NEED(open("f", O_RDWR));
    say("child waits");
    TRY(flock(own, LOCK_EX));
    _exit(0);
  }
  sleep_ms(50);
  say("parent closes");
  close(a);
  kill(child, 0);
  /* the child inherited a: it still holds it, so end it from here */
  sleep_ms(20);
  kill(child, SIGKILL);
  reap("waits for itself", child);
  /* open file description locks */
  struct flock l = {.l_type = F_WRLCK, .l_len = 5};
  int d = NEED(open("f", O_RDWR)), e = NEED(open("f", O_RDWR));
  TRY(fcntl(d, F_OFD_SETLK, &l));
  TRY(fcntl(e, F_OFD_SETLK, &l));
  TRY(fcntl(e, F_OFD_GETLK, &l));
  say("%s by %d", kind(l.l_type), l.l_pid);
  return 0;
}
