/*
 * quotactl(2) of files that are no block devices. What a device says depends on what is mounted from it.
 */
#include "guest.h"
#include <sys/quota.h>

int main(void) {
  struct dqblk quota;
  void *into = &quota;
  scratch();
  put("file", "");
  TRY(quotactl(QCMD(Q_GETQUOTA, USRQUOTA), "nonesuch", 0, into));
  TRY(quotactl(QCMD(Q_GETQUOTA, USRQUOTA), "file", 0, into));
  TRY(quotactl(QCMD(Q_GETQUOTA, GRPQUOTA), "/dev/null", 0, into));
  TRY(quotactl(QCMD(Q_GETQUOTA, 9), "file", 0, into));
  TRY(quotactl(QCMD(Q_GETQUOTA, 9), NULL, 0, into));
  TRY(quotactl(QCMD(Q_GETQUOTA, USRQUOTA), NULL, 0, into));
  TRY(quotactl(QCMD(Q_GETQUOTA, USRQUOTA), (void *)1, 0, into));
  TRY(quotactl(QCMD(Q_SYNC, USRQUOTA), NULL, 0, NULL));
  TRY(quotactl(QCMD(Q_SYNC, USRQUOTA), "file", 0, NULL));
}
