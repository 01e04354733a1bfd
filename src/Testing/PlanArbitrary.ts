/**
 * Plans for properties, fast-check's and those of @effect/vitest alike:
 *
 *     fc.asyncProperty(Sim.plan(), (plan) => …)
 *     it.effect.prop("…", { plan: Sim.plan() }, ({ plan }) => …)
 *
 * A plan that made a property fail shrinks by what was decided when `Sim.run` carried it out (PlanSpace.ts).
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as fc from "fast-check"
import { describe, Plan } from "./Plan.ts"
import { drawPlan, type PlanSpace, smallerPlans } from "./PlanSpace.ts"
import { randomNumbers } from "./Randomness.ts"

/** As fast-check prints it. */
const printable = (plan: Plan): Plan =>
  Object.defineProperty(plan, fc.toStringMethod, { value: () => describe(plan).join("; "), enumerable: false })

class FastCheckPlans extends fc.Arbitrary<Plan> {
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

/** Effect wants the smaller plans of one all at once; of very many, the last differ least from it. */
const MAX_SMALLER = 1000

const someSmallerPlans = (plan: Plan): ReadonlyArray<Plan> => {
  const plans: Array<Plan> = []
  for (const smaller of smallerPlans(plan)) if (plans.push(smaller) === MAX_SMALLER) break
  return plans
}

/** Effect likes to draw small numbers: four of them are hardly ever the same twice. */
const Seeds = Schema.Tuple([Schema.Int, Schema.Int, Schema.Int, Schema.Int])

const effectPlans = (space: PlanSpace): Arbitrary.Arbitrary<Plan> => {
  const draw = (seeds: readonly [number, number, number, number]): Plan =>
    drawPlan(space, randomNumbers(seeds.reduce((mixed, seed) => randomNumbers(mixed ^ seed)(), 0)))
  const schema = Schema.declare(Schema.is(Plan), {
    toCodecArbitrary: () =>
      Schema.link<Plan>()(Seeds, { decode: SchemaGetter.transform(draw), encode: SchemaGetter.forbiddenEncoding })
  })
  return Arbitrary.schema(schema, { shrink: someSmallerPlans })
}

/** Plans: schedules, and faults where `space` names some. */
export const plan = (space: PlanSpace = {}): fc.Arbitrary<Plan> & Arbitrary.Arbitrary<Plan> => {
  const arbitrary = new FastCheckPlans(space)
  const other = effectPlans(space)
  // the two have no member in common: one value is both
  for (const part of [Object.getPrototypeOf(other), other])
    Object.defineProperties(arbitrary, Object.getOwnPropertyDescriptors(part))
  return arbitrary as typeof arbitrary & typeof other
}
