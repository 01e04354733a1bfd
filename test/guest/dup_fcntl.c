#include "guest.h"
#include <sys/ioctl.h>
#include <sys/resource.h>

int main(void) {
  scratch();
  put("f", "0123456789");
  int fd = NEED(open("f", O_RDWR));
  INT(fd);
  int d = dup(fd);
  INT(d);
  TRY(dup2(fd, 10));
  TRY(dup2(fd, fd));
  TRY(dup2(99, 99));
  TRY(dup3(fd, fd, 0));
  TRY(dup3(fd, 11, O_CLOEXEC));
  TRY(dup3(fd, 12, O_APPEND));
  TRY(dup2(fd, -1));
  TRY(dup2(-1, 5));
  TRY(dup(50));
  TRY(fcntl(10, F_GETFD));
  TRY(fcntl(11, F_GETFD));
  /* the offset and the status flags are shared, the descriptor flags are not */
  char c;
  TRY(read(fd, &c, 1));
  TRY(lseek(d, 0, SEEK_CUR));
  TRY(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK));
  TRY(fcntl(10, F_GETFL) & (O_APPEND | O_NONBLOCK));
  TRY(fcntl(10, F_SETFD, FD_CLOEXEC));
  TRY(fcntl(fd, F_GETFD));
  TRY(fcntl(fd, F_DUPFD, 30));
  TRY(fcntl(fd, F_DUPFD, 30));
  TRY(fcntl(fd, F_DUPFD_CLOEXEC, 30));
  TRY(fcntl(32, F_GETFD));
  TRY(fcntl(fd, F_DUPFD, -1));
  TRY(fcntl(fd, 9999));
  TRY(fcntl(99, F_GETFD));
  int on = 1;
  TRY(ioctl(fd, FIOCLEX));
  TRY(fcntl(fd, F_GETFD));
  TRY(ioctl(fd, FIONCLEX));
  TRY(fcntl(fd, F_GETFD));
  on = 0;
  TRY(ioctl(fd, FIONBIO, &on));
  TRY(fcntl(fd, F_GETFL) & O_NONBLOCK);
  TRY(ioctl(fd, 0x12345678, 0));
  TRY(ioctl(99, FIONBIO, &on));
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = 40;
  TRY(setrlimit(RLIMIT_NOFILE, &limit));
  TRY(dup2(fd, 40));
  TRY(fcntl(fd, F_DUPFD, 40));
  int last = 0, n;
  while ((n = dup(fd)) != -1) last = n;
  say("dup: %s", errname(errno));
  INT(last);
  TRY(open("f", O_RDONLY));
  int fds[2];
  TRY(pipe(fds));
  TRY(close(20));
  TRY(close(20));
  TRY(dup(fd));
  TRY(close_range(15, 1000, 0));
  TRY(fcntl(15, F_GETFD));
  TRY(fcntl(14, F_GETFD) != -1);
  TRY(close_range(20, 10, 0));
  TRY(close_range(12, 13, CLOSE_RANGE_CLOEXEC));
  TRY(fcntl(13, F_GETFD));
  TRY(close(-1));
  return 0;
}
