/**
 * Plans for fast-check: `fc.asyncProperty(Sim.plan(), (plan) => …)`.
 *
 * A plan that made a property fail shrinks by what was decided when `Sim.run` carried it out (PlanSpace.ts).
 */
import * as fc from "fast-check"
import { describe, type Plan } from "./Plan.ts"
import { drawPlan, type PlanSpace, smallerPlans } from "./PlanSpace.ts"

/** As fast-check prints it. */
const printable = (plan: Plan): Plan =>
  Object.defineProperty(plan, fc.toStringMethod, { value: () => describe(plan).join("; "), enumerable: false })

class PlanArbitrary extends fc.Arbitrary<Plan> {
  readonly #space: PlanSpace

  constructor(space: PlanSpace) {
    super()
    this.#space = space
  }

  override generate(random: fc.Random): fc.Value<Plan> {
    return new fc.Value(printable(drawPlan(this.#space, () => random.nextInt(0, 0xffff_ffff))), undefined)
  }

  override canShrinkWithoutContext(_value: unknown): _value is Plan {
    return false
  }

  override shrink(plan: Plan): fc.Stream<fc.Value<Plan>> {
    return fc.stream(smallerPlans(plan)).map((smaller) => new fc.Value(printable(smaller), undefined))
  }
}

/** Plans: schedules, and faults where `space` names some. */
export const plan = (space: PlanSpace = {}): fc.Arbitrary<Plan> => new PlanArbitrary(space)
