/** Why a value is what it is: for one key, the source rows behind each feature, and those left out with the rule that left them out. */
import { Displayed, type Rendering } from "./display.ts";
import { type OptionNames, VarveError } from "./errors.ts";
import { type ExplainedComputation, explainedComputations, givenValue } from "./explain_realtime.ts";
import { literalOf, type Plain } from "./frame/expr_literal.ts";
import { quoteName } from "./engine/engine.ts";
import { commitTimes } from "./materialize/late_rows.ts";
import { explanationBundle, type ExplanationTable } from "./notebook/explanation_table.ts";
import { type KeyRow, KeyRows, type RuledRows, type StoredSlices, windowsAt } from "./retrieve/explained_rows.ts";
import { type AnyRead, type FeatureRead, keyColumns, timing } from "./retrieve/feature_read.ts";
import { literalSql } from "./retrieve/literal_sql.ts";
import { requestFieldsOfReads, requestRows } from "./retrieve/request_fields.ts";
import { floatTolerance, sameValue } from "./retrieve/same_value.ts";
import type { FeatureStatus } from "./retrieve/status.ts";
import { type ComputedRead, isHidden, splitReads } from "./retrieve/stored_reads.ts";
import { trainingSet } from "./retrieve/training.ts";
import type { Field, Row } from "./schema.ts";
import type { StoreParts } from "./store_parts.ts";
import { nameOf, type OnlineReaders, type Readable, readsFor } from "./store_reads.ts";
import {
  alignDown,
  formatRange,
  formatTimestamp,
  type Micros,
  Timestamp,
  type TimestampLike,
  toMicros,
} from "./time.ts";

/** What is explained, and how much of it is shown. */
export interface ExplainOptions {
  /** The instant to look from. @default now */
  readonly at?: TimestampLike;
  /** `"offline"`: what is stored and served; `"source"`: what the definition gives. @default "offline" where everything is published */
  readonly from?: "offline" | "source";
  /** Only these features. @default all */
  readonly features?: readonly string[];
  /** What realtime views ask of a request: every field, null included. */
  readonly request?: Row;
  /** How many rows to show of each rule, the newest first; all are counted. @default 5 */
  readonly limit?: number;
  /** Stops it. */
  readonly signal?: AbortSignal;
}

/** Their names. */
export const explainOptions: OptionNames<ExplainOptions> = {
  at: true,
  from: true,
  features: true,
  request: true,
  limit: true,
  signal: true,
};

/** One row of the source. */
export interface ExplainedRow {
  /** When it was true. */
  readonly time: Timestamp;
  /** When it could first have been served (S4). */
  readonly effective: Timestamp;
  /** When it was written, where the source says so. */
  readonly written?: Timestamp;
  /** Features, or what aggregations take. */
  readonly values: Row;
}

/** Rows that count, or are left out by one rule. */
export interface ExplainedRows {
  /** The rule, by its number in the README; `"used"` for the rows behind the value. */
  readonly rule: string;
  /** The rule in words. */
  readonly reason: string;
  /** How many rows. */
  readonly count: number;
  /** The newest of them. */
  readonly rows: readonly ExplainedRow[];
}

/** One feature. */
export interface ExplainedFeature {
  /** Its name in the answer. */
  readonly feature: string;
  /** The view it comes from. */
  readonly view: string;
  /** The version of that view; 0 where it is not published. */
  readonly version: number;
  /** What training reads for this key and instant. */
  readonly value: unknown;
  /** What became of the look-up. */
  readonly status: FeatureStatus;
  /** Its windows, the oldest first; absent for attributes. */
  readonly windows?: readonly string[];
  /** The rows behind the value; of a feature of a realtime view its expression, under the rule `"computed"`. */
  readonly used: ExplainedRows;
  /** The others, by rule. */
  readonly leftOut: readonly ExplainedRows[];
  /** What else explains it: what it was computed of, where what is stored, served and in the source differ. */
  readonly notes: readonly string[];
}

