#include "guest.h"

static void target(const char *path) {
  char text[300] = {0};
  ssize_t n = readlink(path, text, sizeof text - 1);
  if (n == -1) say("readlink %s: %s", path, errname(errno));
  else say("readlink %s: %zd %s", path, n, text);
}

int main(void) {
  struct stat st;
  char text[10];
  scratch();
  put("f", "content");
  NEED(mkdir("d", 0755));
  TRY(link("f", "g"));
  TRY(link("f", "g"));
  TRY(link("missing", "h"));
  TRY(link("d", "h"));
  TRY(link("f", "missing/h"));
  TRY(link("f", "d"));
  stat("f", &st);
  INT(st.st_nlink);
  TRY(symlink("f", "s"));
  TRY(symlink("f", "s"));
  TRY(symlink("", "empty"));
  TRY(symlink("x", "missing/s"));
  TRY(symlink("d/", "ds"));
  TRY(symlink("../../../../../../../../../../../../", "up"));
  target("s"), target("ds"), target("f"), target("missing"), target("d"), target("s/");
  TRY(readlink("s", text, 0));
  TRY(readlink("ds", text, 1));
  TRY(readlinkat(AT_FDCWD, "", text, 10));
  TRY(link("s", "t"));
  lstat("t", &st);
  IS(S_ISLNK(st.st_mode));
  TRY(linkat(AT_FDCWD, "s", AT_FDCWD, "u", AT_SYMLINK_FOLLOW));
  lstat("u", &st);
  IS(S_ISREG(st.st_mode));
  INT(st.st_nlink);
  TRY(linkat(AT_FDCWD, "s", AT_FDCWD, "v", 0x10));
  TRY(unlink("f"));
  TRY(stat("s", &st));
  say("u still: %s", get("u"));
  /* chains: 40 are allowed */
  put("end", "reached");
  char from[16], to[16];
  NEED(symlink("end", "c0"));
  for (int i = 1; i <= 45; i++) {
    snprintf(from, sizeof from, "c%d", i), snprintf(to, sizeof to, "c%d", i - 1);
    NEED(symlink(to, from));
  }
  TRY(access("c39", F_OK));
  TRY(access("c40", F_OK));
  TRY(access("up/tmp", F_OK));
  /* a link in the middle, dot-dot after it */
  NEED(mkdir("d/inner", 0755));
  NEED(symlink("d/inner", "in"));
  put("d/x", "sibling of the target");
  say("in/../x: %s", get("in/../x"));
  TRY(symlink("abs", "d/inner/rel"));
  put("d/inner/abs", "relative to the link");
  say("in/rel: %s", get("in/rel"));
  TRY(mkdir("s2", 0755));
  TRY(symlink("nowhere", "dang"));
  TRY(mkdir("dang", 0755));
  TRY(unlink("in/"));
  TRY(unlink("in"));
  char long_target[5000];
  memset(long_target, 'x', sizeof long_target), long_target[4096] = 0;
  TRY(symlink(long_target, "big"));
  long_target[4095] = 0;
  TRY(symlink(long_target, "big"));
  TRY(lstat("big", &st));
  INT(st.st_size);
  return 0;
}
