#include "guest.h"

#define EXEC(path)                                                                                                     \
  do {                                                                                                                 \
    char *args[] = {path, NULL};                                                                                       \
    execve(path, args, args + 1);                                                                                      \
    say("execve(%s): %s", #path, errname(errno));                                                                      \
  } while (0)

int main(void) {
  scratch();
  put("plain", "not a program\n");
  put("empty", "");
  put("script", "#!/no/such/interpreter\n");
  put("script2", "#! \n");
  put("elf", "\177ELF but nothing else");
  put("noexec", "#!/bin/sh\n");
  NEED(mkdir("dir", 0755));
  NEED(symlink("loop", "loop"));
  NEED(symlink("nowhere", "dangling"));
  chmod("plain", 0755), chmod("empty", 0755), chmod("script", 0755), chmod("script2", 0755), chmod("elf", 0755);
  EXEC("missing");
  EXEC("");
  EXEC("dir");
  EXEC("dir/x");
  EXEC("plain/x");
  EXEC("plain");
  EXEC("empty");
  EXEC("script");
  EXEC("script2");
  EXEC("elf");
  EXEC("noexec");
  EXEC("loop");
  EXEC("dangling");
  char long_name[400];
  memset(long_name, 'x', sizeof long_name);
  long_name[399] = 0;
  EXEC(long_name);
  TRY(syscall(SYS_execve, (char *)8, NULL, NULL));
  TRY(syscall(SYS_execve, "/bin/true", (char **)8, NULL));
  char *bad[] = {"x", (char *)8, NULL};
  TRY(syscall(SYS_execve, "/bin/true", bad, NULL));
  TRY(syscall(SYS_execveat, -1, "missing", bad, NULL, 0));
  TRY(syscall(SYS_execveat, AT_FDCWD, "", bad, NULL, 0));
  TRY(syscall(SYS_execveat, AT_FDCWD, "missing", bad, NULL, 0x40000000));

  /* an argument of more than MAX_ARG_STRLEN bytes */
  char *huge = malloc(140000);
  memset(huge, 'a', 139999);
  huge[139999] = 0;
  char *args[] = {"true", huge, NULL};
  TRY(execve("/bin/true", args, args + 2));
  return 0;
}
