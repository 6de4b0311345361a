/**
 * Published functions: their text, and the sandbox that runs it.
 *
 * `functionSource(fn)` takes a function as text and refuses what could not run elsewhere or would not always give the
 * same answer. A {@link FunctionRunner} runs such texts over batches of rows in Deno processes without any permission.
 * `publishedFunction` says in one call what is published. `checkDeterministic` runs one twice and compares.
 *
 * Values cross in the form that users see: int64 and duration are bigint, a date is `"2001-03-01"`, a timestamp is an
 * object with the face of `Timestamp` (`micros`, `toDate()`; compares with `<`). A function may give a `Date` or bigint
 * micros for a timestamp, and a whole number for an int64. Inside, the time zone is UTC.
 *
 * What holds, by level. L0, in process ({@link InProcessRunner}): for one's own code on one's own computer; nothing limits it.
 * L1, a Deno process of its own for each function ({@link FunctionRunner}): no files, network, environment, other processes,
 * clock, chance or compiler, and nothing outlives a row; a batch that takes too long or too much memory ends its process and
 * fails alone; what comes back is checked against the output schema. `prlimit` and `setpriv` bound memory and CPU on Linux where
 * they are there. L2, strangers' code: L1 does not protect from faults in V8, Deno or the kernel; run the worker in a container.
 *
 * Realtime views are its only users: the package exports the types of what a function gives, and settings of its runner.
 * @module
 */
export { allowedGlobals } from "./allowed_globals.ts";
export { checkDeterministic, type DeterminismOptions } from "./check_deterministic.ts";
export { findDeno, type FindDenoOptions } from "./find_deno.ts";
export { type AnyFunction, type FunctionSource, functionSource, sourceOfText } from "./function_source.ts";
export {
  type FunctionAnswer,
  type FunctionValue,
  type PublishedFunction,
  publishedFunction,
} from "./published_function.ts";
export { InProcessRunner } from "./in_process.ts";
export { FunctionRunner } from "./runner.ts";
export type { FunctionRunnerOptions, FunctionRuns, RunnerStatus, RunOptions } from "./runner_options.ts";
