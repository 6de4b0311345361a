/** What an aggregator refuses, told by who reads its view. */
import { VarveError } from "../errors.ts";

/** The error of reading a view: an aggregator names its aggregation, and cannot know the view. */
export function windowFailure(view: string, error: unknown): unknown {
  if (!(error instanceof VarveError) || error.details["aggregation"] === undefined) return error;
  return new VarveError(error.code, `Cannot read view "${view}": ${error.message}`, {
    cause: error,
    details: { ...error.details, view },
  });
}
