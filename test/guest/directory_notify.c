/* F_NOTIFY of fcntl(2): a signal when something happens in a directory. */
#include "guest.h"

static volatile int told, told_fd, told_code;
static void on_signal(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)context;
  told++, told_fd = info->si_fd, told_code = info->si_code;
}

int main(void) {
  scratch();
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  sigaction(SIGIO, &action, NULL), sigaction(SIGRTMIN + 1, &action, NULL);
  put("f", "data");
  NEED(mkdir("d", 0755));
  int file = NEED(open("f", O_RDONLY)), d = NEED(open("d", O_RDONLY));
  TRY(fcntl(file, F_NOTIFY, DN_CREATE));
  TRY(fcntl(file, F_NOTIFY, 0));
  TRY(fcntl(d, F_NOTIFY, DN_CREATE));
  put("d/x", "1");
  INT(told);
  put("d/y", "1");
  INT(told);
  TRY(fcntl(d, F_NOTIFY, DN_CREATE | DN_DELETE | DN_MULTISHOT));
  put("d/z", "1"), NEED(unlink("d/z")), put("d/zz", "1");
  INT(told);
  TRY(fcntl(d, F_NOTIFY, 0));
  put("d/zzz", "1");
  INT(told);
  TRY(fcntl(d, F_SETSIG, SIGRTMIN + 1));
  TRY(fcntl(d, F_NOTIFY, DN_ACCESS | DN_MODIFY | DN_RENAME | DN_MULTISHOT));
  TRY(fcntl(d, F_NOTIFY, DN_ATTRIB | DN_MULTISHOT));
  told = 0;
  get("d/x");
  INT(told);
  IS(told_fd == d), INT(told_code);
  put("d/x", "more");
  INT(told);
  NEED(rename("d/x", "d/w"));
  INT(told);
  NEED(chmod("d/w", 0600));
  INT(told);
  /* what happens to the directory itself counts, what happens further down does not */
  NEED(chmod("d", 0750)), NEED(mkdir("d/sub", 0755));
  put("d/sub/file", "1");
  INT(told);
  /* the close of the descriptor ends it, even if the file stays open */
  int copy = dup(d);
  close(copy);
  NEED(chmod("d/w", 0640));
  INT(told);
  return 0;
}
