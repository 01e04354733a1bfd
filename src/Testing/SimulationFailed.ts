import * as Data from "effect/Data"

/** The run could not take place, or the kernel failed. */
export class SimulationFailed extends Data.TaggedError("SimulationFailed")<{ readonly reason: string }> {
  override get message(): string {
    return this.reason
  }
}
