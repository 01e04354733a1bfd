/**
 * The processor's time-stamp counter as a clock.
 */
import { readFileSync } from "node:fs"

const CLOCKSOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"

/**
 * Whether the counter runs evenly and alike on all CPUs: the host then uses it for its own clock, by itself or as a
 * hypervisor's guest.
 */
export const isCounterSteady = (): boolean => {
  try {
    return ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page"].includes(readFileSync(CLOCKSOURCE, "latin1").trim())
  } catch {
    return false
  }
}
