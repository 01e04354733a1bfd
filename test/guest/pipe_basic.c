#include "guest.h"
#include <poll.h>
#include <sys/ioctl.h>

int main(void) {
  int fds[2];
  char buffer[100];
  TRY(pipe(fds));
  IS(fds[0] == 3 && fds[1] == 4);
  TRY(write(fds[1], "hello", 5));
  int available;
  TRY(ioctl(fds[0], FIONREAD, &available));
  INT(available);
  TRY(read(fds[0], buffer, 2));
  TRY(read(fds[0], buffer, 100));
  TRY(read(fds[1], buffer, 1));
  TRY(write(fds[0], "x", 1));
  TRY(lseek(fds[0], 0, SEEK_CUR));
  TRY(pread(fds[0], buffer, 1, 0));
  TRY(read(fds[0], buffer, 0));
  struct stat st;
  TRY(fstat(fds[0], &st));
  IS(S_ISFIFO(st.st_mode));
  say("mode: %o", st.st_mode & 07777);
  INT(st.st_size);
  TRY(ftruncate(fds[1], 0));
  TRY(fcntl(fds[0], F_GETFL));
  TRY(fcntl(fds[1], F_GETFL));

  struct pollfd p[2] = {{.fd = fds[0], .events = POLLIN | POLLOUT}, {.fd = fds[1], .events = POLLIN | POLLOUT}};
  poll(p, 2, 0);
  say("empty: %x %x", p[0].revents, p[1].revents);
  (void)!write(fds[1], "x", 1);
  poll(p, 2, 0);
  say("one byte: %x %x", p[0].revents, p[1].revents);
  close(fds[1]);
  p[1].fd = -1;
  poll(p, 2, 0);
  say("no writer: %x %x", p[0].revents, p[1].revents);
  TRY(read(fds[0], buffer, 10));
  TRY(read(fds[0], buffer, 10));
  poll(p, 2, 0);
  say("end: %x", p[0].revents);
  close(fds[0]);
  poll(p, 2, 0);
  say("closed: %x", p[0].revents);

  TRY(pipe2(fds, O_NONBLOCK | O_CLOEXEC));
  TRY(fcntl(fds[0], F_GETFD));
  TRY(fcntl(fds[0], F_GETFL) == (O_RDONLY | O_NONBLOCK));
  TRY(read(fds[0], buffer, 1));
  close(fds[0]);
  signal(SIGPIPE, SIG_IGN);
  TRY(write(fds[1], "x", 1));
  p[0] = (struct pollfd){.fd = fds[1], .events = POLLOUT};
  poll(p, 1, 0);
  say("no reader: %x", p[0].revents);
  TRY(pipe2(fds, 0x10));
  TRY(syscall(SYS_pipe, (int *)8));
  INT(open("/dev/null", O_RDONLY)); /* nothing leaked by the failed calls */
  return 0;
}
