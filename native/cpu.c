/* Facts about the host's CPU that only CPUID tells. */
#include <cpuid.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

/* Bytes of a standard-format XSAVE image that holds the components of the mask `features` (XCR0 bits). */
EXPORT uint32_t sentry_xstate_size(uint64_t features);
uint32_t sentry_xstate_size(uint64_t features) {
  uint32_t end = 512 + 64; /* the legacy area and the header are always there */
  for (unsigned component = 2; component < 63; component++) {
    unsigned size, offset, flags, unused;
    if (!(features >> component & 1)) continue;
    __cpuid_count(0xd, component, size, offset, flags, unused);
    if (size != 0 && offset + size > end) end = offset + size;
  }
  return end;
}

/* Size and offset of a component of a standard-format XSAVE image, as the processor says; false if there is none. */
EXPORT int sentry_xstate_component(uint32_t component, uint32_t *out);
int sentry_xstate_component(uint32_t component, uint32_t *out) {
  unsigned flags, unused;
  __cpuid_count(0xd, component, out[0], out[1], flags, unused);
  return out[0] != 0;
}
