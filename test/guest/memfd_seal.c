#include "guest.h"
#include <sys/mman.h>

int main(void) {
  int fd = memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  IS(fd >= 0);
  TRY(fcntl(fd, F_GETFD));
  TRY(write(fd, "content", 7));
  TRY(fcntl(fd, F_GET_SEALS));
  TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
  TRY(ftruncate(fd, 3));
  TRY(ftruncate(fd, 10));
  TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
  TRY(ftruncate(fd, 11));
  char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
  munmap(p, 4096);
  TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
  TRY(pwrite(fd, "x", 1, 0));
  TRY(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
  TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
  TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
  INT(fcntl(fd, F_GET_SEALS));
  int plain = memfd_create("plain", 0);
  TRY(fcntl(plain, F_ADD_SEALS, F_SEAL_GROW));
  TRY(fcntl(0x50, F_GET_SEALS));
  TRY(memfd_create("x", 0x1000));
  char path[64], target[64] = {0};
  snprintf(path, sizeof path, "/proc/self/fd/%d", plain);
  TRY(readlink(path, target, sizeof target - 1) > 0);
  say("%s", target);
  struct stat st;
  fstat(plain, &st);
  say("mode %o size %ld", st.st_mode, st.st_size);
  return 0;
}
