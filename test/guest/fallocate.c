/* fallocate(2): every mode on a filesystem that has them all, and every documented error. */
#include "guest.h"
#include <linux/falloc.h>
#include <sys/socket.h>
#include <sys/resource.h>
#include <sys/mman.h>

static void content(const char *name) {
  int fd = NEED(open("f", O_RDONLY));
  struct stat st;
  fstat(fd, &st);
  char line[200] = {0};
  int at = 0;
  for (off_t page = 0; page < st.st_size; page += 4096) {
    char c = 0;
    NEED(pread(fd, &c, 1, page));
    line[at++] = c == 0 ? '.' : c;
  }
  say("%s: size %ld [%s]", name, (long)st.st_size, line);
  close(fd);
}

static int fresh(int pages) {
  static char page[4096];
  int fd = NEED(open("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
  for (int i = 0; i < pages; i++) memset(page, 'a' + i, sizeof page), write(fd, page, sizeof page);
  return fd;
}

int main(void) {
  scratch();
  struct stat st;
  int fd = fresh(0);
  TRY(fallocate(fd, 0, 0, 8192));
  content("allocated");
  TRY(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65536));
  content("beyond the end");
  fstat(fd, &st);
  IS(st.st_blocks >= 65536 / 512);
  TRY(fallocate(fd, 0, 4096, 65536));
  content("extended");
  TRY(fallocate(fd, 0, 0, 0));
  TRY(fallocate(fd, 0, -1, 4096));
  TRY(fallocate(fd, 0, 0, -1));
  TRY(fallocate(fd, 0, INT64_MAX, 4096));
  TRY(fallocate(fd, 0, INT64_MAX - 4096, 4096));
  TRY(fallocate(fd, 0x1000, 0, 4096));
  TRY(fallocate(fd, 0x04, 0, 4096));
  TRY(fallocate(-1, 0, 0, 4096));
  TRY(fallocate(-1, 0x1000, 0, 0));
  int readable = NEED(open("f", O_RDONLY));
  TRY(fallocate(readable, 0, 0, 4096));
  TRY(fallocate(readable, 0, 0, 0));
  TRY(fallocate(readable, 0x1000, 0, 4096));
  int path = NEED(open("f", O_PATH));
  TRY(fallocate(path, 0, 0, 4096));
  int directory = NEED(open(".", O_RDONLY));
  TRY(fallocate(directory, 0, 0, 4096));
  int both[2];
  NEED(pipe(both));
  TRY(fallocate(both[1], 0, 0, 4096));
  TRY(fallocate(both[0], 0, 0, 4096));
  NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, both));
  TRY(fallocate(both[1], 0, 0, 4096));
  int null = NEED(open("/dev/null", O_RDWR));
  TRY(fallocate(null, 0, 0, 4096));
  /* holes */
  fd = fresh(6);
  TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
  TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192));
  content("punched");
  INT(lseek(fd, 0, SEEK_HOLE));
  INT(lseek(fd, 4096, SEEK_DATA));
  TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5 * 4096 + 1, 2));
  char three[4];
  pread(fd, three, 4, 5 * 4096);
  say("inside a page: %d %d %d %d", three[0], three[1], three[2], three[3]);
  TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 4096));
  content("punched beyond the end");
  TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE, 0, 4096));
  TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE | FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
  /* zeroes */
  fd = fresh(4);
  TRY(fallocate(fd, FALLOC_FL_ZERO_RANGE, 4096, 4096));
  content("zeroed");
  TRY(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 3 * 4096, 8192));
  content("zeroed, size kept");
  TRY(fallocate(fd, FALLOC_FL_ZERO_RANGE, 3 * 4096, 8192));
  content("zeroed, extended");
  /* collapse */
  fd = fresh(6);
  NEED(lseek(fd, 4096, SEEK_SET));
  TRY(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 4096, 8192));
  content("collapsed");
  INT(lseek(fd, 0, SEEK_CUR));
  TRY(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 100));
  TRY(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 100, 4096));
  TRY(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4 * 4096));
  TRY(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 3 * 4096, 4096));
  TRY(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 8 * 4096, 4096));
  TRY(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  TRY(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE, 0, 4096));
  content("still");
  TRY(ftruncate(fd, 4 * 4096 - 100));
  TRY(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 4096, 4096));
  content("collapsed with a partial page");
  TRY(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 8192, 4096));
  /* insert */
  fd = fresh(4);
  TRY(fallocate(fd, FALLOC_FL_INSERT_RANGE, 4096, 8192));
  content("inserted");
  INT(lseek(fd, 0, SEEK_HOLE));
  INT(lseek(fd, 4096, SEEK_DATA));
  TRY(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096));
  content("inserted at the start");
  TRY(fallocate(fd, FALLOC_FL_INSERT_RANGE, 7 * 4096, 4096));
  TRY(fallocate(fd, FALLOC_FL_INSERT_RANGE, 8 * 4096, 4096));
  TRY(fallocate(fd, FALLOC_FL_INSERT_RANGE, 100, 4096));
  TRY(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 100));
  TRY(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 1L << 60));
  TRY(fallocate(fd, FALLOC_FL_INSERT_RANGE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  /* unshare, which needs nothing where nothing is shared */
  TRY(fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, 4096));
  TRY(fallocate(fd, FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  TRY(fallocate(fd, FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  content("at last");
  /* append-only descriptors and seals */
  int append = NEED(open("f", O_WRONLY | O_APPEND));
  TRY(fallocate(append, 0, 0, 4096));
  /* limits */
  struct rlimit limit = {65536, 65536};
  signal(SIGXFSZ, SIG_IGN);
  NEED(setrlimit(RLIMIT_FSIZE, &limit));
  TRY(fallocate(fd, 0, 0, 65537));
  TRY(fallocate(fd, 0, 0, 65536));
  TRY(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20));
  TRY(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 65536));
  TRY(posix_fallocate(fd, 0, 4096));
  TRY(posix_fallocate(fd, -1, 4096));
  TRY(posix_fallocate(fd, 0, 0));
  TRY(posix_fallocate(readable, 0, 1));
  TRY(posix_fallocate(99, 0, 1));
  /* tmpfs */
  int memory = NEED(memfd_create("m", 0));
  TRY(fallocate(memory, 0, 0, 8192));
  TRY(fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  TRY(fallocate(memory, FALLOC_FL_ZERO_RANGE, 0, 4096));
  TRY(fallocate(memory, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
  TRY(fallocate(memory, FALLOC_FL_INSERT_RANGE, 0, 4096));
  TRY(fallocate(memory, FALLOC_FL_UNSHARE_RANGE, 0, 4096));
  TRY(fallocate(memory, FALLOC_FL_KEEP_SIZE, 8192, 4096));
  fstat(memory, &st);
  INT(st.st_size);
  return 0;
}
