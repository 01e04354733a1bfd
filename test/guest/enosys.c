#include "guest.h"

int main(void) {
  TRY(syscall(5000));
  TRY(syscall(0x7fffffff));
  TRY(syscall(-2));
  TRY(syscall(600));
  TRY(syscall(SYS_create_module));
  TRY(syscall(SYS_getpmsg));
  TRY(syscall(SYS_vserver));
  TRY(syscall(345)); /* in the gap between the tables */

  /* only the low half of the number counts */
  IS(syscall(SYS_getpid | 0x100000000) == getpid());
  return 0;
}
