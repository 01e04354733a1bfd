/* Many threads, all kinds of calls at once: memory, files, pipes, signals, forks. Only totals are printed. */
#include "guest.h"
#include <pthread.h>
#include <sys/mman.h>

static volatile int signals;
static long bytes_written, bytes_read, maps, children, errors;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void on_signal(int signo) {
  (void)signo;
  __atomic_add_fetch(&signals, 1, __ATOMIC_SEQ_CST);
}

static void add(long *total, long n) {
  pthread_mutex_lock(&mutex);
  *total += n;
  pthread_mutex_unlock(&mutex);
}

static int pipes[2];

static void *writes(void *arg) {
  char block[200];
  memset(block, (int)(intptr_t)arg, sizeof block);
  long done = 0;
  for (int i = 0; i < 100; i++)
    for (size_t at = 0; at < sizeof block;) {
      ssize_t n = write(pipes[1], block + at, sizeof block - at);
      if (n > 0) at += n, done += n;
      else if (errno != EINTR) add(&errors, 1);
    }
  add(&bytes_written, done);
  return NULL;
}

static void *reads(void *arg) {
  char block[333];
  long want = (long)(intptr_t)arg, done = 0;
  while (done < want) {
    ssize_t n = read(pipes[0], block, want - done < (long)sizeof block ? (size_t)(want - done) : sizeof block);
    if (n > 0) done += n;
    else if (n == 0 || errno != EINTR) break;
  }
  add(&bytes_read, done);
  return NULL;
}

static void *maps_memory(void *arg) {
  (void)arg;
  for (int i = 0; i < 100; i++) {
    size_t size = (size_t)(i % 7 + 1) * 4096;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t at = 0; at < size; at += 4096) add(&errors, p[at] != 0), p[at] = 1;
    if (munmap(p, size) != 0) add(&errors, 1);
    add(&maps, 1);
  }
  return NULL;
}

static void *forks(void *arg) {
  (void)arg;
  for (int i = 0; i < 10; i++) {
    pid_t child = fork();
    if (child == 0) _exit(i);
    int status;
    while (waitpid(child, &status, 0) == -1 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != i) add(&errors, 1);
    add(&children, 1);
  }
  return NULL;
}

static void *opens_files(void *arg) {
  char name[32];
  snprintf(name, sizeof name, "file-%ld", (long)(intptr_t)arg);
  for (int i = 0; i < 50; i++) {
    int fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    char c = 0;
    if (fd == -1 || pwrite(fd, "x", 1, i) != 1 || pread(fd, &c, 1, i) != 1 || c != 'x' || close(fd) != 0) add(&errors, 1);
  }
  return NULL;
}

int main(void) {
  scratch();
  handle(SIGUSR1, on_signal, SA_RESTART);
  NEED(pipe(pipes));
  pthread_t threads[13];
  int n = 0;
  for (int i = 0; i < 3; i++) pthread_create(&threads[n++], NULL, writes, (void *)(intptr_t)i);
  for (int i = 0; i < 3; i++) pthread_create(&threads[n++], NULL, reads, (void *)20000);
  for (int i = 0; i < 3; i++) pthread_create(&threads[n++], NULL, maps_memory, NULL);
  for (int i = 0; i < 2; i++) pthread_create(&threads[n++], NULL, forks, NULL);
  for (int i = 0; i < 2; i++) pthread_create(&threads[n++], NULL, opens_files, (void *)(intptr_t)i);
  for (int i = 0; i < 50; i++) pthread_kill(pthread_self(), SIGUSR1), kill(getpid(), SIGUSR1);
  for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
  INT(bytes_written);
  INT(bytes_read);
  INT(maps);
  INT(children);
  INT(errors);
  IS(signals > 0);
  return 0;
}
