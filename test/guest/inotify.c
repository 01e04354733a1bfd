#include "guest.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/xattr.h>

static const struct {
  uint32_t bit;
  const char *name;
} names[] = {{IN_ACCESS, "ACCESS"},           {IN_MODIFY, "MODIFY"},       {IN_ATTRIB, "ATTRIB"},
             {IN_CLOSE_WRITE, "CLOSE_WRITE"}, {IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"}, {IN_OPEN, "OPEN"},
             {IN_MOVED_FROM, "MOVED_FROM"},   {IN_MOVED_TO, "MOVED_TO"},   {IN_CREATE, "CREATE"},
             {IN_DELETE, "DELETE"},           {IN_DELETE_SELF, "DELETE_SELF"}, {IN_MOVE_SELF, "MOVE_SELF"},
             {IN_UNMOUNT, "UNMOUNT"},         {IN_Q_OVERFLOW, "Q_OVERFLOW"}, {IN_IGNORED, "IGNORED"},
             {IN_ISDIR, "ISDIR"}};

static int in;

/* All events that are queued; a cookie is shown as the number of moves before it. */
static void events(const char *title) {
  static uint32_t cookies[64];
  static int known;
  char buffer[16384] __attribute__((aligned(8)));
  say("-- %s", title);
  for (;;) {
    ssize_t n = read(in, buffer, sizeof buffer);
    if (n <= 0) {
      if (errno != EAGAIN) say("read: %s", errname(errno));
      return;
    }
    for (char *at = buffer; at < buffer + n;) {
      struct inotify_event *event = (struct inotify_event *)at;
      char text[256] = "";
      for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (event->mask & names[i].bit) {
          strcat(text, " ");
          strcat(text, names[i].name);
        }
      int move = 0;
      if (event->cookie != 0) {
        for (move = 0; move < known && cookies[move] != event->cookie; move++) {
        }
        if (move == known && known < 64) cookies[known++] = event->cookie;
        move++;
      }
      say("wd %d%s cookie %d len %u %s", event->wd, text, move, event->len, event->len == 0 ? "-" : *event->name == '#' ? "#" : event->name);
      at += sizeof *event + event->len;
    }
  }
}

int main(void) {
  scratch();
  struct stat st;
  char buffer[4096];
  in = NEED(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  INT(fcntl(in, F_GETFL));
  INT(fcntl(in, F_GETFD));
  mkdir("d", 0755);
  put("d/old", "0123456789");
  TRY(inotify_add_watch(in, "d", IN_ALL_EVENTS));
  TRY(inotify_add_watch(in, "d", IN_ALL_EVENTS));
  TRY(inotify_add_watch(in, "d/old", IN_ALL_EVENTS));
  events("nothing");

  int fd = NEED(open("d/new", O_RDWR | O_CREAT, 0644));
  events("create");
  TRY(write(fd, "abc", 3));
  TRY(write(fd, "abc", 3));
  TRY(write(fd, "", 0));
  events("two writes");
  TRY(pread(fd, buffer, 4, 0));
  TRY(read(fd, buffer, 4));
  events("read, and at the end");
  TRY(pwrite(fd, "x", 1, 20));
  TRY(ftruncate(fd, 5));
  events("pwrite, ftruncate");
  TRY(ftruncate(fd, 5));
  events("ftruncate to the same");
  TRY(truncate("d/new", 7));
  events("truncate");
  TRY(fallocate(fd, 0, 0, 100));
  events("fallocate");
  TRY(fchmod(fd, 0600));
  events("fchmod");
  TRY(chmod("d/new", 0600));
  events("chmod");
  TRY(chown("d/new", getuid(), getgid()));
  events("chown");
  TRY(futimens(fd, NULL));
  events("futimens");
  struct timespec some[2] = {{1, 0}, {0, UTIME_OMIT}};
  TRY(utimensat(AT_FDCWD, "d/new", some, 0));
  events("atime only");
  struct timespec other[2] = {{0, UTIME_OMIT}, {1, 0}};
  TRY(utimensat(AT_FDCWD, "d/new", other, 0));
  events("mtime only");
  if (fsetxattr(fd, "user.x", "1", 1, 0) == 0) {
    events("fsetxattr");
    fremovexattr(fd, "user.x");
    events("fremovexattr");
  }
  TRY(fsync(fd));
  TRY(lseek(fd, 0, SEEK_SET));
  TRY(fstat(fd, &st));
  events("nothing for fsync, lseek, fstat");
  int twin = dup(fd);
  close(fd);
  events("one of two closed");
  close(twin);
  events("closed");
  TRY(fd = open("d/new", O_RDONLY));
  close(fd);
  events("open to read");
  fd = NEED(open("d/new", O_WRONLY | O_TRUNC));
  events("open O_TRUNC");
  close(fd);
  fd = NEED(open("d/new", O_WRONLY | O_TRUNC));
  close(fd);
  events("open O_TRUNC of an empty file");
  fd = NEED(open("d/new", O_PATH));
  close(fd);
  events("O_PATH");
  TRY(open("d/absent", O_RDONLY));
  TRY(access("d/new", R_OK));
  TRY(stat("d/new", &st));
  events("nothing");

  /* the file that is watched by itself too */
  fd = NEED(open("d/old", O_RDWR));
  read(fd, buffer, 3);
  write(fd, "x", 1);
  close(fd);
  chmod("d/old", 0600);
  events("watched twice");

  /* the directory itself */
  fd = NEED(open("d", O_RDONLY | O_DIRECTORY));
  while (syscall(SYS_getdents64, fd, buffer, sizeof buffer) > 0) {
  }
  fchmod(fd, 0700);
  close(fd);
  events("the directory");

  TRY(mkdir("d/sub", 0755));
  TRY(mkdir("d/sub", 0755));
  TRY(symlink("old", "d/link"));
  TRY(mkfifo("d/fifo", 0600));
  TRY(link("d/old", "d/hard"));
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "d/socket"};
  TRY(bind(s, (struct sockaddr *)&address, sizeof address));
  events("new names");
  fd = NEED(open("d/sub", O_RDONLY));
  close(fd);
  TRY(rmdir("d/sub"));
  events("sub opened, removed");
  fd = NEED(open("d/fifo", O_RDWR));
  write(fd, "ab", 2);
  read(fd, buffer, 2);
  close(fd);
  events("fifo");
  TRY(unlink("d/hard"));
  TRY(unlink("d/link"));
  TRY(unlink("d/socket"));
  TRY(unlink("d/fifo"));
  events("unlinked");
  TRY(unlink("d/old"));
  events("the watched file unlinked");
  TRY(inotify_rm_watch(in, 2));

  /* renames */
  put("d/a", "a");
  put("b", "b");
  events("before renames");
  TRY(inotify_add_watch(in, "d/a", IN_ALL_EVENTS));
  TRY(rename("d/a", "d/a2"));
  events("within");
  TRY(rename("d/a2", "a3"));
  events("out");
  TRY(rename("b", "d/b"));
  events("in");
  TRY(rename("a3", "d/b"));
  events("over another");
  put("d/c", "c");
  events("c");
  TRY(renameat2(AT_FDCWD, "d/b", AT_FDCWD, "d/c", RENAME_EXCHANGE));
  events("exchange");
  TRY(link("d/c", "d/l"));
  TRY(rename("d/c", "d/l"));
  events("two names of one file");
  mkdir("d/e", 0755);
  events("e");
  TRY(inotify_add_watch(in, "d/e", IN_ALL_EVENTS));
  TRY(rename("d/e", "d/f"));
  put("d/f/x", "");
  events("directory moved");
  unlink("d/f/x");
  rmdir("d/f");
  events("directory removed");
  put("d/target", "t");
  put("d/over", "o");
  events("x");
  TRY(inotify_add_watch(in, "d/target", IN_ALL_EVENTS));
  TRY(rename("d/over", "d/target"));
  events("a watched file is replaced");

  /* unlinked but open */
  put("d/open", "x");
  fd = NEED(open("d/open", O_RDWR));
  events("x");
  TRY(inotify_add_watch(in, "d/open", IN_ALL_EVENTS));
  unlink("d/open");
  events("unlinked while open");
  write(fd, "x", 1);
  fchmod(fd, 0600);
  events("written while unlinked");
  close(fd);
  events("closed: gone");
  TRY(inotify_add_watch(in, "d", IN_ALL_EVENTS | IN_EXCL_UNLINK));
  fd = NEED(open("d/open", O_RDWR | O_CREAT, 0644));
  unlink("d/open");
  events("created, unlinked");
  write(fd, "x", 1);
  fchmod(fd, 0600);
  close(fd);
  events("IN_EXCL_UNLINK");

  /* exec, mmap, splice */
  TRY(inotify_add_watch(in, "d", IN_ALL_EVENTS));
  put("d/from", "0123456789");
  put("d/to", "");
  events("x");
  int from = NEED(open("d/from", O_RDONLY));
  int to = NEED(open("d/to", O_RDWR));
  events("opened");
  TRY(sendfile(to, from, NULL, 4));
  events("sendfile");
  TRY(copy_file_range(from, NULL, to, NULL, 4, 0));
  events("copy_file_range");
  int pipes[2];
  NEED(pipe(pipes));
  TRY(splice(from, NULL, pipes[1], NULL, 2, 0));
  events("splice in");
  TRY(splice(pipes[0], NULL, to, NULL, 2, 0));
  events("splice out");
  char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, to, 0);
  map[0] = 'm';
  munmap(map, 4096);
  events("mmap");
  close(from);
  close(to);
  events("closed");
  put("d/script", "#!/bin/true\n");
  chmod("d/script", 0755);
  events("script");
  pid_t child = NEED(fork());
  if (child == 0) {
    execl("d/script", "script", NULL);
    _exit(1);
  }
  reap("script", child);
  events("executed");
  fd = open("d", O_TMPFILE | O_RDWR, 0600);
  if (fd != -1) write(fd, "x", 1);
  close(fd);
  events("O_TMPFILE");

  /* masks */
  TRY(inotify_add_watch(in, "d", IN_CREATE));
  put("d/m1", "x");
  TRY(inotify_add_watch(in, "d", IN_DELETE | IN_MASK_ADD));
  put("d/m2", "x");
  unlink("d/m1");
  events("masks");
  TRY(inotify_add_watch(in, "d", IN_DELETE | IN_MASK_CREATE));
  TRY(inotify_add_watch(in, "d", IN_DELETE | IN_MASK_CREATE | IN_MASK_ADD));
  TRY(inotify_add_watch(in, "d", IN_CREATE | IN_ONESHOT));
  put("d/m3", "x");
  put("d/m4", "x");
  events("one shot");
  TRY(inotify_add_watch(in, "d/m3", IN_ALL_EVENTS | IN_ONLYDIR));
  symlink("m3", "d/link");
  TRY(inotify_add_watch(in, "d/link", IN_ATTRIB | IN_DONT_FOLLOW));
  chmod("d/m3", 0644);
  lchown("d/link", getuid(), getgid());
  events("the link");
  TRY(inotify_add_watch(in, "d/link", IN_ATTRIB | IN_MASK_CREATE));
  chmod("d/m3", 0644);
  events("the file");
  TRY(inotify_add_watch(in, "d/m4", IN_MODIFY));
  TRY(inotify_rm_watch(in, 10));
  TRY(inotify_rm_watch(in, 11));
  events("removed");

  /* errors */
  TRY(inotify_init1(0x1234));
  TRY(inotify_add_watch(in, "absent", IN_ALL_EVENTS));
  TRY(inotify_add_watch(in, "d", 0));
  TRY(inotify_add_watch(in, "d", 0x80000));
  TRY(inotify_add_watch(in, "d", IN_ONLYDIR));
  TRY(inotify_add_watch(in, (char *)1, IN_ALL_EVENTS));
  TRY(inotify_add_watch(in, "", IN_ALL_EVENTS));
  TRY(inotify_add_watch(1000, "d", IN_ALL_EVENTS));
  TRY(inotify_add_watch(1000, "d", 0));
  TRY(inotify_add_watch(1, "d", IN_ALL_EVENTS));
  TRY(inotify_rm_watch(in, 999));
  TRY(inotify_rm_watch(in, -1));
  TRY(inotify_rm_watch(1000, 1));
  TRY(inotify_rm_watch(1, 1));
  TRY(write(in, "x", 1));
  TRY(pread(in, buffer, 10, 0));
  TRY(lseek(in, 0, SEEK_SET));
  TRY(fstat(in, &st));
  say("mode %o size %ld", st.st_mode, (long)st.st_size);
  sprintf(buffer, "/proc/self/fd/%d", in);
  char target[100] = "";
  readlink(buffer, target, 99);
  say("%s", target);
  events("none");

  /* readiness and sizes */
  int other_in = NEED(inotify_init());
  TRY(inotify_add_watch(other_in, "d", IN_CREATE | IN_DELETE | IN_CLOSE_WRITE));
  int n = -1;
  TRY(ioctl(other_in, FIONREAD, &n));
  INT(n);
  struct pollfd p = {other_in, POLLIN | POLLOUT | POLLRDNORM, 0};
  TRY(poll(&p, 1, 0));
  int ep = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN | EPOLLET};
  TRY(epoll_ctl(ep, EPOLL_CTL_ADD, other_in, &e));
  TRY(epoll_wait(ep, &e, 1, 0));
  put("d/123456789012345", "");
  put("d/1234567890123456", "");
  TRY(ioctl(other_in, FIONREAD, &n));
  INT(n);
  TRY(poll(&p, 1, 0));
  INT(p.revents);
  TRY(epoll_wait(ep, &e, 1, 0));
  TRY(epoll_wait(ep, &e, 1, 0));
  TRY(read(other_in, buffer, 16));
  TRY(read(other_in, buffer, 31));
  TRY(read(other_in, buffer, 32));
  TRY(read(other_in, buffer, 70));
  TRY(read(other_in, (void *)1, 4096));
  TRY(read(other_in, buffer, 4096));
  child = NEED(fork());
  if (child == 0) {
    sleep_ms(30);
    unlink("d/123456789012345");
    _exit(0);
  }
  TRY(read(other_in, buffer, 4096));
  reap("child", child);
  say("limits %s", get("/proc/sys/fs/inotify/max_queued_events"));
  close(other_in);

  /* overflow: alternating events don't merge */
  TRY(inotify_add_watch(in, "d", IN_MODIFY | IN_ACCESS));
  fd = NEED(open("d/m4", O_RDWR));
  for (int i = 0; i < 8300; i++) {
    pwrite(fd, "x", 1, 0);
    pread(fd, buffer, 1, 0);
  }
  n = 0;
  ioctl(in, FIONREAD, &n);
  INT(n);
  int count = 0, overflows = 0;
  ssize_t got;
  while ((got = read(in, buffer, sizeof buffer)) > 0)
    for (char *at = buffer; at < buffer + got; at += sizeof(struct inotify_event) + ((struct inotify_event *)at)->len) {
      struct inotify_event *event = (struct inotify_event *)at;
      count++;
      if (event->mask & IN_Q_OVERFLOW) {
        overflows++;
        INT(event->wd);
        INT(event->len);
      }
    }
  INT(count);
  INT(overflows);
  pwrite(fd, "x", 1, 0);
  events("after the overflow");

  /* instances are limited for each user */
  int many[300], made = 0;
  while (made < 300 && (many[made] = inotify_init()) != -1) made++;
  say("instances: %s", made < 300 ? errname(errno) : "no limit");
  for (int i = 0; i < made; i++) close(many[i]);
  return 0;
}
