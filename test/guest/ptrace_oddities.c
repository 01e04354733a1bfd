/*
 * Corners of ptrace(2) and its relatives: every request's number, threads of a tracer, register sets that few have, what
 * /proc/[pid]/mem and process_vm_readv(2) do at the edges of memory.
 */
#include "ptrace.h"
#include <asm/prctl.h>
#include <pthread.h>
#include <sys/mman.h>

static pid_t stopped_child(void) {
  pid_t pid = NEED(fork());
  if (pid == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(7);
  }
  NEED(waitpid(pid, NULL, 0));
  return pid;
}

static void end(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, NULL, __WALL);
}

/* Each request with no address, and a buffer or nothing as its data. */
static void requests(void) {
  static const int ranges[][2] = {{1, 40}, {0x41fe, 0x4218}};
  static long buffer[1024];
  for (int range = 0; range < 2; range++)
    for (int request = ranges[range][0]; request < ranges[range][1]; request++) {
      if (request == PTRACE_SINGLEBLOCK) continue; /* there is none here */
      pid_t pid = stopped_child();
      errno = 0;
      long empty = trace(request, pid, 0, 0);
      int first = errno;
      end(pid);
      pid = stopped_child();
      memset(buffer, 0, sizeof buffer);
      errno = 0;
      long full = trace(request, pid, 0, (unsigned long)buffer);
      say("request %#x: %ld %s, %ld %s", request, empty, errname(first), full, errname(errno));
      end(pid);
    }
  pid_t pid = stopped_child();
  TRY(trace(-1, pid, 0, 0));
  TRY(trace(0x7fffffff, pid, 0, 0));
  TRY(trace(PTRACE_CONT, 0, 0, 0));
  TRY(trace(PTRACE_CONT, -1, 0, 0));
  TRY(trace(PTRACE_CONT, getpid(), 0, 0));
  TRY(trace(PTRACE_ATTACH, getpid(), 0, 0));
  TRY(trace(PTRACE_ATTACH, pid, 0, 0));
  TRY(trace(PTRACE_CONT, pid, 0, -1));
  TRY(trace(PTRACE_CONT, pid, 0, 65));
  end(pid);
  TRY(trace(PTRACE_CONT, pid, 0, 0));
}

static void arch_prctl_of_tracee(void) {
  pid_t pid = stopped_child();
  struct user_regs_struct regs = get_registers(pid);
  unsigned long base = 1;
  TRY(trace(PTRACE_ARCH_PRCTL, pid, (unsigned long)&base, ARCH_GET_FS));
  IS(base == regs.fs_base);
  TRY(trace(PTRACE_ARCH_PRCTL, pid, 0x1234000, ARCH_SET_GS));
  TRY(trace(PTRACE_ARCH_PRCTL, pid, (unsigned long)&base, ARCH_GET_GS));
  say("gs base %lx, %llx", base, get_registers(pid).gs_base);
  TRY(trace(PTRACE_ARCH_PRCTL, pid, 1ul << 63, ARCH_SET_GS));
  TRY(trace(PTRACE_ARCH_PRCTL, pid, 0, ARCH_GET_GS));
  TRY(trace(PTRACE_ARCH_PRCTL, pid, 0, 0x9999));
  end(pid);
}

static void register_sets(void) {
  static const unsigned types[] = {0, NT_PRSTATUS, NT_PRFPREG, 3, 6, 0x200, NT_X86_XSTATE, 0x400, 0x46e62b7f};
  static char bytes[16384];
  pid_t pid = stopped_child();
  for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
    struct iovec iov = {bytes, 8};
    errno = 0;
    long result = trace(PTRACE_GETREGSET, pid, types[i], (unsigned long)&iov);
    say("set %#x: %ld %s %zu", types[i], result, errname(errno), iov.iov_len);
    iov.iov_len = 0;
    errno = 0;
    result = trace(PTRACE_GETREGSET, pid, types[i], (unsigned long)&iov);
    say("set %#x, nothing: %ld %s %zu", types[i], result, errname(errno), iov.iov_len);
    iov.iov_len = 12;
    errno = 0;
    result = trace(PTRACE_GETREGSET, pid, types[i], (unsigned long)&iov);
    say("set %#x, twelve bytes: %ld %s %zu", types[i], result, errname(errno), iov.iov_len);
    iov = (struct iovec){NULL, 8};
    errno = 0;
    result = trace(PTRACE_GETREGSET, pid, types[i], (unsigned long)&iov);
    say("set %#x, nowhere: %ld %s %zu", types[i], result, errname(errno), iov.iov_len);
  }
  end(pid);
}

static pid_t shared_tracee;

static void *attach(void *unused) {
  (void)unused;
  TRY(trace(PTRACE_SEIZE, shared_tracee, 0, 0));
  TRY(trace(PTRACE_INTERRUPT, shared_tracee, 0, 0));
  return NULL;
}

static void *attach_and_wait(void *unused) {
  attach(unused);
  int status;
  IS(waitpid(shared_tracee, &status, __WALL | __WNOTHREAD) == shared_tracee);
  for (;;) pause();
  return NULL;
}

static void *wait_elsewhere(void *unused) {
  (void)unused;
  int status;
  TRY(waitpid(shared_tracee, &status, __WALL | __WNOTHREAD | WNOHANG));
  TRY(waitpid(shared_tracee, &status, __WALL | WNOHANG));
  TRY(trace(PTRACE_CONT, shared_tracee, 0, 0));
  return NULL;
}

