/*
 * Programs that are nearly right: one tiny ELF file with fields of its headers set to edge values, truncated, extended.
 * Whatever execve(2) and the program make of it, they make of it in the sandbox too.
 */
#include "guest.h"
#include <elf.h>
#include <stddef.h>
#include <sys/resource.h>

static unsigned char image[0x2000];
static size_t image_size;

static void build(void) {
  static const unsigned char code[] = {0xb8, 60, 0, 0, 0, 0xbf, 7, 0, 0, 0, 0x0f, 0x05}; /* exit(7) */
  Elf64_Ehdr *e = (Elf64_Ehdr *)image;
  Elf64_Phdr *p = (Elf64_Phdr *)(image + sizeof *e);
  memset(image, 0, sizeof image);
  *e = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                    .e_type = ET_EXEC,
                    .e_machine = EM_X86_64,
                    .e_version = EV_CURRENT,
                    .e_entry = 0x401000,
                    .e_phoff = sizeof *e,
                    .e_ehsize = sizeof *e,
                    .e_phentsize = sizeof *p,
                    .e_phnum = 2};
  p[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x400000, .p_paddr = 0x400000,
                      .p_filesz = 0x1000 + sizeof code, .p_memsz = 0x1000 + sizeof code, .p_align = 0x1000};
  p[1] = (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0, .p_vaddr = 0x600000,
                      .p_paddr = 0x600000, .p_filesz = 0x100, .p_memsz = 0x3000, .p_align = 0x1000};
  memcpy(image + 0x1000, code, sizeof code);
  image_size = 0x1000 + sizeof code;
}

static void run(const char *name) {
  unlink("program");
  int fd = NEED(open("program", O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
  if (write(fd, image, image_size) != (ssize_t)image_size) exit(98);
  close(fd);
  int report[2];
  NEED(pipe2(report, O_CLOEXEC));
  pid_t child = NEED(fork());
  if (child == 0) {
    char *none[] = {"program", NULL};
    alarm(1);
    execve("program", none, none + 1);
    int e = errno;
    write(report[1], &e, sizeof e);
    _exit(127);
  }
  close(report[1]);
  int failed = 0, status;
  ssize_t n = read(report[0], &failed, sizeof failed);
  close(report[0]);
  waitpid(child, &status, 0);
  say("%s: %s", name, n == sizeof failed ? errname(failed) : status_text(status));
}

struct field {
  const char *name;
  unsigned offset, size;
};
#define E(f) {#f, offsetof(Elf64_Ehdr, f), sizeof((Elf64_Ehdr *)0)->f}
#define P(f) {#f, sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, f), sizeof((Elf64_Phdr *)0)->f}

static const struct field fields[] = {
    E(e_ident[EI_CLASS]), E(e_ident[EI_DATA]), E(e_ident[EI_VERSION]), E(e_type), E(e_machine), E(e_version),
    E(e_entry), E(e_phoff), E(e_shoff), E(e_flags), E(e_ehsize), E(e_phentsize), E(e_phnum), E(e_shnum),
    P(p_type), P(p_flags), P(p_offset), P(p_vaddr), P(p_filesz), P(p_memsz), P(p_align)};

static const uint64_t edges[] = {0, 1, 3, 0x10, 0x1000, 0xfff, 0x7fffffff, 0x7fffffffffffffff, 0xffffffffffffffff};

int main(void) {
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  scratch();
  build();
  run("unchanged");
  for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
    for (size_t v = 0; v < sizeof edges / sizeof *edges; v++) {
      if (fields[f].size < 8 && v > 0 && edges[v] >> (8 * fields[f].size) != 0 && edges[v] != UINT64_MAX) continue;
      build();
      memcpy(image + fields[f].offset, &edges[v], fields[f].size);
      char name[80];
      snprintf(name, sizeof name, "%s = %#lx", fields[f].name, edges[v]);
      run(name);
    }
  size_t sizes[] = {1, 4, 16, 63, 64, 65, 100, 176, 0xfff, 0x1000, 0x1001, sizeof image};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    build();
    image_size = sizes[i];
    char name[40];
    snprintf(name, sizeof name, "%zu bytes", sizes[i]);
    run(name);
  }
  /* interpreters */
  const char *interpreters[] = {"/no/such/interpreter", "", "/etc/passwd", "/tmp", "program"};
  for (size_t i = 0; i < sizeof interpreters / sizeof *interpreters; i++) {
    build();
    Elf64_Phdr *p = (Elf64_Phdr *)(image + sizeof(Elf64_Ehdr));
    strcpy((char *)image + 0x800, interpreters[i]);
    p[1] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = 0x800, .p_filesz = strlen(interpreters[i]) + 1};
    char name[60];
    snprintf(name, sizeof name, "interpreter \"%s\"", interpreters[i]);
    run(name);
    p[1].p_filesz--;
    run("  without its NUL");
    p[1].p_filesz = 5000;
    run("  5000 bytes long");
    p[1].p_offset = 1 << 30;
    run("  outside the file");
  }
  return 0;
}
