#include "guest.h"
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct io {
  long rchar, wchar, syscr, syscw;
};

/* The counts, without this reading itself. */
static struct io now(int fd) {
  char text[512];
  struct io io = {0};
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  text[n < 0 ? 0 : n] = 0;
  sscanf(text, "rchar: %ld\nwchar: %ld\nsyscr: %ld\nsyscw: %ld", &io.rchar, &io.wchar, &io.syscr, &io.syscw);
  /* what it read counts from the next time on */
  static long extra, calls;
  io.rchar -= extra;
  io.syscr -= calls;
  extra += n;
  calls++;
  return io;
}

static struct io before;
#define COUNTED(call)                                                                                                  \
  ({                                                                                                                   \
    before = now(fd);                                                                                                  \
    long result_ = (long)(call);                                                                                       \
    int error_ = errno;                                                                                                \
    struct io after_ = now(fd);                                                                                        \
    errno = error_;                                                                                                    \
    say_result(#call, result_);                                                                                        \
    say("read %ld in %ld, written %ld in %ld", after_.rchar - before.rchar, after_.syscr - before.syscr,              \
        after_.wchar - before.wchar, after_.syscw - before.syscw);                                                     \
  })

static long value_of(const char *path, const char *key) {
  const char *text = strstr(get(path), key);
  return text == NULL ? -1 : atol(text + strlen(key) + 1);
}

int main(void) {
  scratch();
  int fd = NEED(open("/proc/self/io", O_RDONLY)), pipes[2], pair[2];
  char buffer[100] = {0};
  struct iovec parts[2] = {{buffer, 10}, {buffer + 10, 20}};
  int file = NEED(open("file", O_RDWR | O_CREAT, 0644)), other = NEED(open("other", O_RDWR | O_CREAT, 0644));
  NEED(pipe2(pipes, O_NONBLOCK));
  NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  COUNTED(getppid() > 0);
  COUNTED(write(file, buffer, 100));
  COUNTED(pwrite(file, buffer, 7, 50));
  COUNTED(writev(file, parts, 2));
  COUNTED(write(file, buffer, 0));
  COUNTED(lseek(file, 0, SEEK_SET));
  COUNTED(read(file, buffer, 33));
  COUNTED(readv(file, parts, 2));
  COUNTED(pread(file, buffer, 100, 120));
  COUNTED(pread(file, buffer, 100, 1200));
  COUNTED(read(-1, buffer, 100));
  COUNTED(read(pipes[0], buffer, 100));
  COUNTED(write(pipes[1], buffer, 5));
  COUNTED(read(pipes[0], buffer, 100));
  COUNTED(write(pair[0], buffer, 6));
  COUNTED(read(pair[1], buffer, 100));
  COUNTED(send(pair[0], buffer, 6, 0));
  COUNTED(recv(pair[1], buffer, 100, 0));
  lseek(file, 0, SEEK_SET);
  COUNTED(sendfile(other, file, NULL, 30));
  COUNTED(copy_file_range(file, NULL, other, NULL, 30, 0));
  COUNTED(splice(file, NULL, pipes[1], NULL, 10, 0));
  pid_t child;
  COUNTED(({
    child = NEED(fork());
    if (child == 0) {
      write(file, buffer, 60);
      _exit(0);
    }
    waitpid(child, NULL, 0) == child;
  }));
  IS(value_of("/proc/thread-self/io", "wchar") < value_of("/proc/self/io", "wchar"));

  struct rusage start, end;
  getrusage(RUSAGE_SELF, &start);
  long waits = value_of("/proc/self/status", "\nvoluntary_ctxt_switches");
  for (int i = 0; i < 10; i++) sleep_ms(10);
  getrusage(RUSAGE_SELF, &end);
  IS(end.ru_nvcsw - start.ru_nvcsw >= 10);
  IS(value_of("/proc/self/status", "\nvoluntary_ctxt_switches") - waits >= 10);
  child = NEED(fork());
  if (child == 0) {
    for (int i = 0; i < 10; i++) sleep_ms(10);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  getrusage(RUSAGE_CHILDREN, &end);
  IS(end.ru_nvcsw >= 10);
  return 0;
}
