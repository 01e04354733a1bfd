/* Leases, fcntl(2): who may have which, what breaks them, and who is told. */
#include "guest.h"

static volatile int told, told_fd, told_code;
static void on_signal(int signo, siginfo_t *info, void *context) {
  (void)signo, (void)context;
  told++, told_fd = info->si_fd, told_code = info->si_code;
}

static void letting_go(int fd) {
  /* another process opens the file and waits until the holder gives way */
  told = 0;
  int64_t began = now_ms();
  pid_t child = NEED(fork());
  if (child == 0) {
    int other = open("f", O_WRONLY);
    say("the other's open: %s", other == -1 ? errname(errno) : "ok");
    _exit(0);
  }
  while (told == 0) sleep_ms(5);
  INT(fcntl(fd, F_GETLEASE));
  sleep_ms(50);
  TRY(fcntl(fd, F_SETLEASE, F_UNLCK));
  reap("the other", child);
  IS(now_ms() - began < 20000);
}

int main(void) {
  scratch();
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigaction(SIGIO, &action, NULL), sigaction(SIGRTMIN + 1, &action, NULL);
  put("f", "data");
  int reader = NEED(open("f", O_RDONLY));
  TRY(fcntl(reader, F_GETLEASE));
  TRY(fcntl(reader, F_SETLEASE, F_WRLCK));
  TRY(fcntl(reader, F_GETLEASE));
  TRY(fcntl(reader, F_SETLEASE, F_RDLCK));
  TRY(fcntl(reader, F_GETLEASE));
  TRY(fcntl(reader, F_SETLEASE, F_UNLCK));
  TRY(fcntl(reader, F_SETLEASE, F_UNLCK));
  TRY(fcntl(reader, F_SETLEASE, 77));
  int writer = NEED(open("f", O_RDWR));
  TRY(fcntl(reader, F_SETLEASE, F_RDLCK));
  TRY(fcntl(writer, F_SETLEASE, F_RDLCK));
  TRY(fcntl(writer, F_SETLEASE, F_WRLCK));
  close(reader);
  TRY(fcntl(writer, F_SETLEASE, F_WRLCK));
  TRY(fcntl(writer, F_GETLEASE));
  INT(fcntl(writer, F_GETOWN) == getpid());
  /* a reader who does not wait has the holder told all the same */
  TRY(open("f", O_RDONLY | O_NONBLOCK));
  INT(told);
  TRY(fcntl(writer, F_GETLEASE));
  TRY(open("f", O_RDONLY | O_NONBLOCK));
  INT(told);
  TRY(open("f", O_RDWR | O_NONBLOCK));
  INT(told);
  TRY(fcntl(writer, F_GETLEASE));
  TRY(fcntl(writer, F_SETLEASE, F_RDLCK));
  TRY(fcntl(writer, F_SETLEASE, F_UNLCK));
  TRY(fcntl(writer, F_GETLEASE));
  int other = NEED(open("f", O_RDONLY | O_NONBLOCK));
  close(writer), close(other);
  /* several read leases; F_SETSIG */
  reader = NEED(open("f", O_RDONLY));
  other = NEED(open("f", O_RDONLY));
  TRY(fcntl(reader, F_SETSIG, SIGRTMIN + 1));
  TRY(fcntl(reader, F_SETLEASE, F_RDLCK));
  TRY(fcntl(other, F_SETLEASE, F_RDLCK));
  TRY(fcntl(other, F_SETLEASE, F_WRLCK));
  TRY(fcntl(other, F_SETLEASE, F_UNLCK));
  told = 0;
  OK(open("f", O_RDONLY));
  INT(told);
  close(other);
  letting_go(reader);
  IS(told_fd == reader), INT(told_code);
  close(reader);
  /* the last close ends a lease; a duplicate keeps it */
  reader = NEED(open("f", O_RDONLY));
  TRY(fcntl(reader, F_SETLEASE, F_RDLCK));
  int copy = dup(reader);
  close(reader);
  TRY(fcntl(copy, F_GETLEASE));
  TRY(open("f", O_WRONLY | O_NONBLOCK));
  close(copy);
  OK(open("f", O_WRONLY | O_NONBLOCK));
  /* what cannot be leased, and by whom */
  int both[2];
  NEED(pipe(both));
  TRY(fcntl(both[0], F_SETLEASE, F_RDLCK));
  TRY(fcntl(NEED(open(".", O_RDONLY)), F_SETLEASE, F_RDLCK));
  TRY(fcntl(NEED(open("/dev/null", O_RDONLY)), F_SETLEASE, F_RDLCK));
  TRY(fcntl(999, F_SETLEASE, F_RDLCK));
  TRY(fcntl(NEED(open("f", O_PATH)), F_SETLEASE, F_RDLCK));
  put("g", "another");
  reader = NEED(open("g", O_RDONLY));
  NEED(setgid(1000)), NEED(setuid(1000));
  TRY(fcntl(reader, F_SETLEASE, F_RDLCK));
  return 0;
}
