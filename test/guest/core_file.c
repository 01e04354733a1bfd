/* What is in a core file, elf(5): a child leaves one, its parent reads it. */
#include "guest.h"
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define PAGE 4096
#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif
#ifndef MADV_DONTDUMP
#define MADV_DONTDUMP 16
#endif

static struct {
  const char *name;
  char *at;
  size_t size;
} areas[16];
static int count;

static char *area(const char *name, size_t size, int protection, int flags, int fd) {
  /* with a gap around it, so that nothing is merged */
  char *room = mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  char *at = mmap(room + PAGE, size, protection, flags | MAP_FIXED, fd, 0);
  if (at == MAP_FAILED) exit(97);
  munmap(room, PAGE);
  munmap(room + PAGE + size, PAGE);
  areas[count].name = name;
  areas[count].at = at;
  areas[count++].size = size;
  return at;
}

static char *sparse, *hidden, *shared_late;

static void make_areas(void) {
  area("written", 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1)[PAGE] = 'w';
  area("never touched", 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  char *read_only = area("only read", PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (*(volatile char *)read_only != 0) exit(96);
  char *left_out = area("MADV_DONTDUMP", PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  left_out[0] = 'd';
  NEED(madvise(left_out, PAGE, MADV_DONTDUMP));
  area("shared", 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1)[0] = 's';
  shared_late = area("shared, written by another", 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
  hidden = area("without access", PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  hidden[5] = 'h';
  NEED(mprotect(hidden, PAGE, PROT_NONE));
  area("no access ever", PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  sparse = area("sparse", 1ul << 32, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  sparse[(1ul << 31) + 77] = 'p';

  int plain = NEED(open("plain", O_CREAT | O_RDWR | O_TRUNC, 0600));
  NEED(ftruncate(plain, 3 * PAGE));
  NEED(pwrite(plain, "plain", 5, 0));
  area("file, private, read", 2 * PAGE, PROT_READ, MAP_PRIVATE, plain);
  area("file, private, written", 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, plain)[PAGE] = 'f';
  area("file, shared", 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, plain)[PAGE] = 'F';
  int elf = NEED(open("elf", O_CREAT | O_RDWR | O_TRUNC, 0600));
  NEED(ftruncate(elf, 2 * PAGE));
  NEED(pwrite(elf, "\177ELF", 4, 0));
  area("file that begins as ELF does", 2 * PAGE, PROT_READ, MAP_PRIVATE, elf);
  int memory = NEED(memfd_create("unnamed", 0));
  NEED(ftruncate(memory, PAGE));
  area("memfd, shared", PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory)[0] = 'm';
  close(plain), close(elf), close(memory);
}

static pthread_barrier_t barrier;
static void *sleeper(void *name) {
  prctl(PR_SET_NAME, name);
  pthread_barrier_wait(&barrier);
  for (;;) pause();
  return NULL;
}
static void *spinner(void *name) {
  prctl(PR_SET_NAME, name);
  pthread_barrier_wait(&barrier);
  for (;;) __asm__ volatile("");
  return NULL;
}

static volatile double fraction = 1.25;

static void die(int threads) {
  pthread_t thread;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
  for (int i = 0; i < threads; i++) pthread_create(&thread, NULL, i % 2 ? spinner : sleeper, "a thread");
  pthread_barrier_wait(&barrier);
  if (threads > 0) sleep_ms(50);
  __asm__ volatile("movsd %0, %%xmm7; fldl %0; mov $0x1111, %%r12; mov $0x2222, %%r13; movabs $0x123456789abcdef, %%r14; movb $7, 0x20" ::"m"(fraction)
                   : "r12", "r13", "r14", "xmm7");
}

static char *core;
static size_t core_size;
static Elf64_Phdr *segments;
static int segment_count;

static bool read_core(void) {
  int fd = open("core", O_RDONLY);
  if (fd == -1) return false;
  struct stat st;
  NEED(fstat(fd, &st));
  core_size = (size_t)st.st_size;
  core = mmap(NULL, core_size, PROT_READ, MAP_PRIVATE, fd, 0);
  say("takes few blocks: %s", st.st_blocks < 200000 ? "true" : "false");
  close(fd);
  Elf64_Ehdr *header = (Elf64_Ehdr *)core;
  segments = (Elf64_Phdr *)(core + header->e_phoff);
  segment_count = header->e_phnum;
  return true;
}

static const Elf64_Phdr *segment_at(const void *address) {
  for (int i = 0; i < segment_count; i++)
    if (segments[i].p_type == PT_LOAD && segments[i].p_vaddr <= (uintptr_t)address &&
        (uintptr_t)address < segments[i].p_vaddr + segments[i].p_memsz)
      return &segments[i];
  return NULL;
}

static int byte_at(const void *address) {
  const Elf64_Phdr *segment = segment_at(address);
  size_t offset = (uintptr_t)address - segment->p_vaddr;
  if (offset >= segment->p_filesz || segment->p_offset + offset >= core_size) return -1;
  return (unsigned char)core[segment->p_offset + offset];
}

static void show_areas(void) {
  for (int i = 0; i < count; i++) {
    const Elf64_Phdr *segment = segment_at(areas[i].at);
    if (segment == NULL) {
      say("  %s: nowhere", areas[i].name);
      continue;
    }
    say("  %s: flags %d, file %#lx, memory %#lx, starts %#lx, first %d, in page two %d", areas[i].name, segment->p_flags, segment->p_filesz,
        segment->p_memsz, (uintptr_t)areas[i].at - segment->p_vaddr, byte_at(areas[i].at), areas[i].size > PAGE ? byte_at(areas[i].at + PAGE) : -2);
  }
  say("  hidden byte %d, in the middle of what is sparse %d", byte_at(hidden + 5), byte_at(sparse + (1ul << 31) + 77));
}

static void show_header(void) {
  Elf64_Ehdr *h = (Elf64_Ehdr *)core;
  say("class %d data %d version %d abi %d type %d machine %d", h->e_ident[EI_CLASS], h->e_ident[EI_DATA], h->e_ident[EI_VERSION],
      h->e_ident[EI_OSABI], h->e_type, h->e_machine);
  say("entry %#lx phoff %lu shoff %lu flags %u ehsize %d phentsize %d shentsize %d shnum %d shstrndx %d", h->e_entry, h->e_phoff, h->e_shoff,
      h->e_flags, h->e_ehsize, h->e_phentsize, h->e_shentsize, h->e_shnum, h->e_shstrndx);
  bool aligned = true, ascending = true;
  size_t end = 0;
  for (int i = 1; i < segment_count; i++) {
    aligned &= segments[i].p_type == PT_LOAD && segments[i].p_align == PAGE && segments[i].p_offset % PAGE == 0 && segments[i].p_paddr == 0;
    ascending &= i == 1 || segments[i].p_vaddr >= segments[i - 1].p_vaddr + segments[i - 1].p_memsz;
    end = segments[i].p_offset + segments[i].p_filesz;
  }
  say("notes first: type %d flags %d align %ld address %#lx memory %ld", segments[0].p_type, segments[0].p_flags, segments[0].p_align,
      segments[0].p_vaddr, segments[0].p_memsz);
  IS(segments[0].p_offset == sizeof(Elf64_Ehdr) + (size_t)segment_count * sizeof(Elf64_Phdr));
  IS(aligned);
  IS(ascending);
  IS(end == core_size);
}

static pid_t dead;
static unsigned long own_phdr;

static void show_status(const struct elf_prstatus *status, bool first) {
  const unsigned long *r = (const unsigned long *)&status->pr_reg;
  struct user_regs_struct { unsigned long r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs; };
  const struct user_regs_struct *regs = (const void *)r;
  say("  status: signal %d cursig %d code %d errno %d pending %lx held %lx fpvalid %d", status->pr_info.si_signo, status->pr_cursig,
      status->pr_info.si_code, status->pr_info.si_errno, status->pr_sigpend, status->pr_sighold, status->pr_fpvalid);
  say("  status: pid %s ppid %s pgrp %s sid %s", status->pr_pid == dead ? "the process" : status->pr_pid > dead ? "a thread" : "?",
      status->pr_ppid == getpid() ? "parent" : "?", status->pr_pgrp == getpgrp() ? "same" : "?", status->pr_sid == getsid(0) ? "same" : "?");
  if (first)
    say("  registers: r12 %#lx r13 %#lx r14 %#lx orig_rax %ld cs %#lx ss %#lx ds %lx es %lx fs %lx gs %lx gs_base %lx", regs->r12, regs->r13, regs->r14,
        (long)regs->orig_rax, regs->cs, regs->ss, regs->ds, regs->es, regs->fs, regs->gs, regs->gs_base);
  else say("  registers: orig_rax %ld%s", (long)regs->orig_rax, regs->orig_rax == SYS_pause ? (long)regs->rax == -514 ? " ERESTARTNOHAND" : " ?" : "");
}

static int by_kind(const void *a, const void *b) {
  const struct elf_prstatus *const *x = a, *const *y = b;
  long p = (long)(*x)->pr_reg[15], q = (long)(*y)->pr_reg[15];
  return p < q ? -1 : p > q;
}

static void show_notes(void) {
  const char *at = core + segments[0].p_offset, *end = at + segments[0].p_filesz;
  const struct elf_prstatus *others[64];
  int threads = 0;
  char order[4096] = "";
  while (at < end) {
    const Elf64_Nhdr *note = (const void *)at;
    const char *name = at + sizeof *note, *data = name + ((note->n_namesz + 3) & ~3u);
    at = data + ((note->n_descsz + 3) & ~3u);
    size_t used = strlen(order);
    /* how large the state is, depends on the processor; what is read out of it does not */
    snprintf(order + used, sizeof order - used, " %s/%x", name, note->n_type);
    if (note->n_type != NT_X86_XSTATE && note->n_type != 0x205 && note->n_type != NT_FILE && note->n_type != NT_AUXV)
      snprintf(order + strlen(order), 32, ":%u", note->n_descsz);
    if (note->n_type == NT_PRSTATUS && strcmp(name, "CORE") == 0) {
      if (threads == 0) show_status((const void *)data, true);
      else others[threads - 1] = (const void *)data;
      threads++;
    } else if (note->n_type == NT_PRPSINFO) {
      const struct elf_prpsinfo *info = (const void *)data;
      say("  process: state %d %c zombie %d nice %d uid %d gid %d pid %s fname %.16s", info->pr_state, info->pr_sname, info->pr_zomb, info->pr_nice, info->pr_uid,
          info->pr_gid, info->pr_pid == dead ? "the process" : "?", info->pr_fname);
      const char *slash = strrchr(info->pr_psargs, '/');
      say("  process: arguments %.80s|", slash == NULL ? info->pr_psargs : slash);
    } else if (note->n_type == NT_SIGINFO) {
      const siginfo_t *info = (const void *)data;
      say("  siginfo: signal %d errno %d code %d address %p", info->si_signo, info->si_errno, info->si_code, info->si_addr);
    } else if (note->n_type == NT_AUXV) {
      const Elf64_auxv_t *v = (const void *)data;
      unsigned n = note->n_descsz / sizeof *v;
      bool found = false;
      for (unsigned i = 0; i < n; i++) found |= v[i].a_type == AT_PHDR && v[i].a_un.a_val == own_phdr;
      say("  auxv: has the program's headers %d, ends with AT_NULL %d", found, v[n - 1].a_type == AT_NULL);
    } else if (note->n_type == NT_FILE) {
      const unsigned long *words = (const void *)data;
      const char *names = (const char *)(words + 2 + 3 * words[0]);
      bool ends = true;
      for (unsigned long i = 0; i < words[0]; i++) {
        if (strstr(names, "/plain") || strstr(names, "/elf") || strstr(names, "zero") || strstr(names, "memfd"))
          say("  file: %s, %lu pages from %lu", strrchr(names, '/'), (words[3 + 3 * i] - words[2 + 3 * i]) / PAGE, words[4 + 3 * i]);
        names += strlen(names) + 1;
      }
      ends = names == data + note->n_descsz;
      say("  files: page size %lu, names end the note %d", words[1], ends);
    } else if (note->n_type == NT_FPREGSET) {
      if (threads != 1) continue;
      double low;
      memcpy(&low, data + 160 + 7 * 16, sizeof low);
      say("  fpregs: xmm7 %g, control word %#x, mxcsr %#x, top of the stack %02x%02x", low, *(const uint16_t *)data, *(const uint32_t *)(data + 24),
          (unsigned char)data[41], (unsigned char)data[40]);
    } else if (note->n_type == NT_X86_XSTATE && threads == 1) {
      double low;
      memcpy(&low, data + 160 + 7 * 16, sizeof low);
      say("  xstate: xmm7 %g, x87 and SSE among its components %d", low, (*(const int *)(data + 464) & 3) == 3);
    }
  }
  IS(at == end);
  say("  threads %d, notes%s", threads, order);
  qsort(others, (size_t)(threads > 0 ? threads - 1 : 0), sizeof *others, by_kind);
  for (int i = 0; i < threads - 1; i++) show_status(others[i], false);
}

static void dump(const char *name, int filter, int threads, bool notes) {
  say("%s", name);
  dead = NEED(fork());
  if (dead == 0) {
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    NEED(setrlimit(RLIMIT_CORE, &all));
    if (filter >= 0) {
      char text[16];
      int fd = NEED(open("/proc/self/coredump_filter", O_WRONLY));
      int n = snprintf(text, sizeof text, "%#x", filter);
      NEED(write(fd, text, (size_t)n));
      close(fd);
    }
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigprocmask(SIG_BLOCK, &some, NULL);
    raise(SIGUSR1);
    die(threads);
    _exit(1);
  }
  shared_late[PAGE] = 'l';
  int status;
  NEED(waitpid(dead, &status, 0));
  say("  %s%s", status_text(status), WCOREDUMP(status) ? " (core dumped)" : "");
  if (!read_core()) return;
  if (notes) {
    show_header();
    show_notes();
  }
  show_areas();
  munmap(core, core_size);
  unlink("core");
}

int main(void) {
  own_phdr = getauxval(AT_PHDR);
  make_areas();
  dump("as it is", -1, 0, true);
  dump("threads", -1, 4, true);
  for (int filter = 0; filter < 0x20; filter = filter == 0 ? 1 : filter * 2) {
    char name[32];
    snprintf(name, sizeof name, "filter %#x", filter);
    dump(name, filter, 0, false);
  }
  return 0;
}
