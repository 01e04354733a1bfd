/* Maps of ids that one process opens and another writes: both are judged, user_namespaces(7). */
#include "guest.h"
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>

static pid_t member;
static int leave[2];

static void become(uid_t id) {
  if (id == 0) return;
  NEED(setgroups(0, NULL));
  NEED(setresgid(id, id, id));
  NEED(setresuid(id, id, id));
  NEED(prctl(PR_SET_DUMPABLE, 1));
}

/* A process in a user namespace that user `id` has made. */
static void make_member(uid_t id) {
  int ready[2];
  NEED(pipe(ready));
  NEED(pipe(leave));
  member = NEED(fork());
  if (member == 0) {
    close(leave[1]);
    become(id);
    NEED(unshare(CLONE_NEWUSER));
    if (id != 0) NEED(prctl(PR_SET_DUMPABLE, 1));
    NEED(write(ready[1], "x", 1));
    char c;
    (void)!read(leave[0], &c, 1);
    _exit(0);
  }
  char c;
  NEED(read(ready[0], &c, 1));
  close(ready[0]), close(ready[1]), close(leave[0]);
}

static void end_member(void) {
  close(leave[1]);
  waitpid(member, NULL, 0);
}

/* `writer` writes into what `opener` has opened. */
static void map(const char *kind, uid_t opener, uid_t writer, const char *text) {
  pid_t child = NEED(fork());
  if (child == 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", member, kind);
    int file;
    /* opened with the ids of the one, written with those of the other */
    if (opener != 0) {
      NEED(setgroups(0, NULL));
      NEED(setresgid(opener, opener, 0));
      NEED(setresuid(opener, opener, 0));
    }
    file = open(path, O_WRONLY);
    int error = errno;
    if (opener != 0) {
      NEED(setresuid(0, 0, 0));
      NEED(setresgid(0, 0, 0));
    }
    if (file == -1) {
      say("%s opened by %u: %s", kind, opener, errname(error));
      _exit(0);
    }
    become(writer);
    ssize_t n = write(file, text, strlen(text));
    say("%s of %.*s, opened by %u, written by %u: %s", kind, (int)strcspn(text, "\n"), text, opener, writer, n == -1 ? errname(errno) : "ok");
    _exit(0);
  }
  waitpid(child, NULL, 0);
}

int main(void) {
  if (geteuid() != 0) {
    say("not root");
    return 0;
  }
  static const uid_t users[] = {0, 1000, 1001};
  static const char *const texts[] = {"0 1000 1\n", "0 1000 10\n", "0 0 1\n", "5 1001 1\n"};
  for (size_t owner = 0; owner < 2; owner++) {
    say("made by %u", users[owner]);
    for (size_t text = 0; text < sizeof texts / sizeof *texts; text++)
      for (size_t opener = 0; opener < 3; opener++)
        for (size_t writer = 0; writer < 3; writer++) {
          make_member(users[owner]);
          map("uid_map", users[opener], users[writer], texts[text]);
          map("gid_map", users[opener], users[writer], texts[text]);
          if (text == 0) {
            map("setgroups", users[opener], users[writer], "deny\n");
            map("gid_map", users[opener], users[writer], texts[text]);
          }
          end_member();
        }
  }
  return 0;
}
