/*
 * Reads and writes of every size from call sites that are hot, so that a platform may have made them cheaper: the bytes are
 * right, no byte beside them changes, and what can't be copied is not.
 */
#include "guest.h"
#include <pthread.h>
#include <sys/mman.h>

#define OFTEN 40
#define ROOM (1 << 19)

static unsigned char in_data[ROOM + 4096], content[ROOM];
static unsigned char *heap;

static uint64_t sum(const unsigned char *bytes, size_t count) {
  uint64_t hash = 1469598103934665603u;
  for (size_t i = 0; i < count; i++) hash = (hash ^ bytes[i]) * 1099511628211u;
  return hash;
}

static const size_t SIZES[] = {1, 100, 4095, 4096, 8191, 8192, 8193, 16383, 16384, 16385, 20000, 40000, 65535, 65536, 65537, 262144, 262145, 300000};
#define COUNT (sizeof SIZES / sizeof *SIZES)

static void reads(const char *name, int fd, unsigned char *buffer) {
  uint64_t all = 0;
  int wrong = 0, spilt = 0, odd = 0;
  for (int round = 0; round < OFTEN; round++)
    for (size_t s = 0; s < COUNT; s++) {
      size_t size = SIZES[s], offset = (size_t)round * 1117 + s * 31, skip = (size_t)(round % 3) * 77;
      unsigned char *to = buffer + skip;
      memset(to, 0xee, 64), to[size] = 0xaa;
      ssize_t n = pread(fd, to, size, (off_t)offset);
      if (n != (ssize_t)(offset + size > ROOM ? ROOM - offset : size)) odd++;
      else if (memcmp(to, content + offset, (size_t)n) != 0) wrong++;
      if (to[size] != 0xaa) spilt++;
      all = all * 31 + sum(to, 100);
    }
  say("%s: odd counts %d, wrong %d, spilt %d, sum %lx", name, odd, wrong, spilt, all);
}

static void writes(const char *name, int fd, const unsigned char *buffer) {
  uint64_t all = 0;
  int odd = 0;
  for (int round = 0; round < OFTEN; round++) {
    if (ftruncate(fd, 0) != 0) odd++;
    for (size_t s = 0; s < COUNT; s++) {
      size_t offset = (size_t)round * 917 + s * 77;
      if (pwrite(fd, buffer + round + s, SIZES[s], (off_t)offset) != (ssize_t)SIZES[s]) odd++;
    }
    unsigned char *map = mmap(NULL, ROOM, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) all = all * 31 + sum(map, 300000), munmap(map, ROOM);
  }
  say("%s: odd counts %d, sum %lx", name, odd, all);
}

/* A file that ends before the buffer does: much room, few bytes. */
static void short_files(int fd) {
  int odd = 0, wrong = 0, spilt = 0;
  static const size_t lengths[] = {0, 1, 5000, 8192, 8193, 30000};
  for (int round = 0; round < OFTEN; round++)
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
      if (ftruncate(fd, 0) != 0 || pwrite(fd, content + round, lengths[l], 0) != (ssize_t)lengths[l]) odd++;
      unsigned char *buffers[] = {heap, in_data + round};
      for (int b = 0; b < 2; b++) {
        memset(buffers[b], 0xcc, 65536);
        if (pread(fd, buffers[b], 65536, 0) != (ssize_t)lengths[l]) odd++;
        if (memcmp(buffers[b], content + round, lengths[l]) != 0) wrong++;
        for (size_t i = lengths[l]; i < 65536; i++) spilt += buffers[b][i] != 0xcc;
      }
    }
  say("short files: odd %d, wrong %d, spilt %d", odd, wrong, spilt);
}

static void bad_ends(int fd) {
  unsigned char *memory = mmap(NULL, 4 * 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(memory + 65536, 65536);
  mprotect(memory + 2 * 65536, 65536, PROT_READ);
  int results[6] = {0};
  for (int round = 0; round < OFTEN; round++) {
    unsigned char *end = memory + 65536;
    results[0] += pread(fd, end - 20000, 40000, 0) == 20000;
    results[1] += pwrite(fd, end - 20000, 40000, 0) == 20000;
    results[2] += pread(fd, memory + 2 * 65536, 40000, 0) == -1 && errno == EFAULT;
    results[3] += pread(fd, end, 40000, 0) == -1 && errno == EFAULT;
    results[4] += pwrite(fd, end, 40000, 0) == -1 && errno == EFAULT;
    results[5] += pread(fd, memory + 3 * 65536 - 10, 40000, 0) == -1 && errno == EFAULT;
  }
  for (int i = 0; i < 6; i++) say("bad end %d: %d of %d", i, results[i], OFTEN);
}

/* Two threads, each with a file of its own, that write and read back. */
static void *back_and_forth(void *argument) {
  int fd = *(int *)argument, wrong = 0;
  unsigned char *mine = malloc(65536), *back = malloc(65536);
  for (int round = 0; round < 60; round++) {
    memset(mine, round + fd, 65536);
    if (pwrite(fd, mine, 65536, 4096 * (round % 5)) != 65536 || pread(fd, back, 65536, 4096 * (round % 5)) != 65536) wrong++;
    wrong += memcmp(mine, back, 65536) != 0;
  }
  return (void *)(long)wrong;
}

static void threads(int one, int other) {
  pthread_t thread;
  void *wrong;
  pthread_create(&thread, NULL, back_and_forth, &other);
  long own = (long)back_and_forth(&one);
  pthread_join(thread, &wrong);
  say("threads: wrong %ld %ld", own, (long)wrong);
}

static void appends(const char *path) {
  int fd = NEED(open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600)), odd = 0;
  for (int round = 0; round < OFTEN; round++)
    if (write(fd, content + round, 20000) != 20000 || lseek(fd, 0, SEEK_CUR) != 20000 * (round + 1)) odd++;
  lseek(fd, 0, SEEK_SET);
  int wrong = 0;
  for (int round = 0; round < OFTEN; round++)
    if (read(fd, heap, 20000) != 20000 || memcmp(heap, content + round, 20000) != 0) wrong++;
  say("appends: odd %d, wrong %d", odd, wrong);
  unlink(path);
  close(fd);
}

int main(void) {
  unsigned state = 7;
  for (size_t i = 0; i < ROOM; i++) content[i] = (unsigned char)((state = state * 1103515245 + 12345) >> 16);
  heap = malloc(ROOM + 4096);
  int memory = NEED(memfd_create("a", 0)), other = NEED(memfd_create("b", 0));
  int file = NEED(open("transfers", O_RDWR | O_CREAT | O_TRUNC, 0600));
  if (pwrite(memory, content, ROOM, 0) != ROOM || pwrite(file, content, ROOM, 0) != ROOM) return 1;
  unsigned char on_stack[1 << 19 | 4096];
  reads("memory to heap", memory, heap);
  reads("memory to data", memory, in_data);
  reads("memory to stack", memory, on_stack);
  reads("file to heap", file, heap);
  reads("file to data", file, in_data);
  memcpy(heap, content, ROOM);
  writes("heap to memory", memory, heap);
  writes("data to file", file, content);
  short_files(other);
  bad_ends(memory);
  threads(memory, other);
  appends("appended");
  unlink("transfers");
  return 0;
}
