/* The whole program dies from a signal: the runner must see it. */
#include "guest.h"

int main(void) {
  say("before");
  raise(SIGTERM);
  say("not reached");
  return 0;
}