static void tracer_pid(const char *when) {
  char path[64], line[256] = "";
  snprintf(path, sizeof path, "/proc/%d/status", shared_tracee);
  FILE *status = fopen(path, "re");
  while (status != NULL && fgets(line, sizeof line, status) != NULL && strncmp(line, "TracerPid:", 10) != 0)
    ;
  if (status != NULL) fclose(status);
  int id = atoi(line + 10);
  say("%s: tracer %s", when, id == 0 ? "none" : id == getpid() ? "the process" : "another thread or process");
}

static void threads(void) {
  pthread_t thread, other;
  shared_tracee = NEED(fork());
  if (shared_tracee == 0)
    for (;;) pause();
  await_state(shared_tracee, 'S');
  tracer_pid("before");
  pthread_create(&thread, NULL, attach, NULL);
  pthread_join(thread, NULL);
  /* its thread has ended, and with it the tracing */
  await_state(shared_tracee, 'S');
  sleep_ms(20);
  tracer_pid("the thread has ended");
  pthread_create(&thread, NULL, attach_and_wait, NULL);
  await_state(shared_tracee, 't');
  sleep_ms(20);
  tracer_pid("a thread traces");
  pthread_create(&other, NULL, wait_elsewhere, NULL);
  pthread_join(other, NULL);
  end(shared_tracee);
}

#define VSYSCALL 0xffffffffff600000ul

static void memory(void) {
  char path[64], bytes[16];
  pid_t pid = stopped_child();
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int fd = NEED(open(path, O_RDWR));
  char *page = NEED(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  NEED(munmap(page + 4096, 4096));
  end(pid);
  TRY(pread(fd, bytes, 1, (off_t)(unsigned long)page));
  close(fd);
  strcpy(page + 4090, "abcde");
  pid = stopped_child();
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  fd = NEED(open(path, O_RDWR));
  TRY(pread(fd, bytes, 16, (off_t)(unsigned long)(page + 4090)));
  TRY(pwrite(fd, "0123456789", 10, (off_t)(unsigned long)(page + 4090)));
  TRY(pread(fd, bytes, 1, (off_t)(unsigned long)(page + 4096)));
  TRY(pread(fd, bytes, 1, 0));
  TRY(pread(fd, NULL, 1, (off_t)(unsigned long)page));
  TRY(lseek(fd, 0, SEEK_END));
  IS(lseek(fd, (off_t)VSYSCALL, SEEK_SET) == (off_t)VSYSCALL);
  TRY(read(fd, bytes, 1));
  IS(lseek(fd, (off_t)(unsigned long)page, SEEK_SET) == (off_t)(unsigned long)page);
  IS(lseek(fd, 4090, SEEK_CUR) == (off_t)(unsigned long)page + 4090);
  TRY(read(fd, bytes, 6));
  say("%.6s", bytes);
  TRY(lseek(fd, 0, 7));
  TRY(ftruncate(fd, 0));
  TRY(trace(PTRACE_PEEKDATA, pid, VSYSCALL, (unsigned long)bytes));
  TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)page + 4092, (unsigned long)bytes));
  TRY(trace(PTRACE_PEEKDATA, pid, (unsigned long)page, 0));
  TRY(trace(PTRACE_POKEDATA, pid, (unsigned long)page + 4092, 0));
  close(fd);

  struct iovec local[3] = {{bytes, 4}, {NULL, 0}, {bytes + 4, 12}}, remote[2] = {{page + 4088, 3}, {page + 4092, 20}};
  TRY(process_vm_readv(pid, local, 3, remote, 2, 0));
  TRY(process_vm_readv(pid, local, 3, remote, 2, 1));
  TRY(process_vm_readv(pid, local, 3, remote + 1, 1, 0));
  TRY(process_vm_readv(0, local, 1, remote, 1, 0));
  TRY(process_vm_readv(-1, local, 0, remote, 1, 0));
  TRY(process_vm_readv(-1, local, 1, remote, 0, 0));
  TRY(process_vm_readv(-1, local, 1, remote, 1, 0));
  TRY(process_vm_readv(pid, local, 1025, remote, 1, 0));
  TRY(process_vm_readv(pid, local, 1, remote, 1025, 0));
  TRY(process_vm_readv(pid, NULL, 1, remote, 1, 0));
  TRY(process_vm_readv(pid, local, 1, NULL, 1, 0));
  local[0].iov_len = remote[0].iov_len = -1ul;
  TRY(process_vm_readv(pid, local, 1, remote, 1, 0));
  TRY(process_vm_readv(pid, local + 1, 1, remote, 1, 0));
  TRY(process_vm_readv(pid, local + 2, 1, remote, 1, 0));
  local[0] = (struct iovec){NULL, 4};
  TRY(process_vm_readv(pid, local, 3, remote + 1, 1, 0));
  TRY(process_vm_writev(pid, local + 2, 1, (struct iovec[]){{(void *)stopped_child, 4}}, 1, 0));
  TRY(process_vm_writev(pid, local + 2, 1, (struct iovec[]){{page + 4094, 12}}, 1, 0));
  end(pid);
}

int main(void) {
  requests();
  arch_prctl_of_tracee();
  register_sets();
  threads();
  memory();
  TRY(prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0));
  return 0;
}
