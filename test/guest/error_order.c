/* Which of several errors a call finds first, and locks on files that are not on disk. Found by generated programs. */
#include "guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

int main(void) {
  scratch();
  int pair[2], sockets[2];
  const char *bad = (const char *)8;
  NEED(pipe(pair));
  NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
  int file = NEED(open("file", O_CREAT | O_RDWR, 0644));
  int event = NEED(eventfd(0, 0));
  off_t offset = 0;

  say("an empty path before the directory");
  TRY(mkdirat(99, "", 0755));
  TRY(mkdirat(file, "", 0755));
  TRY(openat(99, "", O_RDONLY));
  TRY(unlinkat(99, "", 0));
  TRY(linkat(99, "", AT_FDCWD, "x", 0));

  say("the old name before the new");
  TRY(renameat(AT_FDCWD, "no/a", AT_FDCWD, bad));
  TRY(renameat(AT_FDCWD, "no/a", 99, "a"));
  TRY(renameat(AT_FDCWD, "file/a", file, "a"));
  TRY(renameat(AT_FDCWD, "nothing", 99, "a"));

  say("sendfile: the source first");
  TRY(sendfile(99, pair[0], &offset, 1));
  TRY(sendfile(99, 98, (off_t *)bad, 1));
  TRY(sendfile(99, file, NULL, -1));
  TRY(sendfile(99, file, NULL, 1));
  TRY(sendfile(pair[1], sockets[0], &offset, 1));

  say("accept4, epoll_wait: the descriptor first");
  TRY(accept4(99, NULL, NULL, 7));
  TRY(accept4(file, NULL, NULL, 7));
  struct epoll_event events[1];
  TRY(epoll_wait(99, events, 0, 0));
  TRY(epoll_wait(file, events, 0, 0));
  TRY(epoll_wait(file, events, 1, 0));

  say("positions that no file has");
  struct iovec vector = {events, sizeof events};
  TRY(syscall(SYS_preadv2, 99, &vector, 1, -2L, 0, 0));
  TRY(syscall(SYS_pwritev2, 99, &vector, 1, -2L, 0, 0));

  say("types of sockets that don't exist");
  TRY(socket(AF_UNIX, 13, 0));
  TRY(socket(45, 13, 0));
  TRY(socket(46, 13, 0));
  TRY(socket(AF_UNIX, 7, 0));
  TRY(socket(AF_UNIX, 13, 9));

  say("vmsplice of nothing");
  TRY(vmsplice(99, &vector, 0, 0));
  TRY(vmsplice(file, &vector, 0, 0));
  TRY(vmsplice(file, &vector, 1, 0));

  say("locks");
  int others[] = {pair[0], sockets[0], event};
  for (int i = 0; i < 3; i++) {
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    TRY(flock(others[i], LOCK_EX | LOCK_NB));
    TRY(flock(others[i], LOCK_UN));
    if (i != 0) TRY(fcntl(others[i], F_SETLK, &lock));
    lock.l_type = F_UNLCK;
    TRY(fcntl(others[i], F_SETLK, &lock));
    TRY(close(others[i]));
  }
  return 0;
}
