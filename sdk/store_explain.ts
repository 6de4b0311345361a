/** Why a value is what it is: for one key, the source rows behind each feature, and those left out with the rule that left them out. */
import { type OptionNames, VarveError } from "./errors.ts";
import { type ExplainedComputation, explainedComputations, givenValue } from "./explain_realtime.ts";
import { type ShownRules, shownRules } from "./explain_rules.ts";
import { type ExplainedFeature, Explanation } from "./explanation.ts";
import { literalOf, type Plain } from "./frame/expr_literal.ts";
import { quoteName } from "./engine/engine.ts";
import { commitTimes } from "./materialize/late_rows.ts";
import { KeyRows, type StoredSlices, windowsAt } from "./retrieve/explained_rows.ts";
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
import { alignDown, formatRange, type Micros, Timestamp, type TimestampLike, toMicros } from "./time.ts";

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
  const { row: served, cut = [] } = from === "offline"
    ? await servedNow(parts, readers, readable, reads, { ...request, context }, at, signal)
    : {};
  const features: ExplainedFeature[] = [];
  for (const each of computed) {
    const nameOf = (column: string) => called.get(column) ?? column;
    const options = { looked: values, fields: rowFields!, at, nameOf, functions: parts.functions };
    for (const found of await explainedComputations(each, options)) features.push(explainedComputation(found, served));
  }
  const session = await (await parts.engine()).session();
  try {
    for (const read of reads) {
      const told: Told = { values, source, served, isCut: cut.includes(read.alias) };
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
  /** Whether what is served leaves out rows, since more are in reach than are kept. */
  readonly isCut: boolean;
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
): Promise<{ readonly row?: Row; readonly cut?: readonly string[] }> {
  if (!reads.every(({ definition }) => definition.online)) return {};
  const online = await parts.online();
  for (const { definition, version } of reads) {
    const state = await online.state(definition.name, version);
    const { schedule, dataDelay } = timing(definition);
    if (state?.collection === undefined || toMicros(state.watermark) > alignDown(at - dataDelay, schedule)) {
      return {};
    }
  }
  const reader = await readers.reader(readable);
  // Features that are not explained may be looked up by more keys, and computed of more fields: those are not asked for.
  const unasked = Object.fromEntries(reader.joinKeys.map(({ name }) => [name, null]));
  const ungiven = Object.fromEntries(reader.requestFields.map(({ name }) => [name, null]));
  const [answer] = await reader.read([{ ...unasked, ...row }], { at, context: [{ ...ungiven, ...context }], signal });
  const { values, cut = [] } = answer!;
  return { row: Object.fromEntries(reader.features.map(({ name }, i) => [name, values[i]])), cut };
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
  { values, source, served, isCut }: Told,
): string[] {
  const notes: string[] = [];
  const maxRows = definition.mode === "aggregates" ? definition.maxRows : undefined;
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
    const why = isCut && maxRows !== undefined
      ? `Requests see the newest ${maxRows} rows of a key only (maxRows)`
      : "What was stored since is loaded with the next run";
    notes.push(`Served is another value: ${text(served[as])}. ${why}`);
  } else if (!served && maxRows !== undefined && used > maxRows) {
    notes.push(`Requests see the newest ${maxRows} rows of a key only (maxRows)`);
  }
  const found = definition.features.find(({ name }) => name === feature);
  if (found?.default !== undefined && used === 0) {
    notes.push(`S7: a default, ${text(found.default)}, stands for null`);
  }
  return notes;
}

function text(value: unknown): string {
  return typeof value === "bigint"
    ? String(value)
    : JSON.stringify(value, (_, each: unknown) => typeof each === "bigint" ? String(each) : each) ?? "null";
}
