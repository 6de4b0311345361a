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
  readonly waiting: Map<number, (values: MetricValues) => void>;
}

/** Asks members for their metrics. Counters never fall: what a process had counted before it ended is kept. */
export class GatheredMetrics {
  readonly #members = new MembersMetrics();
  readonly #sources = new Map<number, Source>();
  #departed: MetricValues = [];
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
    for (const answer of source.waiting.values()) answer(source.last ?? []);
    if (!source.last) return;
    const counted = countersOf(source.last);
    void mergedValues([this.#departed, counted]).then((values) => this.#departed = values);
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
    source.waiting.get(id)?.(values);
  }

  /** The metrics of all, as text. */
  async text(): Promise<MetricsText> {
    const answers = await Promise.all([...this.#sources.values()].map((source) => this.#ask(source)));
    this.#members.answering(this.#sources.size);
    return await mergedMetrics([...answers, this.#departed, await this.#members.values()]);
  }

  async #ask(source: Source): Promise<MetricValues> {
    const id = ++this.#lastId;
    return await new Promise((resolve) => {
      const done = (values: MetricValues) => {
        clearTimeout(timer);
        source.waiting.delete(id);
        resolve(values);
      };
      const timer = setTimeout(() => done(source.last ?? []), answerMs);
      source.waiting.set(id, done);
      source.ask({ kind: "wantValues", id });
    });
  }
}
