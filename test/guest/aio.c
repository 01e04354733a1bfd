/* Linux's asynchronous I/O: io_setup(2), io_submit(2), io_getevents(2), io_cancel(2), io_destroy(2), io_pgetevents(2). */
#include "guest.h"
#include <linux/aio_abi.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

static long setup(unsigned count, aio_context_t *context) { return syscall(SYS_io_setup, count, context); }
static long destroy(aio_context_t context) { return syscall(SYS_io_destroy, context); }
static long submit(aio_context_t context, long count, struct iocb **list) {
  return syscall(SYS_io_submit, context, count, list);
}
static long get_events(aio_context_t context, long least, long most, struct io_event *events, struct timespec *timeout) {
  return syscall(SYS_io_getevents, context, least, most, events, timeout);
}
static long cancel(aio_context_t context, struct iocb *operation, struct io_event *event) {
  return syscall(SYS_io_cancel, context, operation, event);
}

static aio_context_t context;
static struct io_event events[16];
static struct timespec none = {0, 0};

static struct iocb operation(int opcode, int fd, void *at, size_t length, long offset) {
  return (struct iocb){.aio_data = 77, .aio_lio_opcode = opcode, .aio_fildes = fd, .aio_buf = (uintptr_t)at,
                       .aio_nbytes = length, .aio_offset = offset};
}

/* Submits one operation, and says how it ended. */
static void run(const char *name, struct iocb one) {
  struct iocb *list[] = {&one};
  long accepted = submit(context, 1, list);
  if (accepted != 1) {
    say("%s: not accepted: %s", name, accepted == -1 ? errname(errno) : "0");
    return;
  }
  long got = get_events(context, 1, 1, events, NULL);
  if (got != 1) say("%s: %ld events", name, got);
  else {
    long res = events[0].res;
    say("%s: %ld %s data %d obj %d", name, res < 0 ? -1 : res, res < 0 ? errname(-res) : "", (int)events[0].data,
        events[0].obj == (uintptr_t)&one);
  }
}

static void on_alarm(int signo) { (void)signo; }

