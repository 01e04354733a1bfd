/**
 * Numbers for objects in the order in which somebody asked: kcmp(2) orders what it compares, and objects have no
 * addresses here.
 */
export class Identities {
  readonly #numbers = new WeakMap<object, number>()
  #last = 0

  of(object: object): number {
    let number = this.#numbers.get(object)
    if (number === undefined) {
      number = ++this.#last
      this.#numbers.set(object, number)
    }
    return number
  }
}
