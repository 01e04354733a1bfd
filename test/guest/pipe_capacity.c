/* How much fits, what a nonblocking write does when it does not, atomicity up to PIPE_BUF. */
#include "guest.h"
#include <sys/uio.h>

static char big[300000];

static long fill(int fd, size_t chunk) {
  long total = 0, n;
  while ((n = write(fd, big, chunk)) > 0) total += n;
  return total;
}

int main(void) {
  int fds[2];
  NEED(pipe2(fds, O_NONBLOCK));
  TRY(fcntl(fds[0], F_GETPIPE_SZ));
  INT(fill(fds[1], 4096));
  TRY(write(fds[1], "x", 1));
  TRY(read(fds[0], big, 4095));
  TRY(write(fds[1], big, 4096));
  TRY(read(fds[0], big, 1));
  TRY(write(fds[1], big, 4096));
  INT(read(fds[0], big, sizeof big));
  TRY(write(fds[1], big, sizeof big));
  TRY(read(fds[0], big, sizeof big));
  TRY(fcntl(fds[0], F_SETPIPE_SZ, 10000));
  INT(fill(fds[1], 4096));
  TRY(fcntl(fds[0], F_SETPIPE_SZ, 4096));
  TRY(read(fds[0], big, sizeof big));
  TRY(fcntl(fds[0], F_SETPIPE_SZ, 1));
  INT(fill(fds[1], 1000));
  TRY(fcntl(fds[0], F_SETPIPE_SZ, -1));
  while (read(fds[0], big, sizeof big) > 0) {
  }
  struct iovec iov[3] = {{"ab", 2}, {NULL, 0}, {"cde", 3}};
  TRY(writev(fds[1], iov, 3));
  char a[3] = {0}, b[9] = {0};
  struct iovec in[2] = {{a, 2}, {b, 8}};
  TRY(readv(fds[0], in, 2));
  say("%s %s", a, b);

  /* blocking: all of a large write arrives, whoever is slow */
  NEED(pipe(fds));
  pid_t child = NEED(fork());
  if (child == 0) {
    close(fds[0]);
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i % 251);
    _exit(write(fds[1], big, sizeof big) == sizeof big ? 0 : 1);
  }
  close(fds[1]);
  long total = 0, wrong = 0, n;
  char chunk[7001];
  while ((n = read(fds[0], chunk, sizeof chunk)) > 0)
    for (long i = 0; i < n; i++, total++) wrong += chunk[i] != (char)(total % 251);
  INT(total);
  INT(wrong);
  reap("writer", child);

  /* writes of at most PIPE_BUF by several processes do not mix */
  NEED(pipe(fds));
  for (int w = 0; w < 4; w++)
    if (NEED(fork()) == 0) {
      char record[500];
      memset(record, 'A' + w, sizeof record);
      for (int i = 0; i < 60; i++) (void)!write(fds[1], record, sizeof record);
      _exit(0);
    }
  close(fds[1]);
  long mixed = 0, records = 0;
  static char all[4 * 60 * 500];
  total = 0;
  while ((n = read(fds[0], all + total, 30000)) > 0) total += n;
  for (long at = 0; at + 500 <= total; at += 500, records++)
    for (int i = 1; i < 500; i++)
      if (all[at + i] != all[at]) {
        mixed++;
        break;
      }
  INT(records);
  INT(mixed);
  while (wait(NULL) > 0) {
  }
  return 0;
}
