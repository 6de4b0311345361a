/** Answers `get-features` and `get-features-batch` in Tecton's shape. */
import { VarveError } from "varve";
import type { ServiceReader } from "varve/serving";
import { contextOf } from "./request_context.ts";
import { answerWriter } from "./tecton_answer.ts";
import type { Row, Wanted } from "./tecton_answer.ts";
import type { VectorOptions, VectorRow } from "./tecton_params.ts";

/** When, and until when, rows are read. */
export interface ReadContext {
  /** Request time (S3), micros. */
  readonly at: bigint;
  readonly signal: AbortSignal;
}

/** What `performance.now()` was when the request came in, when the store was asked, and when it had answered. */
interface AnswerTimes {
  readonly started: number;
  readonly asked: number;
  readonly answered: number;
}

/** Looks at the clock for requests that want to know how long they took; none for others: a look is half a percent of an answer. */
export function watchFor(
  { metadataOptions }: VectorOptions,
  started: number,
): { answered(): AnswerTimes } | undefined {
  if (metadataOptions?.["includeSloInfo"] !== true) return undefined;
  const asked = performance.now();
  return { answered: () => ({ started, asked, answered: performance.now() }) };
}

/** Answers above these do not count when latency is judged: the store, not the server, is slow then. */
const sloLimits = { bytes: 2 * 1024 * 1024, seconds: 0.025 } as const;

/** The answer's body for one row; with how long it took where that is wanted. */
export function oneAnswer(
  reader: ServiceReader,
  row: Row,
  { metadataOptions: wanted }: VectorOptions,
  times: AnswerTimes | undefined,
): string {
  const writer = answerWriter(reader);
  const result = writer.vector(row);
  if (!isAnyWanted(wanted)) return `{"result":${result}}`;
  const slo = times ? `,"sloInfo":${sloInfo([row], times)}` : "";
  return `{"result":${result},"metadata":{"features":${writer.metadata(wanted, row)}${slo}}}`;
}

/** The answer's body for many rows: statuses are lists with an entry per row. */
export function batchAnswer(
  reader: ServiceReader,
  rows: readonly Row[],
  { metadataOptions: wanted }: VectorOptions,
  times: AnswerTimes | undefined,
): string {
  const writer = answerWriter(reader);
  const result = writer.vectors(rows);
  if (!isAnyWanted(wanted)) return `{"result":${result}}`;
  const slo = times ? batchSloInfo(rows, times) : "";
  return `{"result":${result},"metadata":{"features":${writer.batchMetadata(wanted, rows)}${slo}}}`;
}

function isAnyWanted(wanted: Wanted | undefined): wanted is Wanted {
  return wanted !== undefined && Object.values(wanted).includes(true);
}

/** Reads rows; undefined are those that did not come in time, where whoever asks wants to know that. */
export function readRows(
  reader: ServiceReader,
  rows: readonly VectorRow[],
  { allowPartialResults, metadataOptions, requestOptions }: VectorOptions,
  { at, signal }: ReadContext,
): Promise<readonly Row[]> {
  refuseUnknown(reader, rows);
  const keys = rows.map(({ joinKeyMap = {} }) => joinKeyMap);
  const context = requestContext(reader, rows, requestOptions?.ignoreExtraRequestContextFields ?? false);
  const times = metadataOptions?.["includeEffectiveTimes"] === true;
  // Whoever names a budget, or takes partial results, wants an answer then and looks at the statuses.
  const partial = requestOptions?.latencyBudgetMs !== undefined || allowPartialResults === true;
  const reading = reader.read(keys, { at, context, times, partial, signal });
  if (!partial) return reading;
  return reading.catch((error: unknown) => {
    if (error instanceof VarveError && error.code === "TIMEOUT") return rows.map(() => undefined);
    throw error;
  });
}

/** What rows give beside join keys; undefined where nothing is given and nothing wanted. */
function requestContext(reader: ServiceReader, rows: readonly VectorRow[], ignoreExtra: boolean) {
  const isThere = reader.requestFields.length > 0 || rows.some(({ requestContextMap }) => requestContextMap);
  if (!isThere) return undefined;
  return rows.map(({ requestContextMap = {} }) => contextOf(reader, requestContextMap, ignoreExtra));
}

/** A name that nothing reads is a mistake of the client: better told than ignored. */
function refuseUnknown(reader: ServiceReader, rows: readonly VectorRow[]): void {
  for (let i = 0; i < rows.length; i++) {
    const { joinKeyMap } = rows[i]!;
    for (const name in joinKeyMap) if (!isJoinKey(reader, name)) throw unknownKeys(reader, joinKeyMap, i, rows.length);
  }
}

/** Services have a few: looking through them is faster than any index. */
function isJoinKey({ joinKeys }: ServiceReader, name: string): boolean {
  for (let i = 0; i < joinKeys.length; i++) if (joinKeys[i]!.name === name) return true;
  return false;
}

function unknownKeys(reader: ServiceReader, given: object, row: number, rowCount: number): VarveError {
  const extra = Object.keys(given).filter((name) => !isJoinKey(reader, name));
  const misplaced = extra.filter((name) => reader.requestFields.some((field) => field.name === name));
  const unknown = extra.filter((name) => !misplaced.includes(name));
  const known = reader.joinKeys.map(({ name }) => name).join(", ") || "none";
  const problems = [
    ...(misplaced.length === 0
      ? []
      : [`request fields are given in requestContextMap, not among join keys: ${quoted(misplaced)}`]),
    ...(unknown.length === 0 ? [] : [`${quoted(unknown)} is no join key of it`]),
  ];
  const where = rowCount === 1 ? "" : ` (row ${row} of ${rowCount}, from 0)`;
  return new VarveError(
    "INVALID_REQUEST",
    `Cannot read service "${reader.service}": ${problems.join("; ")}; join keys are ${known}${where}`,
    { details: { service: reader.service, extra } },
  );
}

function quoted(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(", ");
}

function batchSloInfo(rows: readonly Row[], times: AnswerTimes): string {
  const each = rows.map((row) => sloInfo([row], times));
  return `,"sloInfo":[${each.join(",")}],"batchSloInfo":${sloInfo(rows, times)}`;
}

function sloInfo(rows: readonly Row[], { started, asked, answered }: AnswerTimes): string {
  const storeSeconds = (answered - asked) / 1_000;
  const bytes = rows.reduce((sum, row) => sum + (row?.storedBytes ?? 0), 0);
  const reasons = [
    ...(bytes > sloLimits.bytes ? ["REDIS_RESPONSE_SIZE_LIMIT_EXCEEDED"] : []),
    ...(storeSeconds > sloLimits.seconds ? ["REDIS_LATENCY_LIMIT_EXCEEDED"] : []),
  ];
  const seconds = (performance.now() - started) / 1000;
  const why = reasons.length > 0 ? `,"sloIneligibilityReasons":${JSON.stringify(reasons)}` : "";
  return `{"sloEligible":${
    reasons.length === 0
  }${why},"sloServerTimeSeconds":${seconds},"serverTimeSeconds":${seconds},` +
    `"storeMaxLatency":${storeSeconds},"storeResponseSizeBytes":${bytes}}`;
}
