/* Mount namespaces, mount_namespaces(7): copies, lifetimes, setns; pivot_root(2), chroot(2). */
#include "mounts.h"

static void in_child(const char *name, int flags, void (*body)(void)) {
  pid_t child = NEED((pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL));
  if (child == 0) {
    body();
    _exit(0);
  }
  reap(name, child);
}

static void mount_there(void) {
  TRY(mount("theirs", "a", "tmpfs", 0, NULL));
  put("a/theirs", "x");
  show_mounts("in the child");
}

static void unshare_there(void) {
  TRY(unshare(CLONE_NEWNS));
  mount_there();
}

static char first[64];

static const char *namespace_of(const char *pid) {
  static char text[64];
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/ns/mnt", pid);
  ssize_t n = readlink(path, text, sizeof text - 1);
  text[n < 0 ? 0 : n] = 0;
  return text;
}

static void compare_there(void) { say("same namespace: %s", strcmp(first, namespace_of("self")) == 0 ? "yes" : "no"); }

static void copies(void) {
  strcpy(first, namespace_of("self"));
  in_child("clone", CLONE_NEWNS, mount_there);
  say("here: %s", get("a/theirs"));
  in_child("unshare", 0, unshare_there);
  say("here: %s", get("a/theirs"));
  in_child("fork", 0, compare_there);
  in_child("clone(CLONE_NEWNS)", CLONE_NEWNS, compare_there);
  TRY(syscall(SYS_clone, CLONE_NEWNS | CLONE_FS | SIGCHLD, NULL, NULL, NULL, NULL));
  show_mounts("after the children");
}

/* A child that keeps a namespace, until its pipe is closed. */
static pid_t keeper(int hold[2], int ready[2]) {
  NEED(pipe(hold));
  NEED(pipe(ready));
  pid_t child = NEED(fork());
  if (child != 0) {
    char byte;
    read(ready[0], &byte, 1);
    return child;
  }
  close(hold[1]);
  NEED(unshare(CLONE_NEWNS));
  NEED(mount("kept", "a", "tmpfs", 0, NULL));
  put("a/kept", "kept content");
  write(ready[1], "r", 1);
  char byte;
  read(hold[0], &byte, 1);
  _exit(0);
}

