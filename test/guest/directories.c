#include "guest.h"
#include <dirent.h>

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *name, const char *path) {
  char *names[300];
  int n = 0;
  DIR *dir = opendir(path);
  if (dir == NULL) {
    say("%s: %s", name, errname(errno));
    return;
  }
  struct dirent *e;
  while ((e = readdir(dir)) != NULL && n < 300) {
    char *text = malloc(300);
    snprintf(text, 300, "%s(%d)", e->d_name, e->d_type);
    names[n++] = text;
  }
  closedir(dir);
  qsort(names, n, sizeof *names, by_name);
  char line[3000] = "";
  for (int i = 0; i < n && n <= 30; i++) strcat(line, " "), strcat(line, names[i]);
  say("%s: %d%s", name, n, line);
}

int main(void) {
  scratch();
  TRY(mkdir("d", 0755));
  TRY(mkdir("d", 0755));
  TRY(mkdir("missing/d", 0755));
  TRY(mkdir("d/sub/", 0755));
  TRY(mkdir("", 0755));
  TRY(mkdir(".", 0755));
  TRY(mkdir("d/..", 0755));
  put("d/file", "");
  NEED(symlink("file", "d/link"));
  NEED(mkfifo("d/fifo", 0600));
  list("d", "d");
  list("missing", "missing");
  list("file", "d/file");
  struct stat st;
  stat("d", &st);
  TRY(rmdir("d"));
  TRY(rmdir("d/sub"));
  TRY(rmdir("d/sub"));
  TRY(rmdir("d/file"));
  TRY(rmdir("d/."));
  TRY(rmdir("d/.."));
  TRY(rmdir("/"));
  TRY(unlink("d"));
  TRY(unlink("missing"));
  TRY(unlink("d/file/"));
  TRY(unlinkat(AT_FDCWD, "d/file", AT_REMOVEDIR));
  TRY(unlinkat(AT_FDCWD, "d/file", 0x40));
  TRY(unlink("d/file"));
  TRY(unlink("d/link"));
  TRY(unlink("d/fifo"));
  list("emptied", "d");
  TRY(rmdir("d"));

  /* many entries: several getdents calls, each entry exactly once */
  NEED(mkdir("many", 0755));
  char path[64];
  for (int i = 0; i < 250; i++) snprintf(path, sizeof path, "many/entry-with-a-long-name-%03d", i), put(path, "");
  list("many", "many");
  DIR *dir = opendir("many");
  int count = 0, seen_twice = 0;
  static char seen[250];
  struct dirent *e;
  long middle = -1;
  char after_middle[256] = "";
  while ((e = readdir(dir)) != NULL) {
    if (count == 100) middle = telldir(dir);
    if (count == 101) strcpy(after_middle, e->d_name);
    int i;
    if (sscanf(e->d_name, "entry-with-a-long-name-%d", &i) == 1) seen_twice += seen[i]++;
    count++;
  }
  INT(count);
  INT(seen_twice);
  seekdir(dir, middle);
  e = readdir(dir);
  say("seekdir: %s", e != NULL && strcmp(e->d_name, after_middle) == 0 ? "same entry" : "other entry");
  /* removed while open: rewinddir sees the present */
  for (int i = 0; i < 250; i += 2) snprintf(path, sizeof path, "many/entry-with-a-long-name-%03d", i), unlink(path);
  rewinddir(dir);
  count = 0;
  while (readdir(dir) != NULL) count++;
  INT(count);
  /* removing each entry as it is read empties the directory */
  rewinddir(dir);
  while ((e = readdir(dir)) != NULL)
    if (e->d_name[0] != '.') unlinkat(dirfd(dir), e->d_name, 0);
  closedir(dir);
  TRY(rmdir("many"));

  NEED(mkdir("gone", 0755));
  int fd = NEED(open("gone", O_RDONLY | O_DIRECTORY));
  char buffer[1000];
  TRY(syscall(SYS_getdents64, fd, buffer, 10));
  TRY(syscall(SYS_getdents64, fd, (char *)8, sizeof buffer));
  IS(syscall(SYS_getdents64, fd, buffer, sizeof buffer) == 48);
  TRY(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
  NEED(rmdir("gone"));
  lseek(fd, 0, SEEK_SET);
  TRY(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
  TRY(openat(fd, "x", O_CREAT | O_WRONLY, 0600));
  TRY(read(fd, buffer, 1));
  TRY(syscall(SYS_getdents64, 0x7f, buffer, sizeof buffer));
  return 0;
}
