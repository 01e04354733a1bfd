#include "guest.h"
#include <sys/socket.h>
#include <sys/un.h>

/* The title of a table; what the host has in it is its own business. */
static void title(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/net/%s", name);
  char *text = strdup(get(path)), *end = strchr(text, '\n');
  if (end != NULL) *end = 0;
  say("%s: %s|", name, text);
  free(text);
}

static void unix_line(const char *wanted, unsigned long wanted_state) {
  char line[512];
  FILE *file = fopen("/proc/net/unix", "r");
  while (fgets(line, sizeof line, file)) {
    unsigned long pointer, references, protocol, flags, type, state, inode;
    char path[200] = "";
    int n = sscanf(line, "%lx: %lx %lx %lx %lx %lx %lu %199s", &pointer, &references, &protocol, &flags, &type, &state, &inode, path);
    if (n >= 7 && state == wanted_state && strcmp(path, wanted) == 0)
      say("%s: flags %lx type %lx state %lx references %lx", path, flags, type, state, references);
  }
  fclose(file);
}

int main(void) {
  scratch();
  char link[32] = "";
  readlink("/proc/net", link, 31);
  say("%s", link);
  IS(access("/proc/thread-self/net/dev", R_OK) == 0);
  const char *titles[] = {"arp", "dev", "netlink", "raw", "raw6", "route", "tcp", "tcp6", "udp", "udp6", "unix"};
  for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) title(titles[i]);
  IS(strstr(get("/proc/net/dev"), "\n    lo: ") != NULL);
  IS(strstr(get("/proc/net/if_inet6"), "00000000000000000000000000000001 01 80 10 80       lo\n") != NULL);

  struct sockaddr_un name = {AF_UNIX, "named"}, abstract = {AF_UNIX, "\0proc_net test"};
  int listener = socket(AF_UNIX, SOCK_STREAM, 0), datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
  int bound = socket(AF_UNIX, SOCK_SEQPACKET, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
  bind(listener, (struct sockaddr *)&name, sizeof name);
  unix_line("named", 1);
  listen(listener, 5);
  bind(datagram, (struct sockaddr *)&abstract, sizeof(sa_family_t) + 14);
  struct sockaddr_un other = {AF_UNIX, "other"};
  bind(bound, (struct sockaddr *)&other, sizeof(sa_family_t) + 6);
  unix_line("named", 1);
  unix_line("other", 1);
  char line[16];
  sprintf(line, "@proc_net");
  unix_line(line, 1);
  connect(client, (struct sockaddr *)&name, sizeof name);
  int server = accept(listener, NULL, NULL);
  (void)server;
  unix_line("named", 1);
  unix_line("named", 3);
  return 0;
}
