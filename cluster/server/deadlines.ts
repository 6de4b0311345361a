/**
 * Signals that are raised when a request's time is over. One of its own for every request costs several microseconds of CPU, a
 * tenth of the whole answer: those that end within the same few milliseconds share one.
 */
import { setMaxListeners } from "node:events";

/** How much later than asked a signal may be raised, as a share of the time, and in milliseconds at most. */
const lateness = { share: 0.05, mostMs: 50 } as const;

/** What AbortSignal.timeout gives; one for all, as making it takes longer than an answer. */
const timeout = new DOMException("The operation was aborted due to timeout", "TimeoutError");

/** Signals by when they are raised. */
export class Deadlines {
  readonly #signals = new Map<number, AbortSignal>();
  /** The one that was given last: most requests have as much time as the one before them. */
  #last: AbortSignal | undefined;
  #lastEnd = NaN;

  /** A signal that is raised so long after `now`, never before that: TimeoutError, as `AbortSignal.timeout` does. */
  after(milliseconds: number, now: number = performance.now()): AbortSignal {
    const step = Math.min(lateness.mostMs, Math.max(1, Math.floor(milliseconds * lateness.share)));
    const end = Math.ceil((now + milliseconds) / step) * step;
    if (end === this.#lastEnd) return this.#last!;
    const signal = this.#signals.get(end) ?? this.#newSignal(end);
    this.#last = signal;
    this.#lastEnd = end;
    return signal;
  }

  /** One that is raised at an instant. */
  #newSignal(end: number): AbortSignal {
    const controller = new AbortController();
    // One listener per request that shares it is no leak.
    setMaxListeners(0, controller.signal);
    this.#signals.set(end, controller.signal);
    const raise = () => {
      this.#signals.delete(end);
      if (this.#lastEnd === end) this.#lastEnd = NaN;
      controller.abort(timeout);
    };
    // A timer may fire a fraction of a millisecond early.
    setTimeout(raise, Math.ceil(end - performance.now()) + 1).unref();
    return controller.signal;
  }
}
