#include "guest.h"

int main(void) {
  puts("hello from a static program");
  return 3;
}
