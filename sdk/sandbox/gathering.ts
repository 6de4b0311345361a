/** Small runs of one function that are sent together: many requests at a time then cost little more than one. */
import { setImmediate } from "node:timers";
import { VarveError } from "../errors.ts";
import type { Row } from "../schema.ts";

/** What gathering needs. */
export interface GatheringOptions {
  /** Sends rows as one batch. `late` is called when one of them takes long. */
  readonly send: (rows: readonly Row[], signal?: AbortSignal, late?: () => void) => Promise<Row[]>;
  /** The error of a run that nobody waits for any more. */
  readonly cancelled: (signal: AbortSignal) => VarveError;
  /** Rows sent together. */
  readonly batchRows: number;
  /** Batches that are out at a time; what comes meanwhile is gathered. */
  readonly batches: number;
}

/** A run that waits. */
interface Waiting {
  readonly rows: readonly Row[];
  readonly signal: AbortSignal | undefined;
  /** Ends it, once; later ends are dropped. */
  readonly end: (answers: Row[] | VarveError) => void;
  ended: boolean;
}

/**
 * See the file's sentence. A batch that fails or is late is sent again run by run: a row that has no answer, or never ends, fails its
 * own run alone.
 */
export class Gathering {
  readonly #options: GatheringOptions;
  #waiting: Waiting[] = [];
  #out = 0;
  #isPlanned = false;

  /** Makes one; nothing is sent yet. */
  constructor(options: GatheringOptions) {
    this.#options = options;
  }

  /** The answers to rows, in their order. */
  run(rows: readonly Row[], signal: AbortSignal | undefined): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(this.#options.cancelled(signal));
      const onAbort = (): void => waiting.end(this.#options.cancelled(signal!));
      const waiting: Waiting = {
        rows,
        signal,
        ended: false,
        end: (answers) => {
          if (waiting.ended) return;
          waiting.ended = true;
          signal?.removeEventListener("abort", onAbort);
          if (answers instanceof Error) reject(answers);
          else resolve(answers);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(waiting);
      this.#plan();
    });
  }

  /** What comes in one turn of the event loop goes together. */
  #plan(): void {
    if (this.#isPlanned || this.#out >= this.#options.batches) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      while (this.#waiting.length > 0 && this.#out < this.#options.batches) void this.#sendNext();
    });
  }

  async #sendNext(): Promise<void> {
    const runs = this.#take();
    if (runs.length === 0) return;
    this.#out += 1;
    let isOut = true;
    const free = (): void => {
      if (!isOut) return;
      isOut = false;
      this.#out -= 1;
      if (this.#waiting.length > 0) this.#plan();
    };
    await this.#send(runs, free);
    free();
  }

  #take(): Waiting[] {
    const runs: Waiting[] = [];
    let rows = 0;
    let taken = 0;
    for (const run of this.#waiting) {
      if (rows > 0 && rows + run.rows.length > this.#options.batchRows) break;
      taken += 1;
      if (run.ended) continue;
      runs.push(run);
      rows += run.rows.length;
    }
    this.#waiting.splice(0, taken);
    return runs;
  }

  async #send(runs: readonly Waiting[], late: () => void): Promise<void> {
    if (runs.length === 1) return await this.#sendAlone(runs[0]!, late);
    let again: Promise<unknown> | undefined;
    const sendAgain = () => again ??= Promise.all(runs.map((run) => this.#sendAlone(run)));
    try {
      const answers = await this.#options.send(runs.flatMap(({ rows }) => rows), undefined, () => {
        late();
        void sendAgain();
      });
      let from = 0;
      for (const run of runs) run.end(answers.slice(from, from += run.rows.length));
    } catch {
      await sendAgain();
    }
  }

  async #sendAlone(run: Waiting, late?: () => void): Promise<void> {
    if (run.ended) return;
    try {
      run.end(await this.#options.send(run.rows, run.signal, late));
    } catch (error) {
      run.end(error as VarveError);
    }
  }
}
