/*
 * Processes in every state, while the suite kills their stubs on the host: they die as by SIGKILL, this one, whose stub is
 * spared, goes on. Ends when its standard input does.
 */
#include "hostile.h"
#include <poll.h>
#include <pthread.h>

enum { WORKERS = 6 };

static void *nothing(void *argument) { return argument; }

static void *wait_long(void *argument) {
  for (;;) pause();
  return argument;
}

static void on_signal(int signo) { (void)signo; }

static void work(uint64_t seed) {
  random_state = seed;
  handle(SIGUSR1, on_signal, 0);
  for (;;) {
    pthread_t thread;
    pid_t pid;
    int status, pair[2], word = 0;
    char *argv[] = {"true", NULL}, *page;
    switch (below(9)) {
    case 0:
      if (pthread_create(&thread, NULL, nothing, NULL) == 0) pthread_join(thread, NULL);
      break;
    case 1:
      page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      page[4096] = 1;
      munmap(page, 1 << 20);
      break;
    case 2:
      if ((pid = fork()) == 0) execv("/bin/true", argv);
      waitpid(pid, &status, 0);
      break;
    case 3:
      if ((pid = vfork()) == 0) {
        execv("/bin/true", argv);
        _exit(1);
      }
      waitpid(pid, &status, 0);
      break;
    case 4:
      kill(getpid(), SIGUSR1);
      break;
    case 5: /* a child that waits while its stub may be killed */
      NEED(pipe(pair));
      if ((pid = fork()) == 0) {
        read(pair[0], &word, 1);
        _exit(0);
      }
      sleep_ms((long)below(5));
      write(pair[1], "x", 1);
      close(pair[0]);
      close(pair[1]);
      waitpid(pid, &status, 0);
      break;
    case 6:
      for (int i = 0; i < 2000; i++) getppid();
      break;
    case 7: /* a process whose threads all sleep */
      if ((pid = fork()) == 0) {
        for (int i = 0; i < 3; i++) pthread_create(&thread, NULL, wait_long, NULL);
        wait_long(NULL);
      }
      sleep_ms((long)below(10));
      if (pid > 0) kill(pid, SIGKILL); /* fork fails if its stub is killed while it is made */
      waitpid(pid, &status, 0);
      break;
    case 8:
      for (volatile int i = 0; i < 1000000; i++) {
      }
      break;
    }
  }
}

int main(void) {
  only_in_the_sandbox();
  pid_t workers[WORKERS] = {0};
  uint64_t started = 0;
  int killed = 0, other = 0, status;
  say("first");
  sleep_ms(500); /* whoever is there now is spared */
  struct pollfd input = {0, POLLIN, 0};
  while (poll(&input, 1, 1) == 0) {
    for (int i = 0; i < WORKERS; i++) {
      if (workers[i] > 0 && waitpid(workers[i], &status, WNOHANG) == workers[i]) {
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) killed++;
        else if (other++ == 0) say("a worker ended with status %x", status);
        workers[i] = 0;
      }
      if (workers[i] > 0) continue;
      workers[i] = fork();
      if (workers[i] == 0) work(++started * 7919 + (uint64_t)i);
      started++;
    }
  }
  kill(-1, SIGKILL);
  while (wait(NULL) > 0) {
  }
  say("killed: %s, otherwise: %d", killed > 5 ? "many" : "few", other);
  say("alive");
  return 0;
}
