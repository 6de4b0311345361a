/**
 * Published functions: their text, and the sandbox that runs it.
 *
 * `functionSource(fn)` takes a function as text and refuses what could not run elsewhere or would not always give the
 * same answer. A {@link FunctionRunner} runs such texts over batches of rows in Deno processes without any permission.
 * `checkDeterministic` runs one twice and compares.
 *
 * Values cross in the form that users see: int64 and duration are bigint, a date is `"2001-03-01"`, a timestamp is an
 * object with the face of `Timestamp` (`micros`, `toDate()`; compares with `<`). A function may give a `Date` or bigint
 * micros for a timestamp, and a whole number for an int64. Inside, the time zone is UTC.
 * @module
 */
export { allowedGlobals } from "./allowed_globals.ts";
export { checkDeterministic, type DeterminismOptions } from "./check_deterministic.ts";
export { findDeno, type FindDenoOptions } from "./find_deno.ts";
export { type AnyFunction, type FunctionSource, functionSource, sourceOfText } from "./function_source.ts";
export {
  FunctionRunner,
  type FunctionRunnerOptions,
  type FunctionRuns,
  InProcessRunner,
  type PublishedFunction,
  type RunnerStatus,
  type RunOptions,
} from "./runner.ts";
