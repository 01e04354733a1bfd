/* Bind mounts: of directories and files, recursive, read-only; moving; EBUSY, detaching, expiring; what flags forbid. */
#include "mounts.h"
#include <sys/mman.h>

static void flags_bite(void) {
  NEED(mkdir("src/sub", 0755));
  put("src/prog", "#!/bin/sh\nexit 7\n");
  NEED(chmod("src/prog", 0755));
  NEED(symlink("prog", "src/link"));
  OK(mknod("src/null", S_IFCHR | 0666, makedev(1, 3)));
  NEED(mount("src", "dst", NULL, MS_BIND, NULL));
  /* flags of a new bind mount count for nothing */
  NEED(mount("src", "dst2", NULL, MS_BIND | MS_RDONLY | MS_NOEXEC, NULL));
  show_flags("dst2");
  TRY(mount(NULL, "dst", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
  show_flags("dst");
  show_flags("src");
  TRY(open("dst/new", O_CREAT | O_WRONLY, 0600));
  TRY(open("dst/prog", O_WRONLY));
  TRY(open("dst/prog", O_RDONLY | O_TRUNC));
  TRY(mkdir("dst/d", 0700));
  TRY(rmdir("dst/sub"));
  TRY(unlink("dst/prog"));
  TRY(rename("dst/prog", "dst/other"));
  TRY(link("dst/prog", "dst/other"));
  TRY(symlink("x", "dst/other"));
  TRY(chmod("dst/prog", 0700));
  TRY(chown("dst/prog", 1, 1));
  TRY(truncate("dst/prog", 0));
  TRY(utimensat(AT_FDCWD, "dst/prog", NULL, 0));
  TRY(access("dst/prog", W_OK));
  TRY(access("dst/prog", R_OK));
  TRY(mkfifo("dst/fifo", 0600));
  TRY(open("dst", O_TMPFILE | O_RDWR, 0600));
  TRY(access("src/prog", W_OK));
  IS(open("dst/null", O_WRONLY) >= 0);

  TRY(mount(NULL, "dst", NULL, MS_BIND | MS_REMOUNT | MS_NOEXEC | MS_NODEV | MS_NOSYMFOLLOW | MS_NOATIME, NULL));
  show_flags("dst");
  TRY(access("dst/prog", X_OK));
  TRY(execl("dst/prog", "prog", NULL));
  IS(open("dst/null", O_WRONLY) == -1 && errno == EACCES);
  int fd = NEED(open("dst/prog", O_RDONLY));
  IS(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EPERM);
  void *at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
  TRY(mprotect(at, 4096, PROT_READ | PROT_EXEC));
  close(fd);
  TRY(open("dst/link", O_RDONLY));
  char text[16];
  TRY(readlink("dst/link", text, sizeof text));
  IS(access("src/link", X_OK) == 0);
  show_mounts("flags");

  /* a file open for writing keeps the mount writable */
  NEED(mount(NULL, "dst", NULL, MS_BIND | MS_REMOUNT, NULL));
  fd = NEED(open("dst/prog", O_WRONLY));
  TRY(mount(NULL, "dst", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
  TRY(mount(NULL, "dst2", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
  TRY(mount(NULL, ".", NULL, MS_REMOUNT | MS_RDONLY, NULL));
  close(fd);
  TRY(mount(NULL, "dst", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_STRICTATIME, NULL));
  show_flags("dst");
  TRY(mount(NULL, "dst", NULL, MS_BIND | MS_REMOUNT, NULL));
  show_flags("dst");
  TRY(umount("dst"));
  TRY(umount("dst2"));
}

static void trees(void) {
  NEED(mount("one", "src", "tmpfs", 0, NULL));
  NEED(mkdir("src/a", 0755));
  NEED(mkdir("src/b", 0755));
  NEED(mount("two", "src/a", "tmpfs", MS_NOSUID, NULL));
  put("src/a/in", "inner");
  NEED(mkdir("src/a/deep", 0755));
  NEED(mount("three", "src/a/deep", "tmpfs", 0, NULL));
  NEED(mount("src", "dst", NULL, MS_BIND, NULL));
  say("not recursive: %s", get("dst/a/in"));
  NEED(mount("src", "dst2", NULL, MS_BIND | MS_REC, NULL));
  say("recursive: %s", get("dst2/a/in"));
  show_mounts("trees");
  NEED(mount("src/a/in", "file", NULL, MS_BIND, NULL));
  say("file: %s", get("file"));
  NEED(mount("src/b", "src/a/deep", NULL, MS_BIND, NULL));
  show_mounts("more trees");
  TRY(unlink("file"));
  TRY(rename("file", "file2"));
  TRY(unlink("src/a/in"));
  show_mounts("a mounted file was unlinked");
  TRY(rmdir("src/b"));
  TRY(umount("src/a"));
  TRY(umount("src"));
  TRY(umount2("src", MNT_DETACH));
  show_mounts("detached");
  TRY(access("src/a", F_OK));
  say("a copy is on its own: %s", access("dst2/a/deep", F_OK) == 0 ? "there" : "gone");
  TRY(umount("dst2/a/deep"));
  TRY(umount("dst2/a"));
  TRY(umount("dst2"));
  TRY(umount("dst"));
  TRY(umount("file"));
  show_mounts("all gone");
}

static void moving(void) {
  NEED(mount("one", "src", "tmpfs", 0, NULL));
  NEED(mkdir("src/a", 0755));
  NEED(mount("two", "src/a", "tmpfs", 0, NULL));
  TRY(mount("src", "dst", NULL, MS_MOVE, NULL));
  show_mounts("moved");
  TRY(access("src/a", F_OK));
  TRY(mount("dst", "dst/a", NULL, MS_MOVE, NULL));
  TRY(mount("dst/a/..", "src", NULL, MS_MOVE, NULL));
  TRY(mount("src", "file", NULL, MS_MOVE, NULL));
  TRY(mount("dst2", "src", NULL, MS_MOVE, NULL));
  TRY(mount(NULL, "src", NULL, MS_MOVE, NULL));
  TRY(mount("nowhere", "src", NULL, MS_MOVE, NULL));
  TRY(mount("src/a", "dst", NULL, MS_MOVE, NULL));
  show_mounts("moved again");
  TRY(umount("dst"));
  TRY(umount("src"));
}

static void errors(void) {
  TRY(mount("src", "nowhere", NULL, MS_BIND, NULL));
  TRY(mount("nowhere", "dst", NULL, MS_BIND, NULL));
  TRY(mount("src", "file", NULL, MS_BIND, NULL));
  TRY(mount("file", "dst", NULL, MS_BIND, NULL));
  TRY(mount(NULL, "dst", NULL, MS_BIND, NULL));
  TRY(mount("", "dst", NULL, MS_BIND, NULL));
  TRY(mount("x", "dst", NULL, 0, NULL));
  TRY(mount("x", "dst", "", 0, NULL));
  TRY(mount("x", "dst", "nosuchfs", 0, NULL));
  TRY(mount("x", "file", "tmpfs", 0, NULL));
  TRY(mount("x", "dst", NULL, MS_REMOUNT, NULL));
  TRY(mount("x", "dst", NULL, MS_REMOUNT | MS_BIND, NULL));
  TRY(mount("x", "dst", NULL, MS_PRIVATE, NULL));
  TRY(mount("x", ".", NULL, MS_PRIVATE | MS_SHARED, NULL));
  TRY(mount("x", ".", NULL, MS_PRIVATE | MS_RDONLY, NULL));
  TRY(mount("x", "", "tmpfs", 0, NULL));
  TRY(mount("x", NULL, "tmpfs", 0, NULL));
  TRY(mount((char *)8, "dst", "tmpfs", 0, NULL));
  TRY(mount("x", "dst", (char *)8, 0, NULL));
  TRY(mount("x", "dst", "tmpfs", 0, (char *)8));
  TRY(mount("x", "file/", "tmpfs", 0, NULL));
  TRY(mount("x", "dst", "tmpfs", 1UL << 31, NULL));
  TRY(mount("x", "dst", "tmpfs", MS_MGC_VAL | MS_NODEV, NULL));
  show_flags("dst");
  TRY(umount("dst"));
  TRY(umount("dst"));
  TRY(umount("nowhere"));
  TRY(umount2("dst", 0x10));
  TRY(umount2("dst", MNT_EXPIRE | MNT_DETACH));
  TRY(umount((char *)8));
  NEED(symlink("dst", "todst"));
  NEED(mount("x", "todst", "tmpfs", 0, NULL));
  TRY(umount2("todst", UMOUNT_NOFOLLOW));
  TRY(umount2("todst", MNT_FORCE));
  NEED(unlink("todst"));
  static char longer[5000];
  memset(longer, 'x', sizeof longer - 1);
  TRY(mount(longer, "dst", "tmpfs", 0, NULL));
  TRY(mount("x", "dst", longer, 0, NULL));
  TRY(mount("x", longer, "tmpfs", 0, NULL));
  TRY(mount("x", "dst", "tmpfs", 0, longer));
}

static void in_use(void) {
  NEED(mount("busy", "dst", "tmpfs", 0, NULL));
  int fd = NEED(open("dst", O_RDONLY | O_DIRECTORY));
  TRY(umount("dst"));
  close(fd);
  fd = NEED(open("dst", O_PATH));
  TRY(umount("dst"));
  close(fd);
  NEED(chdir("dst"));
  TRY(umount("../dst"));
  NEED(chdir(".."));
  put("dst/f", "content");
  fd = NEED(open("dst/f", O_RDWR));
  void *at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
  int second = dup(fd);
  close(fd);
  TRY(umount("dst"));
  close(second);
  TRY(umount("dst"));
  munmap(at, 4096);
  fd = NEED(open("dst/f", O_RDWR));
  int directory = NEED(open("dst", O_RDONLY | O_DIRECTORY));
  TRY(umount2("dst", MNT_DETACH));
  TRY(access("dst/f", F_OK));
  char text[16] = "";
  TRY(pread(fd, text, sizeof text, 0));
  TRY(openat(directory, "g", O_CREAT | O_RDWR, 0600));
  TRY(faccessat(directory, "g", F_OK, 0));
  TRY(faccessat(directory, "../f", F_OK, 0));
  TRY(fchdir(directory));
  char where[PATH_MAX];
  TRY(syscall(SYS_getcwd, where, sizeof where));
  say("%s", where);
  TRY(umount("."));
  NEED(chdir(scratch_path));
  close(fd);
  close(directory);

  NEED(mount("expire", "dst", "tmpfs", 0, NULL));
  TRY(umount2("dst", MNT_EXPIRE));
  TRY(access("dst/f", F_OK));
  TRY(umount2("dst", MNT_EXPIRE));
  fd = NEED(open("dst", O_RDONLY));
  TRY(umount2("dst", MNT_EXPIRE));
  close(fd);
  TRY(umount2("dst", MNT_EXPIRE));
  TRY(umount2("dst", MNT_EXPIRE));
  TRY(umount2("dst", MNT_EXPIRE));
}

int main(void) {
  private_mounts();
  NEED(mkdir("src", 0755));
  NEED(mkdir("dst", 0755));
  NEED(mkdir("dst2", 0755));
  put("file", "outer");
  say("# flags");
  flags_bite();
  say("# trees");
  trees();
  say("# moving");
  moving();
  say("# errors");
  errors();
  say("# in use");
  in_use();

  say("# without the right");
  NEED(setresuid(1000, 1000, 1000));
  TRY(mount("x", "dst", "tmpfs", 0, NULL));
  TRY(mount("x", "nowhere", "tmpfs", 0, NULL));
  TRY(mount("x", "dst", "nosuchfs", 0, NULL));
  TRY(mount("src", "dst", NULL, MS_BIND, NULL));
  TRY(umount("dst"));
  TRY(umount(scratch_path));
  TRY(umount2("dst", 0x10));
  TRY(syscall(SYS_pivot_root, "nowhere", "nowhere"));
  TRY(unshare(CLONE_NEWNS));
  return 0;
}
