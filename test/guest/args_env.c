/* What execve(2) put on the initial stack. */
#include "guest.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

extern char **environ;

int main(int argc, char **argv) {
  if (argc == 1) {
    char *args[] = {"name with spaces", "", "b", "\xff\x01", NULL};
    char *env[] = {"A=1", "EMPTY=", "NOEQUALS", "Z=last", NULL};
    execve("/proc/self/exe", args, env);
    say("execve: %s", errname(errno));
    return 1;
  }
  INT(argc);
  for (int i = 0; i < argc; i++) say("argv[%d]: \"%s\"", i, argv[i]);
  IS(argv[argc] == NULL);
  for (char **e = environ; *e != NULL; e++) say("env: %s", *e);
  /* the strings follow each other without gaps */
  for (int i = 0; i + 1 < argc; i++) IS(argv[i] + strlen(argv[i]) + 1 == argv[i + 1]);
  IS(argv[argc - 1] + strlen(argv[argc - 1]) + 1 == environ[0]);
  INT(getauxval(AT_PAGESZ));
  INT(getauxval(AT_CLKTCK));
  INT(getauxval(AT_SECURE));
  INT(getauxval(AT_PHENT));
  IS(getauxval(AT_UID) == getuid());
  IS(getauxval(AT_EUID) == geteuid());
  IS(getauxval(AT_GID) == getgid());
  IS(getauxval(AT_EGID) == getegid());
  IS(getauxval(AT_ENTRY) != 0);
  IS(getauxval(AT_BASE) != 0);
  IS(getauxval(AT_RANDOM) != 0);
  IS(getauxval(AT_PHDR) != 0);
  IS(getauxval(AT_PHNUM) > 3);
  IS(getauxval(AT_EXECFN) != 0);
  say("AT_EXECFN: %s", (char *)getauxval(AT_EXECFN));
  say("AT_PLATFORM: %s", (char *)getauxval(AT_PLATFORM));
  IS(((uintptr_t)argv & 7) == 0);
  return 0;
}
