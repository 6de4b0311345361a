/** How functions are run, what runs them, and what that is doing: the words of it. */
import { type OptionNames, VarveError } from "../errors.ts";
import type { Row } from "../schema.ts";
import type { PublishedFunction } from "./published_function.ts";

/** For one run. */
export interface RunOptions {
  /** Gives up: the call fails with `CANCELLED`, after a deadline with `TIMEOUT`; the answer is dropped when it comes. */
  readonly signal?: AbortSignal | undefined;
}

/** Something that runs published functions. */
export interface FunctionRuns {
  /** The answers to rows, in their order. Fails as a whole with the first row that has none. */
  run(fn: PublishedFunction, rows: readonly Row[], options?: RunOptions): Promise<Row[]>;
  /** Makes ready, so that the first run does not wait for a start. */
  warm(fn: PublishedFunction): Promise<void>;
  /** Ends everything that was started; runs that wait fail. */
  close(): Promise<void>;
}

/** How functions are run. */
export interface FunctionRunnerOptions {
  /** The Deno executable; else it is looked for. */
  readonly deno?: string | undefined;
  /** The environment, for `VARVE_DENO` and `PATH`; else that of this process. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Processes for each function (1). */
  readonly processes?: number | undefined;
  /** Processes of all functions (16): before one more starts, one that has nothing to do ends. */
  readonly maxProcesses?: number | undefined;
  /** Wall time for a row in ms (5,000); a process that needs longer is killed. */
  readonly timeoutMs?: number | undefined;
  /** Wall time in ms without a reply after which others no longer wait, but are answered by another process (never). */
  readonly lateMs?: number | undefined;
  /** Wall time for a start in ms (15,000). */
  readonly startTimeoutMs?: number | undefined;
  /** Memory that a function may take in MB (256), beyond what Deno itself takes. */
  readonly memoryMb?: number | undefined;
  /** Rows in one batch (1,000); more are cut into several. */
  readonly batchRows?: number | undefined;
  /** Bytes of the rows in one batch, about (1,000,000); more are cut into several, down to one row. */
  readonly batchBytes?: number | undefined;
  /** Runs of so many rows or fewer are sent together when they come at a time (0: each is a batch of its own). */
  readonly gatherRows?: number | undefined;
  /** Batches of one function that may wait (1,000). */
  readonly maxQueue?: number | undefined;
  /** Bytes of the answer to one row, about (8,000,000). */
  readonly maxAnswerBytes?: number | undefined;
  /** Batches after which a process is replaced (10,000). */
  readonly recycleAfter?: number | undefined;
  /** Idle time in ms after which a process ends (300,000). */
  readonly idleMs?: number | undefined;
  /** Whether a run fails that asks its row for a field that there is not (false: the field is undefined). */
  readonly isStrict?: boolean | undefined;
}

/** What users may say about how functions are run. */
export interface FunctionSettings {
  /** The Deno executable. @default `VARVE_DENO`, the npm package `deno`, or what is on the PATH */
  readonly deno?: string;
  /** Processes for each function. @default 1 */
  readonly processes?: number;
  /** Wall time for a row in ms, of a request or a training set. @default 5_000 */
  readonly timeoutMs?: number;
  /** Memory that a function may take in MB, beyond what Deno itself takes. @default 256 */
  readonly memoryMb?: number;
}

export const functionSettings: OptionNames<FunctionSettings> = {
  deno: true,
  processes: true,
  timeoutMs: true,
  memoryMb: true,
};

/** What a runner is doing. */
export interface RunnerStatus {
  /** The executable; absent until it is needed. */
  readonly deno: string | undefined;
  /** Tools of the system that limit each process (Linux): without `prlimit` only V8's own heap is bounded. */
  readonly guards: readonly string[];
  /** Functions that were run. */
  readonly functions: number;
  /** Processes that run. */
  readonly running: number;
  /** Processes started since the beginning. */
  readonly starts: number;
  /** Batches that wait or are being worked on. */
  readonly waiting: number;
}

/** A whole number of an option, or what stands where none is given. Throws `INVALID_CONFIG`. */
export function positive(name: string, value: number | undefined, otherwise: number, least = 1): number {
  const number = value ?? otherwise;
  if (!Number.isSafeInteger(number) || number < least || number > 2_147_483_647) {
    throw new VarveError(
      "INVALID_CONFIG",
      `Cannot run functions with ${name} ${number}: it is a whole number from ${least}`,
    );
  }
  return number;
}
