/* Ways out of a root directory and a bind mount: `escape DIR`, DIR a writable bind. Static: the root has nothing else. */
#include "hostile.h"
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static void see(const char *path) {
  int fd = open(path, O_RDONLY);
  if (fd == -1) say("%s: %s", path, errname(errno));
  else {
    char content[32] = {0};
    ssize_t n = read(fd, content, sizeof content - 1);
    say("%s: %s", path, n < 0 ? errname(errno) : n == 0 ? "(empty)" : strncmp(content, "secret", 6) == 0 ? "LEAK" : "something");
    close(fd);
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  const char *outside = argv[1]; /* the host's path of a file with a secret */
  pid_t sentry = (pid_t)atol(argv[2]);
  char path[1024];
  const char *const prefixes[] = {"", "/..", "/../../../..", "/proc/self/root", "/proc/self/root/..", "/proc/1/root/..", "/rw/..", "/rw/../..",
                                  "/rw/d/../../..", "/proc/self/cwd/../..", "/dev/fd/../../.."};
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
    snprintf(path, sizeof path, "%s%s", prefixes[i], outside);
    int fd = open(path, O_RDONLY);
    say("prefix %zu: %s", i, fd == -1 ? errname(errno) : "LEAK");
  }
  /* links that the guest makes, absolute and relative, in a directory of the host's */
  chdir("/rw");
  symlink(outside, "absolute");
  symlink("../../../../../../../../..", "up");
  see("absolute");
  snprintf(path, sizeof path, "up%s", outside);
  say("up: %s", open(path, O_RDONLY) == -1 ? errname(errno) : "LEAK");
  see("host_link"); /* made by the host */
  say("host_dir_link: %s", open("host_dir_link/secret", O_RDONLY) == -1 ? errname(errno) : "LEAK");
  TRY(creat("host_link/x", 0600));
  TRY(creat("host_dir_link/planted", 0600));
  TRY(mkdir("host_dir_link/planted", 0600));
  TRY(rename("host_dir_link/secret", "stolen"));
  TRY(link("host_dir_link/secret", "stolen"));
  TRY(chmod("host_dir_link/secret", 0777));
  /* out of a root that is above or beside the working directory */
  mkdir("jail", 0755);
  int above = open(".", O_RDONLY | O_DIRECTORY);
  if (chroot("jail") == 0) {
    fchdir(above);
    for (int i = 0; i < 50; i++) chdir("..");
    snprintf(path, sizeof path, ".%s", outside);
    say("chroot: %s", open(path, O_RDONLY) == -1 ? errname(errno) : "LEAK");
    chroot(".");
  }
  /* the directory that we are in moves away above us */
  fchdir(above);
  mkdir("a", 0755), mkdir("a/b", 0755), mkdir("a/b/c", 0755);
  chdir("a/b/c");
  TRY(renameat(above, "a/b", above, "moved"));
  snprintf(path, sizeof path, "../../../../../../../../../..%s", outside);
  say("moved: %s", open(path, O_RDONLY) == -1 ? errname(errno) : "LEAK");
  fchdir(above);
  /* devices and filesystems */
  static const int devices[][2] = {{1, 1}, {1, 2}, {1, 4}, {8, 0}, {254, 0}, {259, 0}, {10, 200}, {1, 11}};
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
    int made = mknod("node", S_IFBLK | 0666, makedev(devices[i][0], devices[i][1]));
    int also = mknod("/tmp/node", S_IFCHR | 0666, makedev(devices[i][0], devices[i][1]));
    say("device: %s %s", made == 0 && open("node", O_RDWR) >= 0 ? "LEAK" : "no", also == 0 && open("/tmp/node", O_RDWR) >= 0 ? "LEAK" : "no");
    unlink("node"), unlink("/tmp/node");
  }
  see("host_fifo");
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "host_socket"};
  say("host_socket: %s", connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&address, sizeof address) == 0 ? "LEAK" : "no");
  static const char *const types[] = {"proc", "sysfs", "tmpfs", "devtmpfs", "bind", "ext4", "overlay", "cgroup2"};
  enum { OWN = 4 }; /* the first are the sandbox's own, and show nothing of the host */
  mkdir("/tmp/m", 0755);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    bool mounted = mount(types[i], "/tmp/m", types[i], i == OWN ? MS_BIND : 0, NULL) == 0;
    snprintf(path, sizeof path, "/tmp/m/%d/environ", (int)sentry);
    bool leaks = mounted && (i >= OWN || open(path, O_RDONLY) != -1 || open("/tmp/m/kmsg", O_RDONLY) != -1 || open("/tmp/m/sda", O_RDONLY) != -1);
    say("mount %s: %s", types[i], leaks ? "LEAK" : "no");
    if (mounted) umount("/tmp/m");
  }
  /* what whoever started us has covered */
  say("uncovered: %s", umount2("/rw", MNT_DETACH) == 0 || umount2("/ro", MNT_DETACH) == 0 ? "LEAK" : "no");
  say("bound beside what covers: %s", mount("/", "/tmp/m", NULL, MS_BIND, NULL) == 0 ? "LEAK" : "no");
  /* the host's processes */
  for (int i = 0; i < 2; i++) {
    static const char *const names[] = {"environ", "mem", "root/etc/passwd", "fd/0", "maps", "cwd", "status"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
      snprintf(path, sizeof path, "/proc/%d/%s", i == 0 ? (int)sentry : (int)sentry + 100000, names[n]);
      if (open(path, O_RDONLY) != -1) say("%s: LEAK", names[n]);
    }
  }
  say("kill: %s", kill(sentry, 0) == -1 ? errname(errno) : "LEAK");
  /* no descriptor but ours, and no secret in the environment */
  for (int fd = 0; fd < 1024; fd++)
    if (fd != above && fcntl(fd, F_GETFD) != -1) {
      ssize_t n = snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
      (void)n;
      if (fd > 12) say("descriptor %d", fd);
    }
  for (char **e = environ; *e; e++)
    if (strstr(*e, "SENTRY_SECRET")) say("environment: LEAK");
  /* a read-only bind stays so, by every way to write */
  int ro = open("/ro/file", O_RDONLY);
  TRY(open("/ro/file", O_RDWR));
  TRY(open("/ro/new", O_CREAT | O_RDWR, 0600));
  TRY(open("/ro/file", O_RDONLY | O_TRUNC));
  TRY(truncate("/ro/file", 0));
  TRY(unlink("/ro/file"));
  TRY(rename("/ro/file", "/ro/other"));
  TRY(link("/ro/file", "/rw/linked"));
  TRY(chmod("/ro/file", 0777));
  TRY(fchmod(ro, 0777));
  TRY(utimensat(AT_FDCWD, "/ro/file", NULL, 0));
  TRY(mount("/ro", "/ro", NULL, MS_REMOUNT | MS_BIND, NULL));
  say("mmap shared: %s", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED ? errname(errno) : "LEAK");
  char *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0);
  TRY(mprotect(shared, 4096, PROT_READ | PROT_WRITE));
  char again[64];
  snprintf(again, sizeof again, "/proc/self/fd/%d", ro);
  TRY(open(again, O_RDWR));
  int memory = open("/proc/self/mem", O_RDWR);
  pwrite(memory, "overwritten", 11, (off_t)shared); /* as a debugger would: at most a copy of our own */
  say("end");
  return 0;
}
