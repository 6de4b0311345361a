/** Runs published functions over rows in sandboxed processes. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf, VarveError } from "../errors.ts";
import type { Row } from "../schema.ts";
import type { Call } from "./child.ts";
import { frameHead } from "./child_host.ts";
import type { Codec } from "./codec.ts";
import { Crew } from "./crew.ts";
import { findDeno } from "./find_deno.ts";
import { Gathering } from "./gathering.ts";
import { type CommandLine, commandLine } from "./launch.ts";
import { encodeInput, parentCodec } from "./parent_codec.ts";
import { checkFunction, type PublishedFunction } from "./published_function.ts";
import { cancelled, closedError, problemError } from "./run_errors.ts";
import {
  type FunctionRunnerOptions,
  type FunctionRuns,
  positive,
  type RunnerStatus,
  type RunOptions,
} from "./runner_options.ts";
import { weigh } from "./weigh.ts";

const cpuSeconds = 120;

/** How long a missing Deno is not looked for again. */
const missingMs = 1_000;

/**
 * Runs functions in Deno processes that have no permission: no files, network, environment, processes; one function in
 * each. Runs fail with `UNSUPPORTED` where there is no Deno. It starts a process with the first run of a function, and keeps it.
 */
export class FunctionRunner implements FunctionRuns {
  readonly #options: Readonly<Record<Exclude<keyof FunctionRunnerOptions, "deno" | "env" | "isStrict">, number>>;
  readonly #isStrict: boolean;
  readonly #find: { readonly deno: string | undefined; readonly env: FunctionRunnerOptions["env"] };
  #found: { readonly deno: string; readonly command: CommandLine } | undefined;
  #missing: { readonly error: unknown; readonly until: number } | undefined;
  readonly #codec: Codec = parentCodec();
  readonly #crews = new Map<string, Crew>();
  readonly #gatherings = new WeakMap<Crew, Gathering>();
  readonly #keys = new WeakMap<PublishedFunction, string>();
  #folder: string | undefined;
  #closed = false;

