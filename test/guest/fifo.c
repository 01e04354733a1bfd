#include "guest.h"
#include <poll.h>

int main(void) {
  scratch();
  TRY(mkfifo("f", 0600));
  TRY(mkfifo("f", 0600));
  struct stat st;
  stat("f", &st);
  IS(S_ISFIFO(st.st_mode));
  TRY(open("f", O_WRONLY | O_NONBLOCK));
  int r = NEED(open("f", O_RDONLY | O_NONBLOCK));
  char c;
  TRY(read(r, &c, 1));
  int w = NEED(open("f", O_WRONLY));
  TRY(read(r, &c, 1));
  TRY(write(w, "x", 1));
  TRY(read(r, &c, 1));
  close(w);
  TRY(read(r, &c, 1));
  struct pollfd p = {.fd = r, .events = POLLIN};
  poll(&p, 1, 0);
  say("hung up: %x", p.revents);
  close(r);
  /* open blocks until both ends are there */
  pid_t child = NEED(fork());
  if (child == 0) {
    int fd = NEED(open("f", O_WRONLY));
    (void)!write(fd, "from child", 10);
    _exit(0);
  }
  r = NEED(open("f", O_RDONLY));
  char text[20] = {0};
  TRY(read(r, text, 10));
  say("%s", text);
  reap("child", child);
  close(r);
  int rw = NEED(open("f", O_RDWR));
  TRY(write(rw, "y", 1));
  TRY(read(rw, &c, 1));
  TRY(unlink("f"));
  TRY(write(rw, "z", 1));
  return 0;
}
