#include "guest.h"
#include <sys/auxv.h>
#include <sys/random.h>

int main(void) {
  unsigned char a[256] = {0}, b[256] = {0};
  TRY(getrandom(a, sizeof a, 0));
  TRY(getrandom(b, sizeof b, GRND_NONBLOCK));
  IS(memcmp(a, b, sizeof a) != 0);
  int kinds = 0;
  bool seen[256] = {0};
  for (int i = 0; i < 256; i++) kinds += !seen[a[i]], seen[a[i]] = true;
  IS(kinds > 100);
  TRY(getrandom(a, 0, 0));
  TRY(getrandom(a, 16, 0x100));
  TRY(getrandom(a, 16, GRND_RANDOM | GRND_INSECURE));
  TRY(getrandom((void *)8, 16, 0));
  TRY(getentropy(a, 256));
  static char big[1 << 20];
  TRY(getrandom(big, sizeof big, 0));
  IS(big[(1 << 20) - 1] != 0 || big[(1 << 20) - 2] != 0 || big[(1 << 20) - 3] != 0);
  unsigned char zero[16] = {0};
  IS(memcmp((void *)getauxval(AT_RANDOM), zero, 16) != 0);
  return 0;
}