/** What explains the features of one key at one instant. Immutable. */
export class Explanation extends Displayed {
  /** The join keys. */
  readonly keys: Row;
  /** The instant. */
  readonly at: Timestamp;
  /** Where the values were read. */
  readonly from: "offline" | "source";
  /** Every feature. */
  readonly features: readonly ExplainedFeature[];

  /**
   * Made by `store.explain`.
   * @internal
   */
  constructor(keys: Row, at: Timestamp, from: "offline" | "source", features: readonly ExplainedFeature[]) {
    super();
    this.keys = keys;
    this.at = at;
    this.from = from;
    this.features = features;
    Object.freeze(this);
  }

  /** What explains one feature. */
  feature(name: string): ExplainedFeature {
    const found = this.features.find(({ feature }) => feature === name);
    if (found) return found;
    const names = this.features.map(({ feature }) => feature).join(", ");
    throw new VarveError("NOT_FOUND", `Cannot explain feature "${name}": features are ${names}`);
  }

  /** All rows that are shown, each with the feature and the rule; of one feature where it is named. */
  rows(name?: string): (ExplainedRow & { readonly feature: string; readonly rule: string; readonly reason: string })[] {
    const features = name === undefined ? this.features : [this.feature(name)];
    return features.flatMap(({ feature, used, leftOut }) =>
      [used, ...leftOut].flatMap(({ rule, reason, rows }) => rows.map((row) => ({ feature, rule, reason, ...row })))
    );
  }

