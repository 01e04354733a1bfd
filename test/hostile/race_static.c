/* Reads DIR/flip/secret over and over, while the host makes flip now a directory, now a link to elsewhere. */
#include "hostile.h"

int main(int argc, char **argv) {
  char path[512], content[64];
  if (argc < 2) return 2;
  snprintf(path, sizeof path, "%s/flip/secret", argv[1]);
  int64_t end = now_ms() + 2500;
  long seen = 0, missing = 0, leaks = 0;
  while (now_ms() < end) {
    int fd = open(path, seen % 2 ? O_RDONLY : O_RDWR);
    if (fd == -1) {
      missing++;
      continue;
    }
    ssize_t n = read(fd, content, sizeof content - 1);
    content[n < 0 ? 0 : n] = 0;
    if (strncmp(content, "inside", 6) == 0) seen++;
    else if (n > 0) leaks++;
    close(fd);
  }
  say("leaks: %ld, seen: %d, missing: %d", leaks, seen > 0, missing > 0);
  return 0;
}