static void entering(void) {
  int hold[2], ready[2];
  pid_t child = keeper(hold, ready);
  char path[64], back[] = "/proc/self/ns/mnt";
  int own = NEED(open(back, O_RDONLY | O_CLOEXEC));
  snprintf(path, sizeof path, "/proc/%d/ns/mnt", child);
  int theirs = NEED(open(path, O_RDONLY | O_CLOEXEC));
  snprintf(path, sizeof path, "/proc/%d/mountinfo", child);
  show_mounts_of("the child's", path, scratch_path);
  say("outside: %s", get("a/kept"));
  int directory = NEED(open("a", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  TRY(setns(theirs, CLONE_NEWNET));
  TRY(setns(theirs, CLONE_NEWNS));
  char where[PATH_MAX];
  say("working directory %s", getcwd(where, sizeof where));
  NEED(chdir(scratch_path));
  say("inside: %s", get("a/kept"));
  TRY(faccessat(directory, "kept", F_OK, 0));
  /* what can't be changed from outside */
  TRY(fchdir(directory));
  TRY(mount("x", ".", "tmpfs", 0, NULL));
  TRY(setns(own, 0));
  NEED(chdir(scratch_path));
  say("outside again: %s", get("a/kept"));

  /* a mount that only another namespace has does not keep the directory */
  TRY(rmdir("a"));
  NEED(setns(theirs, CLONE_NEWNS));
  snprintf(path, sizeof path, "/proc/%d/mountinfo", child);
  show_mounts_of("the child's without the directory", path, scratch_path);
  NEED(setns(own, 0));
  NEED(chdir(scratch_path));
  NEED(mkdir("a", 0755));

  /* the namespace lives as long as its file is open */
  close(hold[1]);
  reap("keeper", child);
  TRY(setns(theirs, 0));
  NEED(chdir(scratch_path));
  TRY(mount("late", "a", "tmpfs", 0, NULL));
  NEED(setns(own, 0));
  NEED(chdir(scratch_path));
  show_mounts("own");
  close(theirs);
  close(own);
  close(directory);
}

static int pivot(const char *root, const char *old) { return syscall(SYS_pivot_root, root, old); }

static void pivoting(void) {
  NEED(unshare(CLONE_NEWNS));
  NEED(mkdir("root", 0755));
  NEED(mkdir("file_less", 0755));
  put("file", "");
  TRY(pivot("root", "root"));
  NEED(mount("newroot", "root", "tmpfs", 0, NULL));
  NEED(mkdir("root/old", 0755));
  NEED(mkdir("root/proc", 0755));
  NEED(mkdir("root/sub", 0755));
  TRY(pivot("root", "file_less"));
  TRY(pivot("root/sub", "root/old"));
  TRY(pivot("root", "file"));
  TRY(pivot("file", "root/old"));
  TRY(pivot("nowhere", "root/old"));
  TRY(pivot("root", "nowhere"));
  TRY(pivot("/", "/"));
  TRY(pivot("/", "root/old"));
  NEED(mount(NULL, "root", NULL, MS_SHARED, NULL));
  TRY(pivot("root", "root/old"));
  NEED(mount(NULL, "root", NULL, MS_PRIVATE, NULL));
  TRY(mount(scratch_path, "root/sub", NULL, MS_BIND, NULL));
  int hold[2];
  NEED(pipe(hold));
  pid_t child = NEED(fork());
  if (child == 0) {
    char byte;
    NEED(chdir("/"));
    close(hold[1]);
    read(hold[0], &byte, 1);
    struct stat st;
    say("the child's root has old: %s", stat("/old", &st) == 0 ? "yes" : "no");
    say("the child's directory has old: %s", stat("old", &st) == 0 ? "yes" : "no");
    _exit(0);
  }
  sleep_ms(50);
  TRY(pivot("root", "root/old"));
  close(hold[1]);
  reap("child", child);
  char where[PATH_MAX];
  long length = syscall(SYS_getcwd, where, sizeof where);
  say("cwd below old: %s", length > 0 && strncmp(where, "/old/", 5) == 0 ? "yes" : "no");
  IS(access("/old/proc/self", F_OK) == 0);
  NEED(chdir("/"));
  IS(access("/../../old", F_OK) == 0);
  NEED(mount("p", "/proc", "proc", MS_NOEXEC, NULL));
  TRY(umount("/old"));
  TRY(umount2("/old", MNT_DETACH));
  show_mounts_of("the new tree", "/proc/self/mountinfo", "/");
  say("%s", get("/proc/self/mounts"));
  TRY(rmdir("/old"));
  TRY(umount("/proc"));
  /* the way of container programs: the old root over the new one, then away with it */
  NEED(mkdir("/next", 0755));
  NEED(mount("next", "/next", "tmpfs", 0, NULL));
  NEED(chdir("/next"));
  NEED(mkdir("proc", 0755));
  NEED(mount("p", "proc", "proc", 0, NULL));
  TRY(pivot(".", "."));
  TRY(umount2(".", MNT_DETACH));
  NEED(chdir("/"));
  show_mounts_of("the next tree", "/proc/self/mountinfo", "/");
}

static void chrooting(void) {
  NEED(unshare(CLONE_NEWNS));
  NEED(mkdir("jail", 0755));
  NEED(mkdir("jail/proc", 0755));
  NEED(mkdir("jail/m", 0755));
  NEED(mount("p", "jail/proc", "proc", 0, NULL));
  NEED(mount("m", "jail/m", "tmpfs", 0, NULL));
  int outside = NEED(open(".", O_RDONLY | O_DIRECTORY));
  NEED(chroot("jail"));
  NEED(chdir("/"));
  show_mounts_of("in the jail", "/proc/self/mountinfo", "/");
  say("mounts: %s", get("/proc/self/mounts"));
  TRY(pivot("m", "m"));
  TRY(umount("/"));
  TRY(unshare(CLONE_NEWUSER));
  NEED(fchdir(outside));
  char where[PATH_MAX];
  long length = syscall(SYS_getcwd, where, sizeof where);
  say("outside: %.13s", length > 0 ? where : errname(errno));
  TRY(chdir(".."));
  TRY(umount("m"));
  NEED(chdir("/"));
  TRY(umount("m"));
}

int main(void) {
  private_mounts();
  NEED(mkdir("a", 0755));
  NEED(mkdir("b", 0755));
  say("# copies");
  copies();
  say("# entering");
  entering();
  say("# pivoting");
  in_child("pivoting", 0, pivoting);
  say("# chrooting");
  in_child("chrooting", 0, chrooting);
  return 0;
}
