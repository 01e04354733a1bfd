/**
 * The signal actions of a thread group (or of several tasks that share them by CLONE_SIGHAND), and the signal mutex.
 */
import { SIG_DFL, SIG_IGN, type SigAction } from "../Abi/SigAction.ts"
import { NSIG, SA_RESETHAND, type SignalSet, defaultAction, signalBit } from "../Abi/Signal.ts"
import { Mutex } from "../Sync/Mutex.ts"

const DEFAULT: SigAction = { sa_handler: SIG_DFL, sa_flags: 0, sa_restorer: 0, sa_mask: 0n }

export class SignalHandlers {
  /**
   * The signal mutex: protects the actions here, every `PendingSignals` of the tasks and groups that use them, and
   * their group-stop state.
   */
  readonly mutex = new Mutex()
  /** Guarded by: mutex. */
  readonly #actions: Array<SigAction>

  constructor(actions?: ReadonlyArray<SigAction>) {
    this.#actions = actions === undefined ? Array.from({ length: NSIG + 1 }, () => DEFAULT) : [...actions]
  }

  get(signo: number): SigAction {
    return this.#actions[signo]!
  }

  set(signo: number, action: SigAction): void {
    this.#actions[signo] = action
  }

  /** Whether a signal that arrives would be thrown away: SIG_IGN, or SIG_DFL where the default is to ignore. */
  ignores(signo: number): boolean {
    const { sa_handler } = this.get(signo)
    if (sa_handler !== SIG_DFL) return sa_handler === SIG_IGN
    const action = defaultAction(signo)
    return action === "Ignore" || action === "Continue" // SIGCONT has continued the process when it was sent
  }

  /** Whether a handler of the application's is installed. */
  catches(signo: number): boolean {
    const { sa_handler } = this.get(signo)
    return sa_handler !== SIG_IGN && sa_handler !== SIG_DFL
  }

  /** Whether there is a handler for one of the signals in `set`. */
  catchesAny(set: SignalSet): boolean {
    for (let base = 1, rest = set; rest !== 0n; base += 32, rest >>= 32n) {
      for (let bits = Number(rest & 0xffff_ffffn), signo = base; bits !== 0; bits >>>= 1, signo++) {
        if ((bits & 1) !== 0 && this.catches(signo)) return true
      }
    }
    return false
  }

  /** The signals set to SIG_IGN, and those with a handler (SigIgn and SigCgt of /proc/[pid]/status). */
  summary(): { readonly ignored: SignalSet; readonly caught: SignalSet } {
    let ignored = 0n
    let caught = 0n
    for (let signo = 1; signo <= NSIG; signo++) {
      if (this.get(signo).sa_handler === SIG_IGN) ignored |= signalBit(signo)
      else if (this.catches(signo)) caught |= signalBit(signo)
    }
    return { ignored, caught }
  }

  /** The action for a signal about to be handled; SA_RESETHAND takes effect. */
  take(signo: number): SigAction {
    const action = this.get(signo)
    if ((action.sa_flags & SA_RESETHAND) !== 0) this.set(signo, { ...action, sa_handler: SIG_DFL })
    return action
  }

  /** Handlers of one's own with the same actions (fork without CLONE_SIGHAND). */
  copy(): SignalHandlers {
    return new SignalHandlers(this.#actions)
  }

  /** What execve(2) leaves: caught signals become SIG_DFL, ignored ones stay ignored. */
  copyForExec(): SignalHandlers {
    return new SignalHandlers(
      this.#actions.map((action) => ({ ...DEFAULT, sa_handler: action.sa_handler === SIG_IGN ? SIG_IGN : SIG_DFL }))
    )
  }

  /** All actions to SIG_DFL (CLONE_CLEAR_SIGHAND), ignored ones kept. */
  static readonly fresh = (): SignalHandlers => new SignalHandlers()
}