int main(void) {
  char text[64] = {0};
  scratch();
  put("f", "0123456789");
  int fd = NEED(open("f", O_RDWR)), reader = NEED(open("f", O_RDONLY)), writer = NEED(open("f", O_WRONLY));
  TRY(setup(0, &context));
  TRY(setup(1, NULL));
  context = 5;
  TRY(setup(1, &context));
  context = 0;
  TRY(setup(0x7fffffff, &context));
  TRY(setup(10000000, &context));
  TRY(setup(8, &context));
  IS(context != 0);
  run("pread", operation(IOCB_CMD_PREAD, fd, text, 5, 2));
  say("text %s", text);
  run("pwrite", operation(IOCB_CMD_PWRITE, fd, "AB", 2, 4));
  say("f: %s", get("f"));
  struct iovec v[2] = {{"xy", 2}, {"z", 1}}, into[2] = {{text, 2}, {text + 10, 3}};
  run("pwritev", operation(IOCB_CMD_PWRITEV, fd, v, 2, 10));
  run("preadv", operation(IOCB_CMD_PREADV, fd, into, 2, 9));
  say("text %.2s %.3s", text, text + 10);
  run("past the end", operation(IOCB_CMD_PREAD, fd, text, 5, 100));
  run("fsync", operation(IOCB_CMD_FSYNC, fd, NULL, 0, 0));
  run("fdsync", operation(IOCB_CMD_FDSYNC, fd, NULL, 0, 0));
  run("fsync of bytes", operation(IOCB_CMD_FSYNC, fd, text, 1, 0));
  run("bad descriptor", operation(IOCB_CMD_PREAD, 999, text, 5, 0));
  run("read of a writer", operation(IOCB_CMD_PREAD, writer, text, 5, 0));
  run("write of a reader", operation(IOCB_CMD_PWRITE, reader, text, 5, 0));
  run("opcode", operation(99, fd, text, 5, 0));
  run("noop", operation(IOCB_CMD_NOOP, fd, text, 5, 0));
  run("bad buffer", operation(IOCB_CMD_PREAD, fd, (void *)1, 5, 0));
  run("bad vector", operation(IOCB_CMD_PREADV, fd, (void *)1, 5, 0));
  run("negative offset", operation(IOCB_CMD_PREAD, fd, text, 5, -1));
  run("directory", operation(IOCB_CMD_PREAD, NEED(open(".", O_RDONLY)), text, 5, 0));
  struct iocb odd = operation(IOCB_CMD_PREAD, fd, text, 5, 0);
  odd.aio_reserved2 = 1;
  run("reserved", odd);
  odd.aio_reserved2 = 0, odd.aio_rw_flags = 0x4000;
  run("unknown rw_flags", odd);
  odd.aio_rw_flags = RWF_HIPRI & 0, odd.aio_flags = IOCB_FLAG_RESFD, odd.aio_resfd = 999;
  run("bad eventfd", odd);
  odd.aio_resfd = fd;
  run("no eventfd", odd);
  int counter = NEED(eventfd(0, EFD_NONBLOCK));
  odd.aio_resfd = counter;
  run("eventfd", odd);
  uint64_t value = 0;
  TRY(read(counter, &value, 8));
  INT(value);
  /* pipes: no offsets; an end without a peer */
  int both[2];
  NEED(pipe(both));
  run("write to a pipe", operation(IOCB_CMD_PWRITE, both[1], "pipe", 4, 0));
  run("read from a pipe", operation(IOCB_CMD_PREAD, both[0], text, 10, 0));
  close(both[0]);
  signal(SIGPIPE, SIG_IGN);
  run("write to nobody", operation(IOCB_CMD_PWRITE, both[1], "pipe", 4, 0));
  /* several at once; one that is refused ends the list */
  struct iocb three[3], *list[3] = {&three[0], &three[1], &three[2]};
  for (int i = 0; i < 3; i++) three[i] = operation(IOCB_CMD_PREAD, fd, text, i + 1, 0), three[i].aio_data = i;
  TRY(submit(context, 3, list));
  TRY(get_events(context, 3, 10, events, NULL));
  say("%d %d %d, %d %d %d", (int)events[0].res, (int)events[1].res, (int)events[2].res, (int)events[0].data,
      (int)events[1].data, (int)events[2].data);
  three[1].aio_fildes = 999;
  TRY(submit(context, 3, list));
  TRY(get_events(context, 0, 10, events, &none));
  TRY(submit(context, 2, list + 1));
  list[1] = (void *)1;
  TRY(submit(context, 3, list));
  TRY(get_events(context, 1, 10, events, NULL));
  TRY(submit(context, 0, list));
  TRY(submit(context, -1, list));
  TRY(submit(context, 1, (void *)1));
  TRY(submit(0, 1, list));
  TRY(submit(context + 1, 1, list));
  /* waiting */
  TRY(get_events(context, 0, 1, events, NULL));
  TRY(get_events(context, 1, 1, events, &none));
  struct timespec soon = {0, 30000000};
  TRY(get_events(context, 1, 1, events, &soon));
  TRY(get_events(context, 2, 1, events, &none));
  TRY(get_events(context, -1, 1, events, &none));
  TRY(get_events(0, 0, 1, events, &none));
  TRY(get_events(context, 0, 1, events, (void *)1));
  list[0] = &three[0];
  TRY(submit(context, 1, list));
  TRY(get_events(context, 1, 1, (void *)1, &none));
  TRY(get_events(context, 2, 2, events, &soon));
  handle(SIGALRM, on_alarm, 0);
  struct itimerspec in = {{0, 0}, {0, 50000000}};
  timer_t timer;
  NEED(timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM}, &timer));
  NEED(timer_settime(timer, 0, &in, NULL));
  TRY(get_events(context, 1, 1, events, NULL));
  struct { const sigset_t *set; size_t size; } mask = {NULL, 8};
  TRY(syscall(SYS_io_pgetevents, context, 0, 1, events, &none, &mask));
  sigset_t set;
  sigfillset(&set), mask.set = &set;
  TRY(syscall(SYS_io_pgetevents, context, 1, 1, events, &soon, &mask));
  mask.size = 4;
  TRY(syscall(SYS_io_pgetevents, context, 0, 1, events, &none, &mask));
  /* nothing is left to be cancelled */
  TRY(cancel(context, &three[0], events));
  TRY(cancel(context, NULL, events));
  TRY(cancel(0, &three[0], events));
  /* the end: a child has no contexts */
  pid_t child = NEED(fork());
  if (child == 0) {
    TRY(submit(context, 1, list));
    TRY(destroy(context));
    _exit(0);
  }
  reap("child", child);
  aio_context_t second = 0;
  TRY(setup(4, &second));
  IS(second != context);
  TRY(destroy(second));
  TRY(destroy(context));
  TRY(destroy(context));
  TRY(destroy(0));
  return 0;
}
