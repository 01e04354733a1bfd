/* When reading moves a file's access time: relatime, noatime, nodiratime, strictatime, read-only mounts, O_NOATIME. */
#include "mounts.h"
#include <dirent.h>

static const struct timespec OLD[2] = {{1000000000, 0}, {1100000000, 0}}, RECENT[2] = {{0, UTIME_NOW}, {1100000000, 0}};

static void prepare(const struct timespec *times) {
  NEED(utimensat(AT_FDCWD, "t/f", times, 0));
  NEED(utimensat(AT_FDCWD, "t/d", times, 0));
}

static bool moved(const char *path, struct timespec before) {
  struct stat st;
  NEED(stat(path, &st));
  return st.st_atim.tv_sec != before.tv_sec || st.st_atim.tv_nsec != before.tv_nsec;
}

static void look(const char *title, int flags) {
  struct stat file, directory;
  NEED(stat("t/f", &file));
  NEED(stat("t/d", &directory));
  sleep_ms(20);
  int fd = NEED(open("t/f", O_RDONLY | flags));
  char text[16];
  NEED(read(fd, text, sizeof text));
  close(fd);
  fd = NEED(open("t/d", O_RDONLY | O_DIRECTORY | flags));
  DIR *stream = fdopendir(fd);
  while (readdir(stream) != NULL) {
  }
  closedir(stream);
  say("%s: file %s, directory %s", title, moved("t/f", file.st_atim) ? "moved" : "stays",
      moved("t/d", directory.st_atim) ? "moved" : "stays");
}

static void with_flags(const char *title, unsigned long flags) {
  NEED(mount(NULL, "t", NULL, MS_REMOUNT | MS_BIND | flags, NULL));
  say("%s", title);
  show_flags("t");
  if ((flags & MS_RDONLY) == 0) prepare(OLD);
  look("  old", 0);
  if ((flags & MS_RDONLY) == 0) prepare(OLD);
  look("  old, O_NOATIME", O_NOATIME);
  if ((flags & MS_RDONLY) == 0) prepare(RECENT);
  look("  after the change", 0);
  look("  once more", 0);
}

int main(void) {
  private_mounts();
  NEED(mkdir("t", 0755));
  NEED(mount("t", "t", "tmpfs", 0, NULL));
  put("t/f", "content");
  NEED(mkdir("t/d", 0755));
  put("t/d/entry", "");
  with_flags("relatime", MS_RELATIME);
  with_flags("noatime", MS_NOATIME);
  with_flags("nodiratime", MS_NODIRATIME);
  with_flags("strictatime", MS_STRICTATIME);
  with_flags("strictatime, nodiratime", MS_STRICTATIME | MS_NODIRATIME);
  with_flags("the same", 0);
  prepare(OLD);
  with_flags("read-only", MS_RDONLY | MS_STRICTATIME);
  NEED(mount(NULL, "t", NULL, MS_REMOUNT | MS_RDONLY | MS_STRICTATIME, NULL));
  look("a read-only filesystem", 0);
  return 0;
}
