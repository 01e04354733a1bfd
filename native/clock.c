/* Host clocks. */
#include <stdint.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

/* Nanoseconds on clock `id`, clock_gettime(2). */
EXPORT int64_t sentry_clock(int id);
int64_t sentry_clock(int id) {
  struct timespec now;
  if (clock_gettime(id, &now) != 0) return 0;
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
