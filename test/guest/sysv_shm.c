/* System V shared memory. */
#include "guest.h"
#include <setjmp.h>
#include <grp.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

static void *nowhere = (void *)16;

static void show(const char *when, int id) {
  struct shmid_ds s;
  if (shmctl(id, IPC_STAT, &s) == -1) {
    say_result(when, -1);
    return;
  }
  say("%s: key %s mode %#o size %lu nattch %lu cpid %s lpid %s atime %s dtime %s ctime %s uid %d gid %d", when,
      s.shm_perm.__key == IPC_PRIVATE ? "private" : "public", s.shm_perm.mode, (unsigned long)s.shm_segsz,
      (unsigned long)s.shm_nattch, s.shm_cpid == getpid() ? "mine" : "other",
      s.shm_lpid == getpid() ? "mine" : s.shm_lpid == 0 ? "0" : "other", s.shm_atime ? "set" : "0",
      s.shm_dtime ? "set" : "0", s.shm_ctime ? "set" : "0", s.shm_perm.uid, s.shm_perm.gid);
}

static sigjmp_buf back;

static void on_fault(int signo) {
  (void)signo;
  siglongjmp(back, 1);
}

int main(void) {
  key_t key = 0x5e000000 | (getpid() & 0xffffff);
  handle(SIGSEGV, on_fault, SA_NODEFER);

  TRY(shmget(key, 100, 0));
  TRY(shmget(key, 0, IPC_CREAT | 0600));
  TRY(shmget(IPC_PRIVATE, 0, 0600));
  TRY(shmget(IPC_PRIVATE, (size_t)-1, 0600));
  int id = shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0640);
  IS(id >= 0);
  TRY(shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0640));
  IS(shmget(key, 5000, IPC_CREAT) == id);
  IS(shmget(key, 1, 0) == id);
  IS(shmget(key, 0, 0600) == id);
  TRY(shmget(key, 5001, 0));
  show("new", id);

  /* attach */
  char *a = shmat(id, NULL, 0);
  IS(a != (void *)-1);
  show("attached", id);
  IS(a[0] == 0 && a[4999] == 0 && a[8191] == 0);
  strcpy(a, "hello");
  char *b = shmat(id, NULL, SHM_RDONLY);
  IS(b != a && strcmp(b, "hello") == 0);
  show("twice", id);
  if (sigsetjmp(back, 1) == 0) b[0] = 'x', say("written?");
  else say("read-only");
  TRY(mprotect(b, 4096, PROT_READ | PROT_WRITE));
  TRY(shmdt(b));
  TRY(shmdt(b));
  show("once", id);
  TRY(shmat(id, a, 0));
  TRY(shmat(id, a + 4, 0));
  TRY(shmat(id, NULL, SHM_REMAP));
  TRY(shmat(id, (void *)4, SHM_RND | SHM_REMAP));
  TRY(shmat(-1, NULL, 0));
  TRY(shmat(id + 1000, NULL, 0));
  TRY(shmdt(NULL));
  TRY(shmdt(a + 1));
  TRY(shmdt(a + 4096));
  char *room = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  IS(shmat(id, room + 4097, SHM_RND | SHM_REMAP) == room + 4096);
  IS(strcmp(room + 4096, "hello") == 0);
  munmap(room + 20480, 45056);
  IS(shmat(id, room + 24576, 0) == room + 24576);
  show("three", id);

  /* splitting counts, and detaching takes the pieces */
  mprotect(room + 4096, 4096, PROT_READ);
  show("split", id);
  TRY(shmdt(room + 4096));
  show("detached", id);
  munmap(room + 24576, 4096);
  show("half unmapped", id);
  TRY(shmdt(room + 24576));
  show("rest detached", id);

  /* fork inherits, exit and exec detach */
  int fds[2];
  NEED(pipe(fds));
  pid_t child = NEED(fork());
  if (child == 0) {
    char c;
    read(fds[0], &c, 1);
    strcpy(a + 100, "from the child");
    _exit(0);
  }
  struct shmid_ds s;
  shmctl(id, IPC_STAT, &s);
  INT(s.shm_nattch);
  IS(s.shm_lpid == getpid());
  write(fds[1], "x", 1);
  reap("child", child);
  shmctl(id, IPC_STAT, &s);
  INT(s.shm_nattch);
  IS(s.shm_lpid == child);
  say("%s", a + 100);
  child = NEED(fork());
  if (child == 0) {
    execl("/bin/sleep", "sleep", "0.3", NULL);
    _exit(1);
  }
  sleep_ms(150);
  shmctl(id, IPC_STAT, &s);
  INT(s.shm_nattch);
  reap("exec", child);

  /* contents stay without users */
  TRY(shmdt(a));
  show("unused", id);
  a = shmat(id, NULL, 0);
  say("%s", a);

  /* permissions and changes */
  s.shm_perm.mode = 07604;
  TRY(shmctl(id, IPC_SET, &s));
  show("changed", id);
  TRY(shmctl(id, IPC_STAT, nowhere));
  TRY(shmctl(id, IPC_SET, nowhere));
  TRY(shmctl(id, 77, &s));
  TRY(shmctl(-1, IPC_STAT, &s));
  TRY(shmctl(id, -1, &s));
  TRY(shmctl(id + 1000, IPC_STAT, &s));
  TRY(shmctl(id + 1000, IPC_RMID, NULL));
  TRY(shmctl(id, SHM_LOCK, NULL));
  show("locked", id);
  TRY(shmctl(id, SHM_UNLOCK, NULL));
  if (getuid() == 0) {
    child = NEED(fork());
    if (child == 0) {
      NEED(setgroups(0, NULL));
      NEED(setgid(54321));
      NEED(setuid(54321));
      OK(shmget(key, 0, 0400));
      TRY(shmget(key, 0, 0600));
      TRY(shmctl(id, IPC_RMID, NULL));
      TRY(shmctl(id, IPC_SET, &s));
      TRY(shmctl(id, SHM_LOCK, NULL));
      TRY(shmat(id, NULL, 0));
      IS(shmat(id, NULL, SHM_RDONLY) != (void *)-1);
      TRY(shmat(id, NULL, SHM_RDONLY | SHM_EXEC));
      _exit(0);
    }
    reap("other user", child);
  }

  /* removal waits for the last user, and the id still works */
  TRY(shmctl(id, IPC_RMID, NULL));
  show("removed", id);
  TRY(shmget(key, 0, 0));
  b = shmat(id, NULL, 0);
  IS(b != (void *)-1 && strcmp(b, "hello") == 0);
  TRY(shmctl(id, IPC_RMID, NULL));
  shmdt(b);
  show("one left", id);
  shmdt(a);
  show("gone", id);
  TRY(shmat(id, NULL, 0));
  id = shmget(IPC_PRIVATE, 4096, 0600);
  TRY(shmctl(id, IPC_RMID, NULL));
  show("gone at once", id);

  /* the last user ends */
  id = shmget(IPC_PRIVATE, 1 << 20, 0600);
  child = NEED(fork());
  if (child == 0) {
    char *c = shmat(id, NULL, 0);
    memset(c, 7, 1 << 20);
    shmctl(id, IPC_RMID, NULL);
    IS(c[(1 << 20) - 1] == 7);
    _exit(0);
  }
  reap("last user", child);
  show("gone with it", id);

  struct shminfo limits;
  IS(shmctl(0, IPC_INFO, (void *)&limits) >= 0);
  say("limits: max %lu min %lu mni %lu seg %lu all %lu", limits.shmmax, limits.shmmin, limits.shmmni, limits.shmseg,
      limits.shmall);
  struct shm_info usage;
  IS(shmctl(0, SHM_INFO, (void *)&usage) >= 0);
  TRY(shmctl(0, SHM_INFO, nowhere));
  return 0;
}
