#include "guest.h"
#include <linux/kcmp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#define NOBODY 54321

static long kcmp(pid_t a, pid_t b, int type, unsigned long x, unsigned long y) {
  return syscall(SYS_kcmp, a, b, type, x, y);
}

/* 0, "differs" or what is wrong. */
static void same(const char *name, long result) {
  say("%s: %s", name, result == -1 ? errname(errno) : result == 0 ? "same" : "differs");
}
#define SAME(call) same(#call, call)

int main(void) {
  scratch();
  char *area = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  strcpy(area, "the parent's memory");
  int go[2], file = NEED(open("file", O_RDWR | O_CREAT, 0600));
  NEED(pipe(go));
  pid_t child = NEED(fork());
  if (child == 0) {
    char c;
    strcpy(area, "the child's memory");
    munmap(area + 2 * 4096, 4096);
    mprotect(area + 4096, 4096, PROT_READ);
    write(go[1], "x", 1);
    pause();
    read(go[0], &c, 1);
    _exit(0);
  }
  char c, buffer[64] = "", second[64] = "";
  read(go[0], &c, 1);
  struct iovec local[2] = {{buffer, 10}, {second, 50}}, remote[2] = {{area, 12}, {area + 4, 14}};
  TRY(process_vm_readv(child, local, 2, remote, 2, 0));
  say("%s|%s", buffer, second);
  struct iovec from = {"written", 8}, to = {area + 4, 8};
  TRY(process_vm_writev(child, &from, 1, &to, 1, 0));
  to = (struct iovec){area, 40};
  local[0].iov_len = 40;
  TRY(process_vm_readv(child, local, 1, &to, 1, 0));
  say("%s", buffer);
  say("%s", area);
  /* ends of memory */
  char large[3 * 4096];
  struct iovec big = {large, sizeof large}, all = {area, sizeof large};
  TRY(process_vm_readv(child, &big, 1, &all, 1, 0));
  all = (struct iovec){area + 4096, 4096};
  TRY(process_vm_writev(child, &big, 1, &all, 1, 0));
  all = (struct iovec){area + 2 * 4096, 10};
  TRY(process_vm_readv(child, &big, 1, &all, 1, 0));
  struct iovec bad = {(void *)1, 10};
  all.iov_base = area;
  TRY(process_vm_readv(child, &bad, 1, &all, 1, 0));
  TRY(process_vm_readv(child, (void *)1, 1, &all, 1, 0));
  TRY(process_vm_readv(child, &big, 1, (void *)1, 1, 0));
  TRY(process_vm_readv(child, &big, 0, &all, 1, 0));
  TRY(process_vm_readv(child, &big, 1, &all, 0, 0));
  TRY(process_vm_readv(child, &big, 1, &all, 1, 1));
  TRY(process_vm_readv(child, &big, 2000, &all, 1, 0));
  TRY(process_vm_readv(child, &big, 1, &all, 2000, 0));
  TRY(process_vm_readv(child, &big, -1, &all, 1, 0));
  TRY(process_vm_readv(999999, &big, 1, &all, 1, 0));
  TRY(process_vm_readv(getpid(), &big, 1, &all, 1, 0));
  pid_t other = NEED(fork());
  if (other == 0) {
    NEED(setresuid(NOBODY, NOBODY, NOBODY));
    TRY(process_vm_readv(child, &big, 1, &all, 1, 0));
    SAME(kcmp(getpid(), child, KCMP_VM, 0, 0));
    _exit(0);
  }
  reap("other user", other);

  int twin = dup(file), again = NEED(open("file", O_RDWR)), ep = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  epoll_ctl(ep, EPOLL_CTL_ADD, go[0], &event);
  SAME(kcmp(getpid(), getpid(), KCMP_FILE, file, twin));
  SAME(kcmp(getpid(), getpid(), KCMP_FILE, file, again));
  SAME(kcmp(getpid(), child, KCMP_FILE, file, file));
  SAME(kcmp(getpid(), child, KCMP_FILE, file, 100));
  SAME(kcmp(getpid(), getpid(), KCMP_FILE, 100, 100));
  SAME(kcmp(getpid(), getpid(), KCMP_VM, 0, 0));
  SAME(kcmp(getpid(), child, KCMP_VM, 0, 0));
  SAME(kcmp(getpid(), child, KCMP_FILES, 0, 0));
  SAME(kcmp(getpid(), child, KCMP_FS, 0, 0));
  SAME(kcmp(getpid(), child, KCMP_SIGHAND, 0, 0));
  SAME(kcmp(getpid(), getpid(), KCMP_SIGHAND, 0, 0));
  SAME(kcmp(getpid(), child, KCMP_IO, 0, 0));
  SAME(kcmp(getpid(), child, KCMP_SYSVSEM, 0, 0));
  struct kcmp_epoll_slot slot = {.efd = ep, .tfd = go[0], .toff = 0};
  SAME(kcmp(getpid(), getpid(), KCMP_EPOLL_TFD, go[0], (unsigned long)&slot));
  SAME(kcmp(getpid(), getpid(), KCMP_EPOLL_TFD, go[1], (unsigned long)&slot));
  slot.tfd = 77;
  SAME(kcmp(getpid(), getpid(), KCMP_EPOLL_TFD, go[0], (unsigned long)&slot));
  SAME(kcmp(getpid(), getpid(), KCMP_EPOLL_TFD, go[0], 1));
  SAME(kcmp(getpid(), 999999, KCMP_VM, 0, 0));
  SAME(kcmp(getpid(), getpid(), 8, 0, 0));
  SAME(kcmp(getpid(), getpid(), -1, 0, 0));
  long order = kcmp(getpid(), getpid(), KCMP_FILE, file, again);
  IS(order == 1 || order == 2);
  IS(kcmp(getpid(), getpid(), KCMP_FILE, again, file) == 3 - order);
  kill(child, SIGKILL);
  reap("child", child);
  return 0;
}
