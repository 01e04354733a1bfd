#include "guest.h"

int main(void) {
  struct stat a, b;
  scratch();
  put("f", "f"), put("g", "g");
  NEED(mkdir("d", 0755)), NEED(mkdir("e", 0755)), NEED(mkdir("full", 0755));
  put("full/x", "x");
  stat("f", &a);
  TRY(rename("f", "h"));
  stat("h", &b);
  IS(a.st_ino == b.st_ino);
  TRY(rename("f", "h"));
  TRY(rename("h", "g"));
  say("g: %s", get("g"));
  TRY(rename("g", "g"));
  TRY(rename("g", "d"));
  TRY(rename("d", "g"));
  TRY(rename("d", "full"));
  TRY(rename("d", "e"));
  TRY(rename("e", "e/sub"));
  TRY(rename("full", "full/x"));
  TRY(rename("e", "missing/x"));
  TRY(rename("", "x"));
  TRY(rename("g", ""));
  TRY(rename("g", "g/"));
  TRY(rename("e/", "dir/"));
  TRY(rename("dir/.", "y"));
  TRY(rename("dir", "full/moved"));
  say("full/moved: %s", access("full/moved", F_OK) == 0 ? "there" : errname(errno));
  TRY(rename("full", "full2"));
  say("full2/x: %s", get("full2/x"));
  /* hard links to one file: nothing happens */
  NEED(link("g", "g2"));
  TRY(rename("g", "g2"));
  TRY(access("g", F_OK));
  TRY(access("g2", F_OK));
  /* links are renamed themselves */
  NEED(symlink("g", "l"));
  TRY(rename("l", "l2"));
  lstat("l2", &a);
  IS(S_ISLNK(a.st_mode));
  put("over", "over");
  TRY(rename("over", "l2"));
  say("l2: %s, g: %s", get("l2"), get("g"));
  /* an open file survives being replaced */
  put("old", "old content"), put("new", "new content");
  int fd = NEED(open("old", O_RDONLY));
  TRY(rename("new", "old"));
  char text[20] = {0};
  (void)!read(fd, text, 19);
  say("open: %s, name: %s", text, get("old"));
  fstat(fd, &a);
  INT(a.st_nlink);
  put("a", "A"), put("b", "B");
  TRY(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
  TRY(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
  TRY(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", RENAME_EXCHANGE));
  say("b: %s", get("b"));
  say("c: %s", get("c"));
  TRY(renameat2(AT_FDCWD, "c", AT_FDCWD, "none", RENAME_EXCHANGE));
  TRY(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
  TRY(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", 0x100));
  TRY(rename(".", "z"));
  TRY(rename("..", "z"));
  /* the working directory moves with its name */
  NEED(mkdir("cwd", 0755)), NEED(chdir("cwd"));
  NEED(rename("../cwd", "../cwd2"));
  char path[PATH_MAX];
  say("cwd: %s", strrchr(getcwd(path, sizeof path), '/'));
  return 0;
}
