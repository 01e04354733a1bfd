/* tmpfs and ramfs by mount(2): options, limits, remounting, what mountinfo and mounts show. */
#include "mounts.h"

static void try_options(const char *type, const char *options) {
  int result = mount("none", "t", type, 0, options);
  if (result == -1) {
    say("%s %s: %s", type, options, errname(errno));
    return;
  }
  struct stat st;
  NEED(stat("t", &st));
  struct statfs fs;
  NEED(statfs("t", &fs));
  say("%s %s: mode %o uid %d gid %d type %lx bsize %ld", type, options, st.st_mode & 07777, st.st_uid, st.st_gid,
      (long)fs.f_type, (long)fs.f_bsize);
  if (strstr(options, "size=") != NULL && strchr(options, '%') == NULL) say("  blocks %ld", (long)fs.f_blocks);
  if (strstr(options, "nr_blocks") != NULL) say("  blocks %ld", (long)fs.f_blocks);
  if (strstr(options, "inodes") != NULL) say("  files %ld free %ld", (long)fs.f_files, (long)fs.f_ffree);
  if (strchr(options, '%') == NULL) show_mounts("  now");
  NEED(umount("t"));
}

/* A line of /proc/self/mounts for the mount at `name`. */
static void show_line(const char *name) {
  char wanted[PATH_MAX + 64], line[4096];
  snprintf(wanted, sizeof wanted, " %s/%s ", scratch_path, name);
  FILE *mounts = fopen("/proc/self/mounts", "re");
  while (fgets(line, sizeof line, mounts) != NULL) {
    char *at = strstr(line, wanted);
    if (at == NULL) continue;
    *at = 0;
    line[strcspn(line, "\n")] = 0;
    at[strlen(wanted) + strcspn(at + strlen(wanted), "\n")] = 0;
    say("mounts: %s | %s", line, at + strlen(wanted));
  }
  fclose(mounts);
}

int main(void) {
  private_mounts();
  NEED(mkdir("t", 0755));
  try_options("tmpfs", "");
  try_options("tmpfs", "size=64k");
  try_options("tmpfs", "size=65537");
  try_options("tmpfs", "size=0");
  try_options("tmpfs", "size=1M,nr_inodes=10");
  try_options("tmpfs", "nr_blocks=8");
  try_options("tmpfs", "size=1%");
  try_options("tmpfs", "nr_inodes=1k");
  try_options("tmpfs", "mode=0750,uid=12,gid=34");
  try_options("tmpfs", "mode=7777");
  try_options("tmpfs", "ro");
  try_options("tmpfs", ",,size=4k,");
  try_options("tmpfs", "sync,dirsync");
  try_options("tmpfs", "size=");
  try_options("tmpfs", "size=abc");
  try_options("tmpfs", "size=4q");
  try_options("tmpfs", "mode=9");
  try_options("tmpfs", "uid=-1");
  try_options("tmpfs", "uid=x");
  try_options("tmpfs", "unknown");
  try_options("tmpfs", "nonsense=1");
  try_options("ramfs", "");
  try_options("ramfs", "mode=700");
  try_options("ramfs", "whatever=1");

  /* limits are kept */
  NEED(mount("small", "t", "tmpfs", 0, "size=16k,nr_inodes=4"));
  static char page[65536];
  int fd = NEED(open("t/f", O_RDWR | O_CREAT, 0600));
  TRY(write(fd, page, 4096));
  TRY(write(fd, page, 20000));
  TRY(write(fd, page, 1));
  struct statfs fs;
  NEED(statfs("t", &fs));
  say("full: blocks %ld free %ld", (long)fs.f_blocks, (long)fs.f_bfree);
  TRY(ftruncate(fd, 4096));
  NEED(statfs("t", &fs));
  say("truncated: free %ld", (long)fs.f_bfree);
  TRY(pwrite(fd, page, 1, 1 << 20));
  NEED(statfs("t", &fs));
  say("with a hole: free %ld", (long)fs.f_bfree);
  close(fd);
  TRY(mkdir("t/d", 0700));
  TRY(mkdir("t/e", 0700));
  TRY(mkdir("t/g", 0700));
  NEED(statfs("t", &fs));
  say("files %ld free %ld", (long)fs.f_files, (long)fs.f_ffree);

  /* remounting changes them */
  TRY(mount("x", "t", NULL, MS_REMOUNT, "size=4k"));
  TRY(mount("x", "t", NULL, MS_REMOUNT, "size=32k,nr_inodes=8"));
  TRY(mount("x", "t", NULL, MS_REMOUNT, "nr_inodes=2"));
  TRY(mount("x", "t", NULL, MS_REMOUNT, "bad"));
  TRY(mkdir("t/g", 0700));
  show_mounts("remounted");
  show_line("t");
  TRY(mount("x", "t", "ignored", MS_REMOUNT | MS_RDONLY | MS_NOSUID, NULL));
  show_line("t");
  TRY(mkdir("t/h", 0700));
  TRY(mount(NULL, "t", NULL, MS_REMOUNT | MS_NOATIME, ""));
  show_line("t");
  show_flags("t");
  TRY(umount("t"));

  /* sources with odd characters */
  NEED(mkdir("odd \t\\#", 0755));
  NEED(mount("so#ur ce\\\n", "odd \t\\#", "tmpfs", MS_NODEV, NULL));
  show_mounts("quoted");
  NEED(mount(NULL, "t", "tmpfs", 0, NULL));
  show_line("t");
  NEED(mount("", "t", "tmpfs", 0, NULL));
  show_mounts("stacked");
  TRY(umount("t"));
  TRY(umount("t"));
  TRY(umount("t"));

  /* two of them are two filesystems; the same device number never comes back while it is used */
  NEED(mkdir("u", 0755));
  NEED(mount("a", "t", "tmpfs", 0, NULL));
  NEED(mount("b", "u", "tmpfs", 0, NULL));
  struct stat a, b, outer;
  NEED(stat("t", &a));
  NEED(stat("u", &b));
  NEED(stat(".", &outer));
  IS(a.st_dev != b.st_dev);
  IS(a.st_dev != outer.st_dev);
  IS(a.st_ino == b.st_ino);
  put("t/f", "x");
  TRY(rename("t/f", "u/f"));
  TRY(link("t/f", "u/f"));
  TRY(access("u/f", F_OK));
  TRY(rmdir("t"));
  TRY(rename("t", "v"));
  TRY(unlink("t"));
  return 0;
}
