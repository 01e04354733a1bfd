/**
 * getrlimit(2): soft and hard limits of a thread group.
 */
import {
  RLIMIT_CORE,
  RLIMIT_MEMLOCK,
  RLIMIT_MSGQUEUE,
  RLIMIT_NICE,
  RLIMIT_NOFILE,
  RLIMIT_NPROC,
  RLIMIT_RTPRIO,
  RLIMIT_SIGPENDING,
  RLIMIT_STACK,
  RLIM_INFINITY,
  RLIM_NLIMITS,
  type Rlimit
} from "../Abi/Resource.ts"

const unlimited: Rlimit = { rlim_cur: RLIM_INFINITY, rlim_max: RLIM_INFINITY }

/** What Linux gives init (INIT_RLIMITS), where it is not unlimited. */
const defaults = new Map<number, Rlimit>([
  [RLIMIT_STACK, { rlim_cur: 8_388_608n, rlim_max: RLIM_INFINITY }],
  [RLIMIT_CORE, { rlim_cur: 0n, rlim_max: RLIM_INFINITY }],
  [RLIMIT_NPROC, { rlim_cur: 31_000n, rlim_max: 31_000n }],
  [RLIMIT_NOFILE, { rlim_cur: 1024n, rlim_max: 1_048_576n }],
  [RLIMIT_MEMLOCK, { rlim_cur: 8_388_608n, rlim_max: 8_388_608n }],
  [RLIMIT_SIGPENDING, { rlim_cur: 31_000n, rlim_max: 31_000n }],
  [RLIMIT_MSGQUEUE, { rlim_cur: 819_200n, rlim_max: 819_200n }],
  [RLIMIT_NICE, { rlim_cur: 0n, rlim_max: 0n }],
  [RLIMIT_RTPRIO, { rlim_cur: 0n, rlim_max: 0n }]
])

/** Atomic: set. Shared by the tasks of a thread group, copied by fork. */
export class ResourceLimits {
  readonly #limits: Array<Rlimit>

  constructor(limits?: ReadonlyArray<Rlimit>) {
    this.#limits =
      limits === undefined
        ? Array.from({ length: RLIM_NLIMITS }, (_, resource) => defaults.get(resource) ?? unlimited)
        : [...limits]
  }

  get(resource: number): Rlimit {
    return this.#limits[resource]!
  }

  set(resource: number, limit: Rlimit): void {
    this.#limits[resource] = limit
  }

  /** The soft limit as a number; Infinity for RLIM_INFINITY. */
  soft(resource: number): number {
    const { rlim_cur } = this.get(resource)
    return rlim_cur === RLIM_INFINITY ? Infinity : Number(rlim_cur)
  }

  copy(): ResourceLimits {
    return new ResourceLimits(this.#limits)
  }
}
