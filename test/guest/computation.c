/* No system calls to speak of: arithmetic, recursion, memory. What the program computes must not depend on who runs it. */
#include "guest.h"
#include <math.h>

static uint64_t state = 88172645463325252ULL;
static uint64_t next(void) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return state;
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

int main(void) {
  enum { N = 200000 };
  uint32_t *v = malloc(N * sizeof *v);
  for (int i = 0; i < N; i++) v[i] = (uint32_t)next();
  qsort(v, N, sizeof *v, compare);
  uint64_t hash = 14695981039346656037ULL;
  for (int i = 0; i < N; i++) hash = (hash ^ v[i]) * 1099511628211ULL;
  say("sorted: %016lx", hash);
  double sum = 0;
  for (int i = 1; i < 100000; i++) sum += sin(i) * sqrt(i) / log(i + 1);
  say("sum: %.17g", sum);
  static char sieve[100001];
  int primes = 0;
  for (int i = 2; i <= 100000; i++) {
    if (sieve[i]) continue;
    primes++;
    for (int j = 2 * i; j <= 100000; j += i) sieve[j] = 1;
  }
  INT(primes);
  char **blocks = calloc(1000, sizeof *blocks);
  size_t total = 0;
  for (int i = 0; i < 20000; i++) {
    int k = next() % 1000;
    size_t size = next() % 20000 + 1;
    free(blocks[k]);
    blocks[k] = malloc(size);
    memset(blocks[k], k, size);
    total += size;
  }
  INT(total);
  long wrong = 0;
  for (int k = 0; k < 1000; k++) wrong += blocks[k] != NULL && blocks[k][0] != (char)k;
  INT(wrong);
  return 0;
}
