/** Timers that go off when a test says that time has passed. */
import type { Timers } from "../../sdk/queue/timers.ts";

export class ManualTimers implements Timers {
  #now = 0;
  #waiting: { readonly at: number; readonly run: () => void }[] = [];

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#waiting.push(timer);
    return () => this.#waiting = this.#waiting.filter((other) => other !== timer);
  }

  /** What is set, in milliseconds from now, soonest first. */
  get waits(): number[] {
    return this.#waiting.map((timer) => timer.at - this.#now).sort((a, b) => a - b);
  }

  /** Lets so much time pass; what goes off gets its turns, and may set new timers that go off within the same time. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await turn();
    while (true) {
      const next = this.#waiting.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#waiting = this.#waiting.filter((timer) => timer !== next);
      this.#now = next.at;
      next.run();
      await turn();
    }
    this.#now = end;
  }
}

/** Lets everything run that waits for nothing but its turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
