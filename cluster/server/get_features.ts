/** Answers `get-features` and `get-features-batch` in Tecton's shape: the place where its answers are made. */
import { formatTimestamp, VarveError } from "varve";
import type { DataType } from "varve";
import type { Answer, ServiceReader } from "varve/serving";
import { contextOf } from "./request_context.ts";
import { jsonEncoder, tectonType } from "./tecton_json.ts";
import type { TectonType } from "./tecton_json.ts";
import type { VectorOptions, VectorRow } from "./tecton_params.ts";

/** One feature's place in the answer. */
export interface Slot {
  readonly name: string;
  readonly index: number;
  readonly type: TectonType;
  /** The type in varve's words. */
  readonly exactType: DataType;
  /** Features of one realtime view keep their order. */
  readonly group: string;
  readonly encode: (value: unknown) => unknown;
  readonly description: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * Tecton's order: features of realtime views first, by view and inside one as it has them; then the others by `namespace.feature`,
 * alphabetical. Made once per reader.
 */
const slotsByReader = new WeakMap<ServiceReader, readonly Slot[]>();

export interface GetFeaturesContext {
  /** Request time (S3), micros. */
  readonly at: bigint;
  readonly signal: AbortSignal;
  /** `performance.now()` when the request came in. */
  readonly started: number;
}

/** A row's features; undefined when they did not come in time. */
type Row = Answer | undefined;

/** What the store gave, and how long it took. */
interface Rows {
  readonly rows: readonly Row[];
  readonly storeSeconds: number;
}

/** Answers above these do not count when latency is judged: the store, not the server, is slow then. */
const sloLimits = { bytes: 2 * 1024 * 1024, seconds: 0.025 } as const;

/** The answer's body for one row. */
export async function getFeatures(
  reader: ServiceReader,
  row: VectorRow,
  options: VectorOptions,
  context: GetFeaturesContext,
): Promise<object> {
  const { rows: [answer], storeSeconds } = await readRows(reader, [row], options, context);
  const slots = slotsOf(reader);
  const result = vector(slots, answer);
  const wanted = options.metadataOptions ?? {};
  if (!Object.values(wanted).includes(true)) return { result };
  const features = slots.map((slot) => ({
    ...describe(slot, wanted),
    ...(wanted["includeEffectiveTimes"] && { effectiveTime: timeText(answer?.effectiveTimes[slot.index]) }),
    ...(wanted["includeServingStatus"] && { status: statusOf(slot, answer), reason: reasonOf(slot, answer) }),
  }));
  if (!wanted["includeSloInfo"]) return { result, metadata: { features } };
  return { result, metadata: { features, sloInfo: sloInfo([answer], storeSeconds, context) } };
}

/** The answer's body for many rows: statuses are lists with an entry per row. */
export async function getFeaturesBatch(
  reader: ServiceReader,
  rows: readonly VectorRow[],
  options: VectorOptions,
  context: GetFeaturesContext,
): Promise<object> {
  const { rows: answers, storeSeconds } = await readRows(reader, rows, options, context);
  const slots = slotsOf(reader);
  const result = answers.map((answer) => vector(slots, answer));
  const wanted = options.metadataOptions ?? {};
  if (!Object.values(wanted).includes(true)) return { result };
  const features = slots.map((slot) => ({
    ...describe(slot, wanted),
    ...(wanted["includeEffectiveTimes"] && effectiveTimes(slot, answers)),
    ...(wanted["includeServingStatus"] && {
      status: answers.map((answer) => statusOf(slot, answer)),
      reason: answers.map((answer) => reasonOf(slot, answer)),
    }),
  }));
  if (!wanted["includeSloInfo"]) return { result, metadata: { features } };
  const each = answers.map((answer) => sloInfo([answer], storeSeconds, context));
  const all = sloInfo(answers, storeSeconds, context);
  return { result, metadata: { features, sloInfo: each, batchSloInfo: all } };
}

/** The order and the types of a service's answers; compiled once. */
export function slotsOf(reader: ServiceReader): readonly Slot[] {
  let slots = slotsByReader.get(reader);
  if (!slots) {
    slots = reader.features
      .map((feature, index) => ({
        name: `${feature.namespace}.${feature.name}`,
        index,
        type: tectonType(feature.type),
        exactType: feature.type,
        group: feature.isComputed ? `0${feature.namespace}` : `1${feature.namespace}.${feature.name}`,
        encode: jsonEncoder(feature.type),
        description: feature.description,
        tags: feature.tags ?? {},
      }))
      .sort((a, b) => a.group < b.group ? -1 : a.group > b.group ? 1 : a.index - b.index);
    slotsByReader.set(reader, slots);
  }
  return slots;
}

async function readRows(
  reader: ServiceReader,
  rows: readonly VectorRow[],
  options: VectorOptions,
  { at, signal }: GetFeaturesContext,
): Promise<Rows> {
  const { latencyBudgetMs, ignoreExtraRequestContextFields = false } = options.requestOptions ?? {};
  refuseUnknown(reader, rows);
  const context = rows.some(({ requestContextMap }) => requestContextMap) || reader.requestFields.length > 0
    ? rows.map(({ requestContextMap = {} }) => contextOf(reader, requestContextMap, ignoreExtraRequestContextFields))
    : undefined;
  const started = performance.now();
  const storeSeconds = () => (performance.now() - started) / 1000;
  try {
    const answers = await reader.read(rows.map(({ joinKeyMap = {} }) => joinKeyMap), { at, context, signal });
    return { rows: answers, storeSeconds: storeSeconds() };
  } catch (error) {
    // Whoever names a budget, or takes partial results, wants an answer then and looks at the statuses.
    const isPartialWanted = latencyBudgetMs !== undefined || options.allowPartialResults === true;
    if (!isPartialWanted || !(error instanceof VarveError) || error.code !== "TIMEOUT") throw error;
    return { rows: rows.map(() => undefined), storeSeconds: storeSeconds() };
  }
}

/** A name that nothing reads is a mistake of the client: better told than ignored. */
function refuseUnknown(reader: ServiceReader, rows: readonly VectorRow[]): void {
  const known = new Set(reader.joinKeys.map(({ name }) => name));
  for (const [i, { joinKeyMap = {} }] of rows.entries()) {
    const extra = Object.keys(joinKeyMap).filter((name) => !known.has(name));
    if (extra.length === 0) continue;
    const where = rows.length === 1 ? "" : ` (row ${i} of ${rows.length}, from 0)`;
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot read service "${reader.service}": ${quoted(extra)} is no join key of it; join keys are ${
        [...known].join(", ") || "none"
      }${where}`,
      { details: { service: reader.service, extra } },
    );
  }
}

function quoted(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(", ");
}

function vector(slots: readonly Slot[], row: Row): { readonly features: readonly unknown[] } {
  return { features: slots.map(({ encode, index }) => row === undefined ? null : encode(row.values[index])) };
}

function describe(slot: Slot, wanted: Readonly<Record<string, boolean>>): object {
  return {
    ...(wanted["includeNames"] && { name: slot.name }),
    ...(wanted["includeDataTypes"] && { dataType: slot.type }),
    ...(wanted["includeExactTypes"] && { exactType: slot.exactType }),
    ...(wanted["includeFeatureDescriptions"] && { description: slot.description ?? null }),
    ...(wanted["includeFeatureTags"] && { tags: slot.tags }),
  };
}

/** Tecton knows present, missing and late; why a value is missing (expired, null key, no row) is told as the reason. */
function statusOf({ index }: Slot, row: Row): string {
  return row === undefined ? "TIME_OUT" : row.statuses[index] === "PRESENT" ? "PRESENT" : "MISSING_DATA";
}

function reasonOf({ index }: Slot, row: Row): string {
  return row?.statuses[index] ?? "TIME_OUT";
}

/** Clients read one time per feature: the newest, by which every row had its value. Each row's own stands beside it. */
function effectiveTimes({ index }: Slot, rows: readonly Row[]): object {
  const times = rows.map((row) => row?.effectiveTimes[index]);
  const newest = times.reduce((a, b) => a === undefined || (b !== undefined && b > a) ? b : a, undefined);
  return { effectiveTime: timeText(newest), effectiveTimes: times.map(timeText) };
}

function timeText(micros: bigint | undefined): string | null {
  return micros === undefined ? null : formatTimestamp(micros);
}

function sloInfo(rows: readonly Row[], storeSeconds: number, { started }: GetFeaturesContext): object {
  const bytes = rows.reduce((sum, row) => sum + (row?.storedBytes ?? 0), 0);
  const reasons = [
    ...(bytes > sloLimits.bytes ? ["REDIS_RESPONSE_SIZE_LIMIT_EXCEEDED"] : []),
    ...(storeSeconds > sloLimits.seconds ? ["REDIS_LATENCY_LIMIT_EXCEEDED"] : []),
  ];
  const seconds = (performance.now() - started) / 1000;
  return {
    sloEligible: reasons.length === 0,
    ...(reasons.length > 0 && { sloIneligibilityReasons: reasons }),
    sloServerTimeSeconds: seconds,
    storeMaxLatency: storeSeconds,
    serverTimeSeconds: seconds,
    storeResponseSizeBytes: bytes,
  };
}
