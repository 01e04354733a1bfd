/* fcntl(2): what its commands refuse; locks with odd ranges; hints, seals, sizes and queries. */
#include "guest.h"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/mman.h>
#include <sys/uio.h>

int main(void) {
  scratch();
  put("f", "data");
  int r = NEED(open("f", O_RDONLY)), p[2];
  NEED(pipe(p));
  /* misc */
  TRY(fcntl(r, 9999));
  TRY(fcntl(r, F_DUPFD, -1));
  TRY(fcntl(r, F_DUPFD, 1 << 30));
  TRY(fcntl(r, F_SETFD, 77)); TRY(fcntl(r, F_GETFD));
  TRY(fcntl(r, F_SETOWN, 1 << 30));
  TRY(fcntl(r, F_SETOWN, INT_MIN));
  TRY(fcntl(r, F_SETOWN, -(1 << 30)));
  TRY(fcntl(r, F_SETSIG, 65));
  TRY(fcntl(r, F_SETSIG, -1));
  TRY(fcntl(r, F_SETSIG, 64));  TRY(fcntl(r, F_GETSIG));
  TRY(fcntl(r, F_GETPIPE_SZ)); TRY(fcntl(p[0], F_GETPIPE_SZ));
  TRY(fcntl(p[0], F_SETPIPE_SZ, 0));
  TRY(fcntl(p[0], F_SETPIPE_SZ, 1));
  TRY(fcntl(p[0], F_SETPIPE_SZ, 4097));
  TRY(fcntl(p[0], F_SETPIPE_SZ, 1 << 31));
  TRY(fcntl(p[0], F_SETPIPE_SZ, (1u << 31) + 1));
  TRY(fcntl(p[0], F_SETPIPE_SZ, 1 << 20)); 
  uint64_t hint = 77;
  TRY(fcntl(r, F_GET_RW_HINT, &hint)); INT(hint);
  hint = 3;
  TRY(fcntl(r, F_SET_RW_HINT, &hint));
  hint = 77;
  TRY(fcntl(r, F_GET_RW_HINT, &hint));
  INT(hint);
  hint = 9; TRY(fcntl(r, F_SET_RW_HINT, &hint));
  TRY(fcntl(r, F_SET_RW_HINT, 1)); TRY(fcntl(r, F_GET_RW_HINT, 1));
  TRY(fcntl(r, F_GET_FILE_RW_HINT, &hint)); TRY(fcntl(r, F_SET_FILE_RW_HINT, &hint));
  TRY(fcntl(p[0], F_GET_RW_HINT, &hint)); hint = 2; TRY(fcntl(p[0], F_SET_RW_HINT, &hint));
  TRY(fcntl(r, F_GET_SEALS)); TRY(fcntl(r, F_ADD_SEALS, 1)); TRY(fcntl(p[0], F_GET_SEALS));
  TRY(fcntl(r, 1030 /* F_DUPFD_CLOEXEC */, 100)); TRY(fcntl(100, F_GETFD));
  TRY(fcntl(r, 1027, r)); TRY(fcntl(r, 1027, p[0])); TRY(fcntl(r, 1027, 999));
  TRY(fcntl(r, 1028));
  int c = open("cq", O_CREAT | O_RDWR, 0600);
  TRY(fcntl(c, 1028));
  close(c);
  c = open("cq", O_CREAT | O_RDWR, 0600);
  TRY(fcntl(c, 1028));
  /* locks */
  int l = NEED(open("f", O_RDWR));
  struct flock fl = {F_WRLCK, SEEK_SET, 0, 10, 5};
  TRY(fcntl(l, F_SETLK, &fl)); TRY(fcntl(l, F_OFD_SETLK, &fl));
  fl.l_pid = 0; TRY(fcntl(l, F_OFD_SETLK, &fl));
  fl.l_type = 7; TRY(fcntl(l, F_SETLK, &fl));
  fl = (struct flock){F_WRLCK, 7, 0, 10}; TRY(fcntl(l, F_SETLK, &fl));
  fl = (struct flock){F_WRLCK, SEEK_SET, -1, 10}; TRY(fcntl(l, F_SETLK, &fl));
  fl = (struct flock){F_WRLCK, SEEK_SET, 5, -10}; TRY(fcntl(l, F_SETLK, &fl));
  fl = (struct flock){F_WRLCK, SEEK_SET, 15, -10}; TRY(fcntl(l, F_SETLK, &fl));
  fl = (struct flock){F_WRLCK, SEEK_SET, INT64_MAX, 10}; TRY(fcntl(l, F_SETLK, &fl));
  fl = (struct flock){F_WRLCK, SEEK_SET, INT64_MAX, 0}; TRY(fcntl(l, F_SETLK, &fl));
  fl = (struct flock){F_WRLCK, SEEK_CUR, INT64_MIN, 0}; TRY(fcntl(l, F_SETLK, &fl));
  fl = (struct flock){F_WRLCK, SEEK_END, INT64_MAX, 10}; TRY(fcntl(l, F_SETLK, &fl));
  fl = (struct flock){F_WRLCK, SEEK_SET, 0, 10}; TRY(fcntl(r, F_SETLK, &fl));
  int wo = NEED(open("f", O_WRONLY));
  fl = (struct flock){F_RDLCK, SEEK_SET, 0, 10};
  TRY(fcntl(wo, F_SETLK, &fl));
  TRY(fcntl(l, F_SETLK, 1)); TRY(fcntl(l, F_GETLK, 1));
  fl = (struct flock){F_UNLCK, SEEK_SET, 0, 10};
  TRY(fcntl(l, F_GETLK, &fl));
  TRY(fcntl(p[0], F_SETLK, &fl));
  TRY(fcntl(l, F_OFD_GETLK, &fl));
  TRY(flock(l, 0));
  TRY(flock(l, LOCK_NB));
  TRY(flock(l, LOCK_SH | LOCK_EX));
  TRY(flock(l, 77));
  TRY(flock(l, LOCK_MAND | LOCK_READ));
  TRY(flock(p[0], LOCK_EX));
  TRY(flock(999, LOCK_SH));
  TRY(flock(wo, LOCK_SH | LOCK_NB));
  TRY(flock(l, LOCK_EX | LOCK_NB));TRY(flock(wo, LOCK_UN));
  TRY(flock(l, LOCK_EX | LOCK_NB));
  TRY(flock(l, LOCK_SH | LOCK_NB));
  return 0;
}
