/**
 * Proves that a view is served as it is defined (S11): for a sample of its keys, what is served, what a training set reads, and
 * what the definition gives when it is computed anew from the source, all for one instant.
 */
import type { ViewDefinition } from "./define/definitions.ts";
import { checkOptions, type OptionNames, VarveError } from "./errors.ts";
import type { Query } from "./frame/query.ts";
import type { RegistryState } from "./registry/state.ts";
import { timing } from "./retrieve/feature_read.ts";
import { floatTolerance, sameValue } from "./retrieve/same_value.ts";
import { trainingSet } from "./retrieve/training.ts";
import { readOfView } from "./retrieve/feature_read.ts";
import type { Row } from "./schema.ts";
import type { StoreParts } from "./store_parts.ts";
import { newestRealtimeView, OnlineReaders, requireView } from "./store_reads.ts";
import { formatTimestamp, type Micros, Timestamp, type TimestampLike, toMicros } from "./time.ts";

/** What is compared. */
export interface SkewOptions {
  /** How many keys are drawn from the source; the same ones every time. @default 1000 */
  readonly keys?: number;
  /** For which instant. @default the last one for which everything is loaded, but not later than now */
  readonly at?: TimestampLike;
  /** Draws other keys. @default 1 */
  readonly seed?: number;
  /** Stops it. */
  readonly signal?: AbortSignal;
}

const skewOptions: OptionNames<SkewOptions> = { keys: true, at: true, seed: true, signal: true };

/** How often one feature differed. */
export interface FeatureSkew {
  /** Its name. */
  readonly feature: string;
  /** Keys for which what is served differs from what the source gives. */
  readonly served: number;
  /** Keys for which what a training set reads differs from what the source gives. */
  readonly stored: number;
}

/** One value that differs. */
export interface SkewExample {
  /** The join keys. */
  readonly key: Row;
  /** The feature. */
  readonly feature: string;
  /** What the definition gives, computed from the source. */
  readonly source: unknown;
  /** What is served. */
  readonly served: unknown;
  /** What a training set reads; the source's value where nothing is stored offline. */
  readonly stored: unknown;
}

/** What a comparison found. */
export interface SkewReport {
  /** The view. */
  readonly view: string;
  /** The version that serves. */
  readonly version: number;
  /** The instant that was compared, as ISO text. */
  readonly at: string;
  /** How many keys. */
  readonly keys: number;
  /** How many of them have more rows in reach of windows than `maxRows`: what is served leaves out their oldest. */
  readonly cutKeys: number;
  /** How many values: keys × features. */
  readonly values: number;
  /** Values of which some pair differs. */
  readonly mismatches: number;
  /** By feature. */
  readonly features: readonly FeatureSkew[];
  /** The first of them, at most twenty. */
  readonly examples: readonly SkewExample[];
}

const maxKeys = 100_000;
const keysPerRead = 1_000;
const maxExamples = 20;
/** A column that no join key can be confused with. */
const timeColumn = "varve_skew_at";

/** Compares what a view serves with what it should. */
export async function skew(parts: StoreParts, name: string, options: SkewOptions = {}): Promise<SkewReport> {
  checkOptions(`Cannot compare view "${name}"`, options, skewOptions);
  const { keys: wanted = 1_000, seed = 1, signal } = options;
  if (!Number.isSafeInteger(wanted) || wanted < 1 || wanted > maxKeys) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot compare ${wanted} keys of view "${name}": keys is a whole number from 1 to ${maxKeys}`,
    );
  }
  const state = await parts.registry.state();
  refuseRealtime(state, name);
  const view = requireView(state, name);
  const at = options.at === undefined ? await comparableAt(parts, view) : toMicros(options.at);
  const keys = await drawKeys(parts, view.definition, { count: wanted, seed, signal });
  const spine = keys.map((key) => ({ ...key, [timeColumn]: new Timestamp(at) }));
  const source = await trained(parts, view, spine, "source", signal);
  const stored = view.definition.offline ? await trained(parts, view, spine, "offline", signal) : source;
  const served = await answers(parts, name, keys, at, signal);
  return compared(view, at, keys, { source, stored, served });
}

type Defined = ReturnType<typeof requireView>;

/** One function computes realtime views for requests and for training, of what requests alone know: there are no two sides to compare. */
function refuseRealtime(state: RegistryState, name: string): void {
  const found = newestRealtimeView(state, name);
  if (!found) return;
  const read = found.definition.from.map(({ view }) => `"${view}"`).join(", ");
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot compare realtime view "${name}": nothing of it is stored; ${
      read === "" ? "it reads no view" : `compare what it reads, ${read}`
    }, and what was answered by store.audit`,
    { details: { view: name } },
  );
}

