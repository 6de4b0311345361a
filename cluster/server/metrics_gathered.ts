/** The metrics of several processes, put together. */
import { countersOf, MembersMetrics, mergedMetrics, mergedValues } from "./metrics.ts";
import type { MetricsText, MetricValues } from "./metrics.ts";
import type { ToMember } from "./process_messages.ts";

/** How long a process may take to tell its metrics; one that is slower counts with what it told last. */
const answerMs = 1_000;

interface Source {
  readonly ask: (message: ToMember) => void;
  last: MetricValues | undefined;
  /** Those who wait for its answer, by the number of the question. */
  readonly waiting: Map<number, () => void>;
}

/** Asks members for their metrics. Counters never fall: what a process had told before it ended is kept. */
export class GatheredMetrics {
  readonly #members = new MembersMetrics();
  readonly #sources = new Map<number, Source>();
  /** What processes counted that are no more. */
  #departed: MetricValues[] = [];
  #lastId = 0;

  /** A process listens. */
  add(member: number, ask: Source["ask"]): void {
    this.#sources.set(member, { ask, last: undefined, waiting: new Map() });
  }

  /** It ended. */
  remove(member: number): void {
    const source = this.#sources.get(member);
    if (!source) return;
    this.#sources.delete(member);
    if (source.last) this.#departed.push(countersOf(source.last));
    for (const answered of source.waiting.values()) answered();
  }

  /** A process ended, and another is started. */
  restarted(): void {
    this.#members.restarted();
  }

  /** A process answered. */
  heard(member: number, id: number, values: MetricValues): void {
    const source = this.#sources.get(member);
    if (!source) return;
    source.last = values;
    source.waiting.get(id)?.();
  }

  /** The metrics of all, as text. */
  async text(): Promise<MetricsText> {
    await Promise.all([...this.#sources.values()].map((source) => this.#ask(source)));
    this.#members.answering(this.#sources.size);
    const ours = await this.#members.values();
    // In one go: a process is either among those that live or among those that are no more.
    const living = [...this.#sources.values()].flatMap(({ last }) => last ? [last] : []);
    const departed = this.#departed;
    void this.#shorten(departed);
    return await mergedMetrics([...living, ...departed, ours]);
  }

  /** Makes one of what departed processes counted: a process may be started again for years. */
  async #shorten(departed: readonly MetricValues[]): Promise<void> {
    if (departed.length < 2) return;
    const count = departed.length;
    const one = await mergedValues(departed);
    if (this.#departed === departed) this.#departed = [one, ...this.#departed.slice(count)];
  }

  #ask(source: Source): Promise<void> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        source.waiting.delete(id);
        resolve();
      };
      const timer = setTimeout(done, answerMs);
      source.waiting.set(id, done);
      source.ask({ kind: "wantValues", id });
    });
  }
}
