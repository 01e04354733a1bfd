/* The same from a statically linked program, which sets its own TLS up. */
#include "guest.h"
#include <pthread.h>

static __thread int local = 3;
static void *body(void *arg) {
  local += *(int *)arg;
  return (void *)(intptr_t)local;
}

int main(int argc, char **argv) {
  pthread_t t[4];
  int n[4];
  for (int i = 0; i < 4; i++) n[i] = i * 10, pthread_create(&t[i], NULL, body, &n[i]);
  for (int i = 0; i < 4; i++) {
    void *r;
    pthread_join(t[i], &r);
    INT((intptr_t)r);
  }
  INT(local);
  INT(argc);
  IS(argv[argc] == NULL);
  return 0;
}
