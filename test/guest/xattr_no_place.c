/* Extended attributes of open files without a place: sockets have one that says what they are, the others none. */
#include "guest.h"
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/xattr.h>

static void ask(const char *kind, int fd) {
  char text[64] = {0};
  say("-- %s", kind);
  TRY(flistxattr(fd, text, sizeof text));
  say("names: %s", text);
  memset(text, 0, sizeof text);
  TRY(fgetxattr(fd, "system.sockprotoname", text, sizeof text));
  say("value: %s", text);
  TRY(fgetxattr(fd, "system.sockprotoname", text, 2));
  TRY(fsetxattr(fd, "system.sockprotoname", "x", 1, 0));
  TRY(fgetxattr(fd, "user.x", text, sizeof text));
  TRY(fsetxattr(fd, "user.x", "x", 1, 0));
  TRY(fremovexattr(fd, "user.x"));
  TRY(fsetxattr(fd, "trusted.x", "x", 1, 0));
  TRY(fsetxattr(fd, "security.x", "x", 1, 0));
  TRY(fgetxattr(fd, "security.selinux", text, sizeof text));
  TRY(fgetxattr(fd, "system.posix_acl_access", text, sizeof text));
  TRY(fsetxattr(fd, "nothing", "x", 1, 0));
}

int main(void) {
  int both[2];
  ask("stream", NEED(socket(AF_UNIX, SOCK_STREAM, 0)));
  ask("datagrams", NEED(socket(AF_UNIX, SOCK_DGRAM, 0)));
  NEED(pipe(both));
  ask("pipe", both[0]);
  ask("eventfd", NEED(eventfd(0, 0)));
  return 0;
}
