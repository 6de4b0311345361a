/**
 * varve: a feature store for TypeScript. Shape features with a fluent dataframe, preview them, publish them;
 * train on them point-in-time correct; serve the same numbers.
 * @module
 */

// Errors
export { errorCodes, messageOf, throwIssues, VarveError } from "./errors.ts";
export type { ErrorCode, Issue, VarveErrorOptions } from "./errors.ts";

// Time
export {
  durationToMicros,
  effectiveMicros,
  formatDuration,
  formatRange,
  formatTimestamp,
  ManualClock,
  systemClock,
  timeRange,
  Timestamp,
  toMicros,
} from "./time.ts";
export type { Clock, Duration, Micros, TimeRange, TimestampLike } from "./time.ts";

// Types of columns
export { formatType, nameProblem } from "./schema.ts";
export type {
  DataType,
  Field,
  ListType,
  Row,
  RowOf,
  ScalarType,
  Schema,
  SchemaTypes,
  StructType,
  ValueOf,
} from "./schema.ts";
