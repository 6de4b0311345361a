/** DuckDB's messages, translated into VarveErrors at the door. */
import { messageOf, VarveError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";

/** The error of a statement that a signal interrupted. */
export function cancelled(signal: AbortSignal, cause?: unknown): VarveError {
  if (signal.reason instanceof VarveError) return signal.reason;
  const timeout = signal.reason instanceof Error && signal.reason.name === "TimeoutError";
  return new VarveError(
    timeout ? "TIMEOUT" : "CANCELLED",
    timeout ? "Cannot finish the query: it took longer than its limit" : "Cannot finish the query: it was cancelled",
    { cause: cause ?? signal.reason },
  );
}

const rules: readonly (readonly [pattern: RegExp, code: ErrorCode, text: (message: string) => string])[] = [
  [/^INTERRUPT/, "CANCELLED", () => "Cannot finish the query: it was cancelled"],
  [/CSV Error on Line/, "CORRUPT", csvText],
  [
    /^Invalid Input Error: JSON transform error/,
    "CORRUPT",
    (m) => `Cannot read a source: ${m.replace(/ Try setting 'auto_detect'.*| If this error occurred during.*/s, "")}`,
  ],
  [
    /No space left|temp_directory.*(full|exceed)|max_temp_directory_size|Could not write all bytes/i,
    "EXHAUSTED",
    (m) => `Cannot finish the query: the disk is full (${m}); free space or choose another temporary folder`,
  ],
  [
    /^Out of Memory Error/,
    "EXHAUSTED",
    (m) =>
      `Cannot finish the query: the memory limit is reached (${m}); raise it, or read fewer columns or a shorter time range`,
  ],
  [
    /No magic bytes|too small to be a Parquet|Invalid thrift|TProtocolException|Corrupt|decompress|Malformed|unexpected end|ZSTD|Invalid Error: don't know what type|footer|PageHeader|Out of buffer|reached the end/i,
    "CORRUPT",
    (m) => `Cannot read a source: ${m}; the file is torn, empty or of another format`,
  ],
  [/(No files found that match|No such file|Cannot open file)/, "NOT_FOUND", (m) => `Cannot read a source: ${m}`],
  [/^(Permission|IO) Error/, "UNAVAILABLE", (m) => `Cannot read or write: ${m}`],
  [/Permission denied/, "UNAVAILABLE", (m) => `Cannot read or write: ${m}`],
  [
    /^Conversion Error|^Out of Range Error|^Mismatch Type Error|Type .* can't be cast/,
    "SCHEMA_MISMATCH",
    (m) => `Cannot convert a value: ${m}`,
  ],
  [/Cannot read column ".*" is not |holds an infinite timestamp/s, "SCHEMA_MISMATCH", (m) => m],
  [
    /Cannot cast string ".*: it has no such value/s,
    "SCHEMA_MISMATCH",
    (m) => `${m}; the cast's option { onError: "null" } gives null instead`,
  ],
  [/^(Parser|Binder|Catalog|Syntax) Error/, "INVALID_DEFINITION", (m) => `Cannot run SQL: ${m}`],
  [/^Not implemented/i, "UNSUPPORTED", (m) => `Cannot run a query: ${m}`],
];

/** The VarveError that stands for an error of DuckDB. */
export function engineError(error: unknown): VarveError {
  if (error instanceof VarveError) return error;
  const message = messageOf(error);
  const rule = rules.find(([pattern]) => pattern.test(message));
  const short = tidy(message);
  const details = { engine: "duckdb" };
  if (rule) return new VarveError(rule[1], rule[2](rule[2] === csvText ? message : short), { cause: error, details });
  return new VarveError("INVALID_REQUEST", `Cannot run a query: ${short}`, { cause: error, details });
}

/** The first paragraph, without the name of the error's class and the echo of the statement. */
function tidy(message: string): string {
  const first = message.split(/\n\s*\n|\nLINE /)[0]!.replace(/^[A-Z][A-Za-z ]* Error: /, "");
  return first.trim().replaceAll(/\s*\n\s*/g, " ").slice(0, 600);
}

function csvText(message: string): string {
  const line = /CSV Error on Line: (\d+)/.exec(message)?.[1];
  const original = /Original Line: ?(.*)/.exec(message)?.[1] ?? "";
  const file = /\n\s*file = (.*)/.exec(message)?.[1];
  const reason = /Original Line:.*\n(.*)/.exec(message)?.[1] ?? tidy(message);
  return `Cannot read "${file ?? "CSV"}": line ${line}, ${JSON.stringify(original.slice(0, 200))}: ${
    reason.replace(/^Error when /, "error when ")
  }`;
}