  /** As plain text. */
  override toString(): string {
    return explanationBundle(this.#table())["text/plain"];
  }

  /** @internal */
  override rendering(): Rendering {
    return { first: explanationBundle(this.#table()) };
  }

  #table(): ExplanationTable {
    return this;
  }
}

const timeColumn = "explained_at";

/** Explains the features of a service or view for one key. */
export async function explain(
  parts: StoreParts,
  readers: OnlineReaders,
  readable: Readable,
  keys: Row,
  options: ExplainOptions = {},
): Promise<Explanation> {
  const { limit = 5, signal } = options;
  if (!Number.isSafeInteger(limit) || limit < 0) {
    throw new VarveError("INVALID_REQUEST", `Cannot show ${limit} rows of a rule: limit is a whole number from 0 on`);
  }
  const at = options.at === undefined ? parts.clock.now() : toMicros(options.at);
  const { reads: all, from } = await chosenReads(parts, readable, options);
  const { stored: reads, computed } = splitReads(all);
  const request = checkedKeys(reads, keys);
  const fields = requestFieldsOfReads(all);
  const context = givenFields(fields, options.request ?? {});
  const [rowFields] = requestRows(`"${nameOf(readable)}"`, fields, [context], 1);
  const called = inputNames(computed);
  const values = await trained(parts, reads, request, at, from, signal);
  const source = from === "offline"
    ? await trained(parts, reads, request, at, "source", signal).catch(asProblem)
    : values;
  const served = from === "offline"
    ? await servedNow(parts, readers, readable, reads, { ...request, context }, at, signal)
    : undefined;
  const features: ExplainedFeature[] = [];
  for (const each of computed) {
    const nameOf = (column: string) => called.get(column) ?? column;
    const options = { looked: values, fields: rowFields!, at, nameOf, functions: parts.functions };
    for (const found of await explainedComputations(each, options)) features.push(explainedComputation(found, served));
  }
  const session = await (await parts.engine()).session();
  try {
    for (const read of reads) {
      const told: Told = { values, source, served };
      const { definition } = read;
      const isNullKey = keyColumns(read).some(({ name }) => request.row[name] === null);
      const stored = from === "offline" ? await storedSlices(parts, read, told) : undefined;
      const rows = isNullKey || source instanceof VarveError ? undefined : await KeyRows.read(session, definition, {
        isKey: keyCondition(read, request.row),
        at,
        now: parts.clock.now(),
        stored,
        signal,
      });
      const shared = definition.mode === "attributes"
        ? shownRules(await rows?.attributes(limit, signal) ?? [], [], definition.ttl)
        : undefined;
      for (const each of read.features) {
        const windows = windowsAt(definition, each.feature, at).map(formatRange);
        const rules = shared ??
          shownRules(await rows?.windows(each.feature, limit, signal) ?? [], windows, definition.ttl);
        const found = explained(read, each, { rules, windows }, told);
        features.push({ ...found, feature: called.get(each.as) ?? each.as });
      }
    }
  } finally {
    session.close();
  }
  return new Explanation(Object.freeze({ ...request.row }), new Timestamp(at), from, Object.freeze(features));
}

/** From where each value was read. */
interface Told {
  readonly values: Row;
  readonly source: Row | VarveError;
  readonly served: Row | undefined;
}

/** What is stored where all of it is published, else what the definitions give. */
async function chosenReads(
  parts: StoreParts,
  readable: Readable,
  { from, features }: ExplainOptions,
): Promise<{ reads: AnyRead[]; from: "offline" | "source" }> {
  const state = await parts.registry.state();
  const wanted = (reads: AnyRead[]): AnyRead[] => {
    if (!features) return reads;
    const known = reads.flatMap((read) => read.features.map(({ as }) => as));
    const unknown = features.find((name) => !known.includes(name));
    if (unknown !== undefined) {
      throw new VarveError("NOT_FOUND", `Cannot explain feature "${unknown}": features are ${known.join(", ")}`);
    }
    return reads.map((read): AnyRead => ({
      ...read,
      features: read.features.filter(({ as }) => features.includes(as)),
    }))
      .filter((read) => read.features.length > 0);
  };
  if (from !== undefined) return { reads: wanted(readsFor(state, readable, from)), from };
  try {
    const reads = wanted(readsFor(state, readable, "offline"));
    if (splitReads(reads).stored.every(({ definition }) => definition.offline)) return { reads, from: "offline" };
  } catch (error) {
    if (!(error instanceof VarveError) || error.code !== "NOT_FOUND" || typeof readable === "string") throw error;
  }
  return { reads: wanted(readsFor(state, readable, "source")), from: "source" };
}

/** A request with the types of its keys. */
interface KeyRequest {
  readonly row: Row;
  readonly fields: readonly Field[];
}

function checkedKeys(reads: readonly FeatureRead[], keys: Row): KeyRequest {
  const fields = [...new Map(reads.flatMap(keyColumns).map((field) => [field.name, field])).values()];
  const missing = fields.filter(({ name }) => keys[name] === undefined).map(({ name }) => `"${name}"`);
  if (missing.length > 0) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot explain a value: join key ${missing.join(", ")} is missing; join keys are ${
        fields.map(({ name, type }) => `${name} ${String(type)}`).join(", ")
      } (null where there is none)`,
    );
  }
  return {
    row: Object.fromEntries(fields.map(({ name, type }) => [name, givenValue(keys[name], { name, type })])),
    fields,
  };
}

function givenFields(fields: readonly Field[], given: Row): Row {
  const byName = new Map(fields.map((field) => [field.name, field]));
  return Object.fromEntries(
    Object.entries(given).map((
      [name, value],
    ) => [name, byName.has(name) ? givenValue(value, byName.get(name)!) : value]),
  );
}

/** Inputs that nobody asked for are called after the realtime view that reads them. */
function inputNames(computed: readonly ComputedRead[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const { read, inputs } of computed) {
    for (const { name, column } of inputs) {
      if (isHidden(column) && !names.has(column)) names.set(column, `${read.alias}.${name}`);
    }
  }
  return names;
}

function explainedComputation(
  { inputs, computed, ...found }: ExplainedComputation,
  served: Row | undefined,
): ExplainedFeature {
  const isOther = served && !sameValue(served[found.feature], found.value, 0);
  return Object.freeze({
    ...found,
    status: "PRESENT",
    used: { rule: "computed", reason: `at the request: ${computed}`, count: 0, rows: [] },
    leftOut: [],
    notes: [
      ...inputs.map(({ name, value, from }) => `${name} = ${text(value)}, from ${from}`),
      ...(isOther ? [`Served is another value: ${text(served[found.feature])}`] : []),
    ],
  });
}

/** Values as a training set has them, with the status of each view. */
async function trained(
  parts: StoreParts,
  reads: readonly FeatureRead[],
  { row, fields }: KeyRequest,
  at: Micros,
  from: "offline" | "source",
  signal: AbortSignal | undefined,
): Promise<Row> {
  const context = await parts.trainContext();
  const schema = [...fields, { name: timeColumn, type: "timestamp" as const }];
  const spine = [{ ...row, [timeColumn]: new Timestamp(at) }];
  const set = await trainingSet(
    { reads, spine, from, eventTimestamp: timeColumn, schema, statuses: true, ...(signal && { signal }) },
    context,
  );
  try {
    const [found] = await set.rows();
    return found!;
  } finally {
    set.close();
  }
}

function asProblem(error: unknown): VarveError {
  if (error instanceof VarveError && error.code !== "CANCELLED") return error;
  throw error;
}

/** What is served, where that is for this instant: everything that is known by then has been loaded, and nothing later. */
async function servedNow(
  parts: StoreParts,
  readers: OnlineReaders,
  readable: Readable,
  reads: readonly FeatureRead[],
  { row, context }: KeyRequest & { readonly context: Row },
  at: Micros,
  signal: AbortSignal | undefined,
): Promise<Row | undefined> {
  if (!reads.every(({ definition }) => definition.online)) return undefined;
  const online = await parts.online();
  for (const { definition, version } of reads) {
    const state = await online.state(definition.name, version);
    const { schedule, dataDelay } = timing(definition);
    if (state?.collection === undefined || toMicros(state.watermark) > alignDown(at - dataDelay, schedule)) {
      return undefined;
    }
  }
  const reader = await readers.reader(readable);
  // Features that are not explained may be looked up by more keys, and computed of more fields: those are not asked for.
  const unasked = Object.fromEntries(reader.joinKeys.map(({ name }) => [name, null]));
  const ungiven = Object.fromEntries(reader.requestFields.map(({ name }) => [name, null]));
  const [answer] = await reader.read([{ ...unasked, ...row }], { at, context: [{ ...ungiven, ...context }], signal });
  return Object.fromEntries(reader.features.map(({ name }, i) => [name, answer!.values[i]]));
}

/** Which slices of a view's table are committed, and when the source was read for them. */
async function storedSlices(
  parts: StoreParts,
  { definition, version, features }: FeatureRead,
  { values, source }: Told,
): Promise<StoredSlices> {
  const table = parts.table(definition.name, version);
  const { slices, version: newest } = await table.snapshot();
  // Where the source gives the same, nothing that it says was written later is missing.
  const isSame = source instanceof VarveError ||
    features.every(({ as }) => sameValue(source[as], values[as], floatTolerance));
  const times = definition.writtenTimestamp === undefined || isSame
    ? new Map<number, Micros>()
    : await commitTimes(table, -1, newest);
  return new Map([...slices].map(([start, commit]) => [start, times.get(commit)]));
}

function keyCondition(read: FeatureRead, row: Row): string {
  return read.definition.entity.joinKeys.map(({ name, type }) => {
    const { value } = literalOf(row[read.joinKeyMap[name] ?? name] as Plain, type);
    return `${quoteName(name)} = ${literalSql(value, type)}`;
  }).join(" AND ");
}

/** Rows by rule, as they are shown. */
interface ShownRules {
  readonly used: ExplainedRows;
  readonly leftOut: readonly ExplainedRows[];
}

function shownRules(ruled: readonly RuledRows[], windows: readonly string[], ttl: string): ShownRules {
  const shown = ruled.map((each) => shownRows(each, windows, ttl));
  const none: ExplainedRows = { rule: "used", reason: "the rows behind the value", count: 0, rows: [] };
  return {
    used: shown.find(({ rule }) => rule === "used") ?? none,
    leftOut: shown.filter(({ rule }) => rule !== "used"),
  };
}

function explained(
  read: FeatureRead,
  { feature, as }: FeatureRead["features"][number],
  { rules, windows }: { readonly rules: ShownRules; readonly windows: readonly string[] },
  told: Told,
): ExplainedFeature {
  const { definition, alias, version } = read;
  return Object.freeze({
    feature: as,
    view: definition.name,
    version,
    value: told.values[as],
    status: told.values[`${alias}__status`] as FeatureStatus,
    ...(definition.mode === "aggregates" && { windows }),
    ...rules,
    notes: notesOf(read, { feature, as }, rules.used.count, told),
  });
}

function notesOf(
  { definition }: FeatureRead,
  { feature, as }: FeatureRead["features"][number],
  used: number,
  { values, source, served }: Told,
): string[] {
  const notes: string[] = [];
  const tolerance = definition.mode === "aggregates" ? floatTolerance : 0;
  if (source instanceof VarveError) {
    notes.push(`The source cannot be read, so that its rows are not shown: ${source.message}`);
  } else if (!sameValue(source[as], values[as], tolerance)) {
    notes.push(
      `The source gives another value now: ${text(source[as])}. What is stored was computed before; ` +
        `materialize the slices of the rows in question again, with overwrite`,
    );
  }
  if (served && as in served && !sameValue(served[as], values[as], tolerance)) {
    notes.push(`Served is another value: ${text(served[as])}. What was stored since is loaded with the next run`);
  }
  const found = definition.features.find(({ name }) => name === feature);
  if (found?.default !== undefined && used === 0) {
    notes.push(`S7: a default, ${text(found.default)}, stands for null`);
  }
  if (definition.mode === "aggregates" && definition.maxRows !== undefined && used > definition.maxRows) {
    notes.push(`maxRows: requests see the newest ${definition.maxRows} rows only`);
  }
  return notes;
}

function text(value: unknown): string {
  return typeof value === "bigint"
    ? String(value)
    : JSON.stringify(value, (_, each: unknown) => typeof each === "bigint" ? String(each) : each) ?? "null";
}

function shownRows(
  { rule, count, effectiveFrom, rows }: RuledRows,
  windows: readonly string[],
  ttl: string,
): ExplainedRows {
  const [number, reason] = ruleText(rule, { count, effectiveFrom, windows, ttl });
  return { rule: number, reason, count, rows: rows.map(shownRow) };
}

function ruleText(
  rule: RuledRows["rule"],
  { count, effectiveFrom, windows, ttl }: {
    readonly count: number;
    readonly effectiveFrom: Micros;
    readonly windows: readonly string[];
    readonly ttl: string;
  },
): [number: string, reason: string] {
  const window = windows.length === 1 ? `the window ${windows[0]}` : `the ${windows.length} windows`;
  switch (rule) {
    case "used":
      return ["used", "the rows behind the value"];
    case "before start":
      return ["start", "before the view's start"];
    case "after end":
      return ["end", "after the view's end"];
    case "not yet":
      return ["S3", "after the instant that is asked for"];
    case "not effective":
      return ["S4", `effective only ${count === 1 ? "at" : "later, the first at"} ${formatTimestamp(effectiveFrom)}`];
    case "not materialized":
      return ["S10", "its slice is not materialized"];
    case "late":
      return ["S10", "late: written after its slice was computed, and not materialized since"];
    case "older":
      return ["S3", "an older row"];
    case "written before":
      return ["S3", "of equal event timestamps the last written wins"];
    case "expired":
      return ["S6", `expired: event timestamp + ${ttl} is not after the instant`];
    case "before window":
      return ["S5", windows.length === 1 ? `before ${window}` : `before or between ${window}`];
    case "end of window":
      return ["S5", `at the end of ${window}, which is half-open`];
    case "after window":
      return ["S5", `after ${window}`];
    case "null secondary key":
      return ["S7", "its secondary key is null"];
    case "where":
      return ["where", "its condition does not hold"];
    case "null input":
      return ["S7", "its input is null"];
  }
}

function shownRow({ time, written, effective, values }: KeyRow): ExplainedRow {
  return {
    time: new Timestamp(time),
    effective: new Timestamp(effective),
    ...(written !== undefined && { written: new Timestamp(written) }),
    values,
  };
}
