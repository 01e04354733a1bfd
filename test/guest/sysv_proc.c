/* /proc/sysvipc, and what /proc/[pid]/maps shows of a segment. */
#include "guest.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

/* Prints the title, and the line of `id` with what differs from run to run replaced. */
static void table(const char *path, int id, int first, int changing) {
  FILE *f = fopen(path, "r");
  char line[512];
  if (f == NULL || fgets(line, sizeof line, f) == NULL) {
    say("%s: %s", path, errname(errno));
    return;
  }
  line[strcspn(line, "\n")] = 0;
  say("%s", line);
  while (fgets(line, sizeof line, f)) {
    int key, found;
    if (sscanf(line, "%d %d", &key, &found) != 2 || found != id) continue;
    say("length %zu", strlen(line));
    char out[512] = "", *word = strtok(line, " \n");
    for (int column = 0; word; column++, word = strtok(NULL, " \n")) {
      if (column >= 2) {
        strcat(out, " ");
        strcat(out, column >= first && (changing >> (column - first) & 1) && strcmp(word, "0") ? "N" : word);
      }
    }
    say("%s", out);
  }
  fclose(f);
}

int main(void) {
  key_t key = 0x4b000000 | (getpid() & 0xffffff);
  int shm = NEED(shmget(key, 10000, IPC_CREAT | 0640));
  char *at = shmat(shm, NULL, 0);
  memset(at, 1, 5000);
  table("/proc/sysvipc/shm", shm, 4, 0x383);
  int sem = NEED(semget(key, 7, IPC_CREAT | 0604));
  semctl(sem, 3, SETVAL, 2);
  table("/proc/sysvipc/sem", sem, 8, 3);
  int msg = NEED(msgget(key, IPC_CREAT | 0660));
  msgsnd(msg, &(struct { long type; char text[10]; }){1, "123456789"}, 10, 0);
  table("/proc/sysvipc/msg", msg, 5, 0x1c3);

  char expected[64], line[512];
  snprintf(expected, sizeof expected, "/SYSV%08x (deleted)", key);
  FILE *f = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, f)) {
    unsigned long from, to, offset, inode;
    char protection[8], device[16], name[256];
    if (sscanf(line, "%lx-%lx %7s %lx %15s %lu %255[^\n]", &from, &to, protection, &offset, device, &inode, name) != 7)
      continue;
    if (from == (unsigned long)at)
      say("maps: %lu %s %lu inode %s %s", to - from, protection, offset, inode == (unsigned long)shm ? "is the id" : "?",
          strcmp(name, expected) == 0 ? "named" : name);
  }
  fclose(f);
  semctl(sem, 0, IPC_RMID);
  msgctl(msg, IPC_RMID, NULL);
  shmctl(shm, IPC_RMID, NULL);
  return 0;
}