/** Offline everything that is known by an instant is read; online what has been loaded: the same until the next slice is due. */
async function comparableAt(parts: StoreParts, { definition, version }: Defined): Promise<Micros> {
  const fail = (why: string) =>
    new VarveError("UNAVAILABLE", `Cannot compare view "${definition.name}" version ${version}: ${why}`, {
      details: { view: definition.name, version },
    });
  if (!definition.online) throw fail("it is not kept online; publish it with online: true");
  const online = await parts.online();
  const state = await online.state(definition.name, version);
  if (state?.collection === undefined) throw fail("it is not loaded online yet; wait for its first load");
  const { schedule, dataDelay } = timing(definition);
  const now = parts.clock.now();
  const until = toMicros(state.watermark) + dataDelay + schedule - 1n;
  return now < until ? now : until;
}

async function drawKeys(
  parts: StoreParts,
  definition: ViewDefinition,
  { count, seed, signal }: { count: number; seed: number; signal: AbortSignal | undefined },
): Promise<Row[]> {
  const columns = definition.entity.joinKeys.map(({ name }) => ({ name, expr: { kind: "column", name } as const }));
  const query: Query = {
    kind: "sample",
    input: { kind: "distinct", input: { kind: "select", input: definition.query, columns }, columns: [] },
    rows: count,
    seed,
  };
  const session = await (await parts.engine()).session();
  try {
    const { sql } = await session.compile(query, {}, signal);
    return await session.rows(sql, signal);
  } finally {
    session.close();
  }
}

async function trained(
  parts: StoreParts,
  view: Defined,
  spine: readonly Row[],
  from: "source" | "offline",
  signal: AbortSignal | undefined,
): Promise<Row[]> {
  if (spine.length === 0) return [];
  const context = await parts.trainContext();
  const schema = [...view.definition.entity.joinKeys, { name: timeColumn, type: "timestamp" as const }];
  const set = await trainingSet(
    { reads: [readOfView(view)], spine, from, eventTimestamp: timeColumn, schema, ...(signal && { signal }) },
    context,
  );
  try {
    return await set.rows();
  } finally {
    set.close();
  }
}

interface Served {
  readonly rows: readonly Row[];
  /** {@link SkewReport.cutKeys}. */
  readonly cutKeys: number;
}

async function answers(
  parts: StoreParts,
  name: string,
  keys: readonly Row[],
  at: Micros,
  signal: AbortSignal | undefined,
): Promise<Served> {
  const reader = await new OnlineReaders(parts).reader(name);
  const rows: Row[] = [];
  let cutKeys = 0;
  for (let i = 0; i < keys.length; i += keysPerRead) {
    for (const { values, cut } of await reader.read(keys.slice(i, i + keysPerRead), { at, signal })) {
      rows.push(Object.fromEntries(reader.features.map((feature, place) => [feature.name, values[place]])));
      if (cut) cutKeys++;
    }
  }
  return { rows, cutKeys };
}

function compared(
  { definition, version }: Defined,
  at: Micros,
  keys: readonly Row[],
  { source, stored, served: { rows: served, cutKeys } }: {
    source: readonly Row[];
    stored: readonly Row[];
    served: Served;
  },
): SkewReport {
  // A plain value is copied and stays the very same; a sum of floats depends on the order in which it was added.
  const tolerance = definition.mode === "aggregates" ? floatTolerance : 0;
  const examples: SkewExample[] = [];
  let mismatches = 0;
  const features = definition.features.map(({ name: feature }): FeatureSkew => {
    const counts = { served: 0, stored: 0 };
    for (let i = 0; i < keys.length; i++) {
      const values = { source: source[i]![feature], stored: stored[i]![feature], served: served[i]![feature] };
      const [isServed, isStored] = [values.served, values.stored].map((value) =>
        sameValue(value, values.source, tolerance)
      );
      if (isServed && isStored) continue;
      if (!isServed) counts.served++;
      if (!isStored) counts.stored++;
      mismatches++;
      if (examples.length < maxExamples) examples.push({ key: keys[i]!, feature, ...values });
    }
    return { feature, ...counts };
  });
  return {
    view: definition.name,
    version,
    at: formatTimestamp(at),
    keys: keys.length,
    cutKeys,
    values: keys.length * features.length,
    mismatches,
    features,
    examples,
  };
}
