/* Descriptors after fork: one offset, separate tables. */
#include "guest.h"

int main(void) {
  scratch();
  put("f", "abcdefghij");
  int fd = NEED(open("f", O_RDWR));
  char c;
  (void)!read(fd, &c, 1);
  pid_t child = NEED(fork());
  if (child == 0) {
    (void)!read(fd, &c, 1);
    say("child reads %c", c);
    lseek(fd, 5, SEEK_SET);
    close(fd);
    fcntl(1, F_SETFD, FD_CLOEXEC);
    _exit(0);
  }
  reap("child", child);
  TRY(fcntl(1, F_GETFD));
  (void)!read(fd, &c, 1);
  say("parent reads %c", c);
  /* O_APPEND by two writers */
  for (int w = 0; w < 2; w++)
    if (NEED(fork()) == 0) {
      int own = NEED(open("log", O_WRONLY | O_APPEND | O_CREAT, 0644));
      for (int i = 0; i < 50; i++) (void)!write(own, w ? "bb\n" : "aa\n", 3);
      _exit(0);
    }
  while (wait(NULL) > 0) {
  }
  char text[400] = {0};
  int log = NEED(open("log", O_RDONLY));
  INT(read(log, text, sizeof text));
  int a = 0, b = 0;
  for (char *p = text; *p; p += 3) a += strncmp(p, "aa\n", 3) == 0, b += strncmp(p, "bb\n", 3) == 0;
  say("%d %d", a, b);
  /* an open file without a name */
  TRY(unlink("f"));
  TRY(pread(fd, text, 10, 0));
  struct stat st;
  fstat(fd, &st);
  INT(st.st_nlink);
  return 0;
}