  /** Makes one; nothing is looked for or started yet. */
  constructor(options: FunctionRunnerOptions = {}) {
    this.#find = { deno: options.deno, env: options.env };
    this.#isStrict = options.isStrict ?? false;
    this.#options = {
      processes: positive("processes", options.processes, 1),
      maxProcesses: positive("maxProcesses", options.maxProcesses, 16),
      timeoutMs: positive("timeoutMs", options.timeoutMs, 5_000),
      lateMs: options.lateMs === undefined ? Infinity : positive("lateMs", options.lateMs, 1),
      startTimeoutMs: positive("startTimeoutMs", options.startTimeoutMs, 15_000),
      memoryMb: positive("memoryMb", options.memoryMb, 256, 16),
      batchRows: positive("batchRows", options.batchRows, 1_000),
      batchBytes: positive("batchBytes", options.batchBytes, 1_000_000),
      gatherRows: positive("gatherRows", options.gatherRows, 0, 0),
      maxQueue: positive("maxQueue", options.maxQueue, 1_000),
      maxAnswerBytes: positive("maxAnswerBytes", options.maxAnswerBytes, 8_000_000, 10_000),
      recycleAfter: positive("recycleAfter", options.recycleAfter, 10_000),
      idleMs: options.idleMs === Infinity ? Infinity : positive("idleMs", options.idleMs, 300_000),
    };
  }

  /** What it is doing. */
  get status(): RunnerStatus {
    const crews = [...this.#crews.values()];
    const sum = (of: (crew: Crew) => number) => crews.reduce((total, crew) => total + of(crew), 0);
    return {
      deno: this.#found?.deno,
      guards: this.#found?.command.guards ?? [],
      functions: crews.length,
      running: sum((crew) => crew.running),
      starts: sum((crew) => crew.starts),
      waiting: sum((crew) => crew.waiting),
    };
  }

  /** Why no function can be run here: there is no Deno. */
  get lack(): string | undefined {
    try {
      this.#command();
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  /** The answers to rows, in their order. Fails as a whole with the first row that has none. */
  async run(fn: PublishedFunction, rows: readonly Row[], options: RunOptions = {}): Promise<Row[]> {
    const crew = this.#crew(fn);
    if (rows.length === 0) return [];
    crew.runs++;
    try {
      if (rows.length <= this.#options.gatherRows) return await this.#gathering(crew, fn).run(rows, options.signal);
      return await this.#batches(crew, fn, rows, options.signal);
    } finally {
      crew.runs--;
    }
  }

  /** Starts a process for a function, if none runs, and waits until it is ready. */
  async warm(fn: PublishedFunction): Promise<void> {
    await this.#crew(fn).warm();
  }

  /** Ends the processes of all other functions, as far as they have nothing to do, and forgets those functions. */
  retain(functions: readonly PublishedFunction[]): void {
    const kept = new Set(functions.map((fn) => this.#keyOf(fn)));
    for (const [key, crew] of this.#crews) {
      // A run that has nothing out at this moment will: a crew that was forgotten would start processes that nobody ends.
      if (kept.has(key) || crew.runs > 0) continue;
      crew.rest();
      this.#crews.delete(key);
    }
  }

  /** Ends all processes; runs that wait fail with `CANCELLED`. */
  async close(): Promise<void> {
    this.#closed = true;
    const why = new VarveError("CANCELLED", "Cannot run published functions: their runner was closed");
    await Promise.all([...this.#crews.values()].map((crew) => crew.close(why)));
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }

  #crew(fn: PublishedFunction): Crew {
    if (this.#closed) throw closedError(fn);
    const key = this.#keyOf(fn);
    let crew = this.#crews.get(key);
    if (crew === undefined) {
      checkFunction(fn);
      const command = this.#command();
      const { processes, timeoutMs, lateMs, startTimeoutMs, memoryMb, batchBytes, maxAnswerBytes } = this.#options;
      const { recycleAfter, idleMs, maxQueue } = this.#options;
      const folder = this.#folders();
      crew = new Crew({
        children: processes,
        recycleAfter,
        // Half of what the system allows a process, so that it is never the one to end it.
        recycleAfterMs: cpuSeconds * 500,
        idleMs,
        maxQueue,
        beforeStart: () => this.#makeRoom(),
        child: {
          command,
          folder: join(folder, "empty"),
          denoFolder: join(folder, "deno"),
          name: fn.name,
          timeoutMs,
          lateMs,
          startTimeoutMs,
          memoryMb,
          start: {
            source: fn.source,
            input: fn.input,
            output: fn.output,
            batchBytes,
            replyAfterMs: Math.ceil(timeoutMs / 10),
            maxAnswerBytes,
            isStrict: this.#isStrict,
          },
        },
      });
    } else {
      // The last in the map is the one that was used last.
      this.#crews.delete(key);
    }
    this.#crews.set(key, crew);
    return crew;
  }

  #keyOf(fn: PublishedFunction): string {
    let key = this.#keys.get(fn);
    if (key === undefined) {
      key = JSON.stringify([fn.name, fn.hash, fn.source, fn.input, fn.output]);
      this.#keys.set(fn, key);
    }
    return key;
  }

  #command(): CommandLine {
    if (this.#found) return this.#found.command;
    // Whoever asks again and again does not look through folders each time, and finds what was installed meanwhile.
    if (this.#missing && performance.now() < this.#missing.until) throw this.#missing.error;
    try {
      const deno = findDeno(this.#find);
      this.#found = { deno, command: commandLine(deno, { memoryMb: this.#options.memoryMb, cpuSeconds }) };
      return this.#found.command;
    } catch (error) {
      this.#missing = { error, until: performance.now() + missingMs };
      throw error;
    }
  }

  #makeRoom(): void {
    let running = 1;
    for (const crew of this.#crews.values()) running += crew.running;
    for (const crew of this.#crews.values()) {
      if (running <= this.#options.maxProcesses) return;
      if (!crew.resting) continue;
      running -= crew.running;
      crew.rest();
    }
  }

  #folders(): string {
    if (this.#folder === undefined) {
      this.#folder = mkdtempSync(join(tmpdir(), "varve-functions-"));
      mkdirSync(join(this.#folder, "empty"), { mode: 0o500 });
      mkdirSync(join(this.#folder, "deno"));
    }
    return this.#folder;
  }

  #gathering(crew: Crew, fn: PublishedFunction): Gathering {
    let gathering = this.#gatherings.get(crew);
    if (gathering === undefined) {
      const { batchRows, processes } = this.#options;
      gathering = new Gathering({
        send: (rows, signal, late) => this.#batches(crew, fn, rows, signal, late),
        cancelled: (signal) => cancelled(fn, signal),
        batchRows,
        batches: processes,
      });
      this.#gatherings.set(crew, gathering);
    }
    return gathering;
  }

  /** Cuts rows into batches, a few of them at a time: a long run leaves room for others in the queue. */
  async #batches(
    crew: Crew,
    fn: PublishedFunction,
    rows: readonly Row[],
    signal: AbortSignal | undefined,
    late?: () => void,
  ): Promise<Row[]> {
    const answers: Row[][] = [];
    let next = 0;
    const failures: { readonly from: number; readonly error: unknown }[] = [];
    const lane = async (): Promise<void> => {
      while (next < rows.length && failures.length === 0) {
        let from = next;
        const end = next = this.#endOfBatch(fn, rows, from);
        const place = answers.push([]) - 1;
        try {
          const parts: Row[][] = [];
          // Of long answers only as many come at a time as a batch may hold, of slow ones as many as there was time for.
          while (from < end) {
            const part = await this.#batch(crew, fn, rows.slice(from, end), from, signal, late);
            parts.push(part);
            from += part.length;
          }
          answers[place] = parts.length === 1 ? parts[0]! : parts.flat();
        } catch (error) {
          failures.push({ from, error });
        }
      }
    };
    await Promise.all(Array.from({ length: 2 * this.#options.processes }, lane));
    // All batches before one that failed were sent: the first of them has the first row without an answer.
    const [failed] = failures.sort((a, b) => a.from - b.from);
    if (failed) throw failed.error;
    return answers.length === 1 ? answers[0]! : answers.flat();
  }

  /** Where the batch ends that begins with a row: it is full of rows or of bytes; a row is never cut. */
  #endOfBatch(fn: PublishedFunction, rows: readonly Row[], from: number): number {
    const { batchRows, batchBytes } = this.#options;
    const last = Math.min(rows.length, from + batchRows);
    let bytes = 0;
    for (let end = from; end < last; end += 1) {
      for (const { name, type } of fn.input) bytes += weigh(type, rows[end]![name]);
      if (bytes > batchBytes && end > from) return end;
    }
    return last;
  }

  /** The answers to rows, or to the first of them when answers are long. */
  #batch(
    crew: Crew,
    fn: PublishedFunction,
    rows: readonly Row[],
    from: number,
    signal: AbortSignal | undefined,
    late?: () => void,
  ): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      // The rest of a long run, or one that is sent again.
      if (this.#closed) return reject(closedError(fn));
      if (signal?.aborted) return reject(cancelled(fn, signal));
      const finish = (act: () => void): void => {
        if (call.done) return;
        call.done = true;
        signal?.removeEventListener("abort", onAbort);
        act();
      };
      const onAbort = (): void => {
        crew.withdraw(call);
        finish(() => reject(cancelled(fn, signal)));
      };
      const call: Call & { done: boolean } = {
        rows: rows.length,
        frame: encodeInput(this.#codec, fn, rows, from, frameHead),
        sends: 0,
        done: false,
        answer: (count, body) => {
          if (call.done) return;
          const answers = this.#codec.decode(fn.output, count, body);
          finish(() => resolve(answers));
        },
        problem: (problem) => finish(() => reject(problemError(fn, problem, from, rows.length))),
        fail: (error) => finish(() => reject(error)),
        late,
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      try {
        crew.add(call);
      } catch (error) {
        finish(() => reject(error as Error));
      }
    });
  }
}
