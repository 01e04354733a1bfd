#include "guest.h"

static void try(const char *name, int fd) {
  say("%s: %s", name, fd == -1 ? errname(errno) : "ok");
  if (fd != -1) close(fd);
}
#define OPEN(...) try(#__VA_ARGS__, open(__VA_ARGS__))

int main(void) {
  scratch();
  umask(022);
  NEED(mkdir("d", 0755));
  put("f", "content");
  NEED(symlink("f", "link")), NEED(symlink("missing", "dangling")), NEED(symlink("d", "dirlink"));
  NEED(symlink("a", "b")), NEED(symlink("b", "a"));
  OPEN("f", O_RDONLY);
  OPEN("missing", O_RDONLY);
  OPEN("missing/x", O_RDONLY);
  OPEN("f/x", O_RDONLY);
  OPEN("f/", O_RDONLY);
  OPEN("", O_RDONLY);
  OPEN("new", O_CREAT | O_EXCL | O_WRONLY, 0600);
  OPEN("new", O_CREAT | O_EXCL | O_WRONLY, 0600);
  OPEN("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600);
  OPEN("dangling", O_CREAT | O_WRONLY | O_NOFOLLOW, 0600);
  OPEN("dangling", O_CREAT | O_WRONLY, 0600);
  say("missing: %s", access("missing", F_OK) == 0 ? "made through the link" : errname(errno));
  OPEN("link", O_RDONLY | O_NOFOLLOW);
  OPEN("a", O_RDONLY);
  OPEN("d", O_RDONLY);
  OPEN("d", O_WRONLY);
  OPEN("d", O_RDWR);
  OPEN("d", O_RDONLY | O_CREAT, 0600);
  OPEN("d/", O_RDONLY | O_CREAT, 0600);
  OPEN("nodir/", O_RDWR | O_CREAT, 0600);
  OPEN("d", O_RDONLY | O_DIRECTORY);
  OPEN("f", O_RDONLY | O_DIRECTORY);
  OPEN("dirlink", O_RDONLY | O_DIRECTORY);
  OPEN("dirlink", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  OPEN("f", O_RDONLY | O_DIRECTORY | O_CREAT, 0600);
  OPEN("d/t", O_WRONLY | O_DIRECTORY | O_CREAT, 0600);
  OPEN(".", O_TMPFILE | O_RDONLY, 0600);
  OPEN("/dev/null", O_RDWR);
  OPEN("/dev/zero", O_RDWR);
  OPEN("/dev/full", O_RDWR);
  OPEN("/dev/nothing", O_RDWR);
  char name[300];
  memset(name, 'n', sizeof name), name[255] = 0;
  OPEN(name, O_RDWR | O_CREAT, 0600);
  memset(name, 'n', sizeof name), name[256] = 0;
  OPEN(name, O_RDWR | O_CREAT, 0600);
  char path[5000];
  memset(path, '/', sizeof path), path[4095] = 0;
  OPEN(path, O_RDONLY);
  path[4095] = '/', path[4096] = 0;
  OPEN(path, O_RDONLY);
  OPEN("f", O_RDONLY | O_TRUNC);
  say("after O_RDONLY|O_TRUNC: \"%s\"", get("f"));
  put("f", "content");
  OPEN("f", O_WRONLY | O_TRUNC);
  say("after O_WRONLY|O_TRUNC: \"%s\"", get("f"));
  /* the access mode decides what works, not the permission at the time of use */
  int fd = NEED(open("ro", O_CREAT | O_RDWR, 0400));
  TRY(write(fd, "x", 1));
  close(fd);
  fd = NEED(open("f", O_WRONLY));
  char c;
  TRY(read(fd, &c, 1));
  TRY(fcntl(fd, F_GETFL) & O_ACCMODE);
  close(fd);
  fd = NEED(open("f", O_PATH));
  TRY(read(fd, &c, 1));
  TRY(fchmod(fd, 0600));
  TRY(fcntl(fd, F_GETFL) & O_PATH ? 1 : 0);
  struct stat st;
  TRY(fstat(fd, &st));
  close(fd);
  fd = NEED(open("link", O_PATH | O_NOFOLLOW));
  fstat(fd, &st);
  IS(S_ISLNK(st.st_mode));
  close(fd);
  /* openat and its starting point */
  int dir = NEED(open("d", O_RDONLY | O_DIRECTORY));
  int file = NEED(open("f", O_RDONLY));
  try("openat dir", openat(dir, "inner", O_CREAT | O_WRONLY, 0600));
  try("openat file", openat(file, "x", O_RDONLY));
  try("openat bad", openat(77, "x", O_RDONLY));
  try("openat bad, absolute", openat(77, "/", O_RDONLY));
  try("openat ..", openat(dir, "../f", O_RDONLY));
  try("openat inner", openat(dir, "inner", O_RDONLY));
  try("creat", creat("made", 0644));
  stat("made", &st);
  say("mode: %o", st.st_mode);
  return 0;
}
