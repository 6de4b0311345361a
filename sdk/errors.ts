/** The one error class of varve and the table of its codes. */

/**
 * Every code, the HTTP status a server answers with, and whether trying the same thing again can help.
 * A worker does not retry a job that failed with `retry: false`.
 */
export const errorCodes = {
  /** A definition, query or option is wrong; `details.issues` lists every problem found. */
  INVALID_DEFINITION: { status: 400, retry: false },
  /** A request, spine or argument is wrong. */
  INVALID_REQUEST: { status: 400, retry: false },
  /** The configuration is wrong; `details.issues` lists every problem found. */
  INVALID_CONFIG: { status: 500, retry: false },
  /** There is no API key, or one that is unknown, expired or revoked. */
  UNAUTHENTICATED: { status: 401, retry: false },
  /** The API key may not do this, or not in this workspace. */
  FORBIDDEN: { status: 403, retry: false },
  /** No such view, service, entity, workspace, file or version. */
  NOT_FOUND: { status: 404, retry: false },
  /** Somebody else changed the same thing first, or holds it. */
  CONFLICT: { status: 409, retry: true },
  /** Data does not have the columns or types that the definition says. */
  SCHEMA_MISMATCH: { status: 422, retry: false },
  /** A published function or a user's own aggregation threw, or gave what is not of its type; `details` says for which row, or which. */
  FUNCTION_FAILED: { status: 422, retry: false },
  /** Stored or source data cannot be read: torn, truncated, wrong checksum. */
  CORRUPT: { status: 500, retry: false },
  /** This engine, store or server cannot do it. */
  UNSUPPORTED: { status: 501, retry: false },
  /** More was asked, with this API key, than it may ask in this time; `details.retryAfterSeconds` says when to ask again. */
  RATE_LIMITED: { status: 429, retry: true },
  /** A source or store did not answer. */
  UNAVAILABLE: { status: 503, retry: true },
  /** No room: disk full, memory limit, store full. */
  EXHAUSTED: { status: 507, retry: true },
  /** It took longer than its limit. */
  TIMEOUT: { status: 504, retry: true },
  /** It was cancelled by whoever asked for it. */
  CANCELLED: { status: 499, retry: false },
} as const satisfies Record<string, { status: number; retry: boolean }>;

/** A code of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes;

/** One problem in a definition or a configuration: where it is and what is wrong. */
export interface Issue {
  /** Where it is, as `features.delay`; empty for the whole. */
  readonly path: string;
  /** What is wrong, and the way out. */
  readonly message: string;
}

let hidesStacks: () => boolean = () => false;

/** Lets errors be their message alone where a stack would only be in the way: in the cells of a notebook. */
export function hideStacksWhen(hides: () => boolean): void {
  hidesStacks = hides;
}

/** Its message is all that is shown. Node would put the line that threw before a stack that can be set. */
function hideStack(error: Error): void {
  const text = `${error.name}: ${error.message}`;
  Object.defineProperty(error, "stack", { get: () => text, set: () => undefined, configurable: true });
  Object.defineProperty(error, Symbol.for("nodejs.util.inspect.custom"), { value: () => text, configurable: true });
}

/** What may accompany an error: its cause, and plain data about it. */
export interface VarveErrorOptions {
  /** What was thrown underneath. */
  readonly cause?: unknown;
  /** Plain data for programs: names, versions, issues. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * The error that varve throws. The message names the thing, its state and the way out:
 * `Cannot publish view "x": column "amt" does not exist; columns are amount, ts`.
 */
export class VarveError extends Error {
  /** What kind of error it is; see {@link errorCodes}. */
  readonly code: ErrorCode;
  /** Plain data for programs: names, versions, issues. */
  readonly details: Readonly<Record<string, unknown>>;

  /** Makes one of a code, a message that says the way out, and what goes with it. */
  constructor(code: ErrorCode, message: string, options: VarveErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "VarveError";
    this.code = code;
    this.details = Object.freeze({ ...options.details });
    if (hidesStacks()) hideStack(this);
  }

  /** The HTTP status of this error. */
  get status(): number {
    return errorCodes[this.code].status;
  }

  /** Whether the same call may succeed later. */
  get retry(): boolean {
    return errorCodes[this.code].retry;
  }
}

/** Throws one `INVALID_DEFINITION` (or `code`) that lists every issue, if there is any. */
export function throwIssues(subject: string, issues: readonly Issue[], code: ErrorCode = "INVALID_DEFINITION"): void {
  if (issues.length === 0) return;
  const lines = issues.map((issue) => issue.path ? `${issue.path}: ${issue.message}` : issue.message);
  const text = lines.length === 1 ? ` ${lines[0]}` : `\n  - ${lines.join("\n  - ")}`;
  throw new VarveError(code, `${subject}:${text}`, { details: { issues } });
}

/** Every option of T by name: the compiler refuses one too many or too few. */
export type OptionNames<T> = { readonly [N in keyof Required<T>]: true };

/**
 * What is wrong with the names of options. Not every cell and program is type-checked, and a misspelt option that is passed over
 * would let somebody believe in it.
 */
export function optionIssues(options: object | undefined, names: Readonly<Record<string, true>>): Issue[] {
  return Object.keys(options ?? {}).filter((name) => !Object.hasOwn(names, name)).map((name) => ({
    path: name,
    message: `there is no such option; there are ${Object.keys(names).join(", ")}`,
  }));
}

/** Throws where an option does not exist. */
export function checkOptions(
  subject: string,
  options: object | undefined,
  names: Readonly<Record<string, true>>,
): void {
  throwIssues(subject, optionIssues(options, names), "INVALID_REQUEST");
}

/** What somebody gave instead of what was wanted. A promise is nearly always an await that was forgotten. */
export function givenText(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === "function") return "a function";
  if (typeof value !== "object") {
    return JSON.stringify(value, (_, each) => typeof each === "bigint" ? `${each}n` : each);
  }
  if ("then" in value && typeof value.then === "function") return "a promise (write await before what gives it)";
  if (Array.isArray(value)) return "a list";
  const { name } = value.constructor ?? {};
  return name === undefined || name === "Object" ? "an object" : `a ${name}`;
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
