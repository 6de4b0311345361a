/** Answers `get-features` and `get-features-batch` in Tecton's shape. */
import { VarveError } from "varve";
import type { ServiceReader } from "varve/serving";
import { contextOf } from "./request_context.ts";
import { answerWriter } from "./tecton_answer.ts";
import type { Row, Wanted } from "./tecton_answer.ts";
import type { VectorOptions, VectorRow } from "./tecton_params.ts";

export interface GetFeaturesContext {
  /** Request time (S3), micros. */
  readonly at: bigint;
  readonly signal: AbortSignal;
  /** `performance.now()` when the request came in. */
  readonly started: number;
}

/** Answers above these do not count when latency is judged: the store, not the server, is slow then. */
const sloLimits = { bytes: 2 * 1024 * 1024, seconds: 0.025 } as const;

/** The answer's body for one row. */
export async function getFeatures(
  reader: ServiceReader,
  row: VectorRow,
  options: VectorOptions,
  context: GetFeaturesContext,
): Promise<string> {
  const asked = performance.now();
  const [answer] = await readRows(reader, [row], options, context);
  const answered = performance.now();
  const writer = answerWriter(reader);
  const result = writer.vector(answer);
  const wanted = options.metadataOptions;
  if (!isAnyWanted(wanted)) return `{"result":${result}}`;
  const slo = wanted["includeSloInfo"] ? `,"sloInfo":${sloInfo([answer], answered - asked, context)}` : "";
  return `{"result":${result},"metadata":{"features":${writer.metadata(wanted, answer)}${slo}}}`;
}

/** The answer's body for many rows: statuses are lists with an entry per row. */
export async function getFeaturesBatch(
  reader: ServiceReader,
  rows: readonly VectorRow[],
  options: VectorOptions,
  context: GetFeaturesContext,
): Promise<string> {
  const asked = performance.now();
  const answers = await readRows(reader, rows, options, context);
  const answered = performance.now();
  const writer = answerWriter(reader);
  const result = `[${answers.map((answer) => writer.vector(answer)).join(",")}]`;
  const wanted = options.metadataOptions;
  if (!isAnyWanted(wanted)) return `{"result":${result}}`;
  const slo = wanted["includeSloInfo"] ? batchSloInfo(answers, answered - asked, context) : "";
  return `{"result":${result},"metadata":{"features":${writer.batchMetadata(wanted, answers)}${slo}}}`;
}

function isAnyWanted(wanted: Wanted | undefined): wanted is Wanted {
  return wanted !== undefined && Object.values(wanted).includes(true);
}

/** Rows are undefined when they did not come in time and whoever asked wants to know that. */
function readRows(
  reader: ServiceReader,
  rows: readonly VectorRow[],
  { allowPartialResults, metadataOptions, requestOptions }: VectorOptions,
  { at, signal }: GetFeaturesContext,
): Promise<readonly Row[]> {
  refuseUnknown(reader, rows);
  const keys = rows.map(({ joinKeyMap = {} }) => joinKeyMap);
  const context = requestContext(reader, rows, requestOptions?.ignoreExtraRequestContextFields ?? false);
  const times = metadataOptions?.["includeEffectiveTimes"] === true;
  const reading = reader.read(keys, { at, context, times, signal });
  // Whoever names a budget, or takes partial results, wants an answer then and looks at the statuses.
  if (requestOptions?.latencyBudgetMs === undefined && allowPartialResults !== true) return reading;
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
  const known = reader.joinKeys.map(({ name }) => name);
  const where = rowCount === 1 ? "" : ` (row ${row} of ${rowCount}, from 0)`;
  return new VarveError(
    "INVALID_REQUEST",
    `Cannot read service "${reader.service}": ${quoted(extra)} is no join key of it; join keys are ${
      known.join(", ") || "none"
    }${where}`,
    { details: { service: reader.service, extra } },
  );
}

function quoted(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(", ");
}

function batchSloInfo(rows: readonly Row[], storeMs: number, context: GetFeaturesContext): string {
  const each = rows.map((row) => sloInfo([row], storeMs, context));
  return `,"sloInfo":[${each.join(",")}],"batchSloInfo":${sloInfo(rows, storeMs, context)}`;
}

function sloInfo(rows: readonly Row[], storeMs: number, { started }: GetFeaturesContext): string {
  const storeSeconds = storeMs / 1_000;
  const bytes = rows.reduce((sum, row) => sum + (row?.storedBytes ?? 0), 0);
  const reasons = [
    ...(bytes > sloLimits.bytes ? ["REDIS_RESPONSE_SIZE_LIMIT_EXCEEDED"] : []),
    ...(storeSeconds > sloLimits.seconds ? ["REDIS_LATENCY_LIMIT_EXCEEDED"] : []),
  ];
  const seconds = (performance.now() - started) / 1000;
  return JSON.stringify({
    sloEligible: reasons.length === 0,
    ...(reasons.length > 0 && { sloIneligibilityReasons: reasons }),
    sloServerTimeSeconds: seconds,
    serverTimeSeconds: seconds,
    storeMaxLatency: storeSeconds,
    storeResponseSizeBytes: bytes,
  });
}
