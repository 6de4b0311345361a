/** Why a run has no answers, as errors. */
import { messageOf, VarveError } from "../errors.ts";
import { plain } from "./child.ts";
import type { HostProblem } from "./child_host.ts";
import type { PublishedFunction } from "./published_function.ts";

/** The error of a run after the end. */
export function closedError(fn: PublishedFunction): VarveError {
  return new VarveError("CANCELLED", `Cannot run ${fn.name}: the runner of functions is closed`);
}

/** The error of a signal that was raised: TIMEOUT for a deadline. */
export function cancelled(fn: PublishedFunction, signal: AbortSignal | undefined): VarveError {
  const isDeadline = signal?.reason instanceof Error && signal.reason.name === "TimeoutError";
  return new VarveError(
    isDeadline ? "TIMEOUT" : "CANCELLED",
    `Cannot finish ${fn.name}: ${isDeadline ? "the deadline passed" : "it was cancelled"}`,
    { cause: signal?.reason },
  );
}

/** The error of a row that has no answer. */
export function problemError(fn: PublishedFunction, problem: HostProblem, from: number, rows: number): VarveError {
  const row = from + Math.min(Math.max(problem.row, 0), rows - 1);
  const field = problem.field === "" ? "" : `, field "${problem.field}",`;
  const [what, why] = problem.kind === "thrown"
    ? [`row ${row} threw ${problem.message}`, `it threw ${problem.message}`]
    : problem.kind === "misread"
    ? [
      `for row ${row} it reads "${problem.field}", ${problem.message}`,
      `it reads "${problem.field}", ${problem.message}`,
    ]
    : [`its answer to row ${row}${field} ${problem.message}`, `its answer${field} ${problem.message}`];
  const said = problem.console === "" ? "" : `; it wrote to the console: ${problem.console.trim().slice(0, 500)}`;
  return new VarveError("FUNCTION_FAILED", `Cannot finish ${fn.name}: ${what}${said}`, {
    details: {
      function: fn.name,
      row,
      problem: `${why}${said}`,
      ...(problem.field === "" ? {} : { field: problem.field }),
      ...(problem.kind === "misread" && { isMisread: true }),
      ...(problem.console === "" ? {} : { console: problem.console }),
    },
  });
}

/** What a function threw, in words. */
export function describeThrown(error: unknown): string {
  try {
    const kind = error instanceof Error && error.name !== "Error" ? `${error.name}: ` : "";
    return plain(`${kind}${messageOf(error)}`).slice(0, 1_000);
  } catch {
    return "something that cannot be shown";
  }
}
