/* What calls copy in and out, from call sites that have been used often: good memory, bad memory, and both at once. */
#include "guest.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>

enum { OFTEN = 100, PAGE = 4096, SIZE = 3 * PAGE };

static int file;
static char *good; /* a page, and behind it one without access */
static char *readable;
static char *bytes; /* SIZE bytes that differ from their neighbours */
static volatile int ticks;

static void on_tick(int signal) { ticks += signal == SIGALRM; }

/* The last of many calls, which has the same arguments as the others. */
#define LAST(call)                               \
  ({                                             \
    long last_ = 0;                              \
    for (int i_ = 0; i_ < OFTEN; i_++) last_ = (call); \
    last_;                                       \
  })
#define TELL(call) say_result(#call, LAST(call))

static int same(const char *buffer, long from, long length) { return length >= 0 && memcmp(buffer, bytes + from, (size_t)length) == 0; }

static void paths(void) {
  struct stat st;
  char longest[5000];
  strcpy(good + PAGE - 2, "/");
  TELL(access(good + PAGE - 2, F_OK));
  good[PAGE - 1] = '/';
  TELL(access(good + PAGE - 2, F_OK));
  TELL(access(NULL, F_OK));
  TELL(access("", F_OK));
  TELL(access((char *)-1, F_OK));
  memset(longest, '/', sizeof longest);
  strcpy(longest + 1000, "tmp");
  TELL(access(longest, F_OK));
  memset(longest, '/', sizeof longest);
  longest[sizeof longest - 1] = 0;
  TELL(access(longest, F_OK));
  strcpy(longest, "/proc/self");
  TELL(stat(longest, &st));
  IS(S_ISDIR(st.st_mode));
  TELL(stat("/", (struct stat *)readable));
  TELL(stat("/", NULL));
  TELL(fstat(file, (struct stat *)(good + PAGE - 8)));
  st.st_size = 0;
  TELL(fstat(file, &st));
  say("size %ld", (long)st.st_size);
}

static void writes(void) {
  char back[16];
  TELL(pwrite(file, bytes, SIZE, 0));
  memcpy(good + PAGE - 5, "final", 5);
  TELL(pwrite(file, good + PAGE - 5, 5, 7));
  TELL(pwrite(file, good + PAGE - 5, 6, 7));
  TELL(pwrite(file, good + PAGE, 1, 7));
  TELL(pwrite(file, NULL, 1, 7));
  TELL(pwrite(file, NULL, 0, 7));
  TELL(pread(file, back, sizeof back, 0));
  say("%.7s %.5s %d", same(back, 0, 7) ? "begins" : "other", back + 7, same(back + 12, 12, 4));
  TELL(pwrite(file, bytes, SIZE, 0));
}

static void reads(void) {
  char small[9] = "";
  char *large = malloc(SIZE);
  TELL(pread(file, small, 8, 3));
  IS(same(small, 3, 8));
  TELL(pread(file, large, SIZE, 0));
  IS(same(large, 0, SIZE));
  TELL(pread(file, large, PAGE, 5));
  IS(same(large, 5, PAGE));
  TELL(pread(file, large, PAGE + 1, 5));
  IS(same(large, 5, PAGE + 1));
  memset(good, 0, PAGE);
  TELL(pread(file, good + PAGE - 8, 8, 1));
  IS(same(good + PAGE - 8, 1, 8));
  TELL(pread(file, good + PAGE - 8, 16, 2));
  TELL(pread(file, good + PAGE, 8, 2));
  TELL(pread(file, readable, 8, 2));
  TELL(pread(file, NULL, 8, 2));
  TELL(pread(file, bytes, 8, 0)); // where it came from
  struct iovec vector[2] = {{small, 4}, {large, 4}};
  TELL(preadv(file, vector, 2, 10));
  IS(same(small, 10, 4) && same(large, 14, 4));
  free(large);
}

/* A page that nobody has touched, and one that is a child's to write. */
static void fresh_pages(void) {
  int right = 0;
  for (int i = 0; i < OFTEN; i++) {
    char *fresh = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    right += pread(file, fresh + 9, 100, i) == 100 && same(fresh + 9, i, 100) && fresh[8] == 0 && fresh[109] == 0;
    munmap(fresh, PAGE);
  }
  INT(right);
  char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t child = NEED(fork());
  if (child == 0) {
    LAST(pread(file, bytes + 1, 1, 0));
    LAST(pread(file, shared, 64, 0));
    _exit(bytes[1] != bytes[0]);
  }
  int status;
  waitpid(child, &status, 0);
  say("child %d, %d", WEXITSTATUS(status), same(shared, 0, 64));
}

/* Each call is right, whatever interrupts it. */
static void interrupted(void) {
  struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
  int wrong = 0;
  char buffer[64];
  signal(SIGALRM, on_tick);
  NEED(setitimer(ITIMER_REAL, &often, NULL));
  for (long i = 0; ticks < 200; i = (i + 1) % 1000) wrong += pread(file, buffer, sizeof buffer, i) != sizeof buffer || !same(buffer, i, sizeof buffer);
  NEED(setitimer(ITIMER_REAL, &never, NULL));
  INT(wrong);
}

static void *reader(void *argument) {
  long wrong = 0;
  char buffer[64];
  for (long i = 0; i < 2000; i++) wrong += pread(file, buffer, sizeof buffer, i) != sizeof buffer || !same(buffer, i, sizeof buffer);
  return argument == NULL ? (void *)wrong : argument;
}

static void threads(void) {
  pthread_t others[3];
  for (int i = 0; i < 3; i++) NEED(pthread_create(&others[i], NULL, reader, NULL));
  for (int i = 0; i < 3; i++) {
    void *wrong;
    pthread_join(others[i], &wrong);
    say("wrong: %ld", (long)wrong);
  }
}

int main(void) {
  file = NEED(memfd_create("bytes", 0));
  good = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  NEED(mprotect(good + PAGE, PAGE, PROT_NONE));
  readable = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  bytes = malloc(SIZE);
  for (int i = 0; i < SIZE; i++) bytes[i] = (char)(i * 7 + i / 251);
  writes();
  paths();
  reads();
  fresh_pages();
  interrupted();
  threads();
  return 0;
}
