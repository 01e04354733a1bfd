#include "guest.h"
#include <setjmp.h>

static sigjmp_buf back;
static jmp_buf plain;
static int signal_number;

static void jump(int signo) {
  signal_number = signo;
  siglongjmp(back, signo);
}

static void jump_plain(int signo) {
  longjmp(plain, signo);
}

int main(void) {
  handle(SIGUSR1, jump, 0);
  for (int i = 0; i < 3; i++) {
    int r = sigsetjmp(back, 1);
    if (r == 0) raise(SIGUSR1);
    else say("jumped: %d", r);
  }
  /* without restoring the mask the signal stays blocked */
  handle(SIGUSR2, jump_plain, 0);
  if (setjmp(plain) == 0) raise(SIGUSR2);
  sigset_t set;
  sigprocmask(SIG_BLOCK, NULL, &set);
  IS(sigismember(&set, SIGUSR2));
  IS(sigismember(&set, SIGUSR1));
  /* out of a blocking call */
  handle(SIGALRM, jump, SA_RESTART);
  int fds[2];
  NEED(pipe(fds));
  if (sigsetjmp(back, 1) == 0) {
    ualarm(20000, 0);
    char c;
    TRY(read(fds[0], &c, 1));
  }
  INT(signal_number);
  TRY(write(fds[1], "x", 1));
  return 0;
}
