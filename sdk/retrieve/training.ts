/** Training sets: the features of a service or view for the rows of a spine, as they were known at each row's time. */
import type { Engine, EngineSession } from "../engine/engine.ts";
import { type OptionNames, VarveError } from "../errors.ts";
import { warnOnce } from "../frame/runtime.ts";
import type { FunctionRuns } from "../sandbox/runner_options.ts";
import { formatType, type Schema, schemaFrom, type SchemaTypes } from "../schema.ts";
import type { DeltaTable } from "../storage/delta_format.ts";
import { type AnyRead, type FeatureRead, isRealtime } from "./feature_read.ts";
import { coverageWarning, offlineRows, pinTable, type Reach, reach } from "./offline_rows.ts";
import { addedColumns, type AsOf, type JoinedView, pointInTimeJoin, type PointInTimeOptions } from "./point_in_time.ts";
import { realtimeJoin } from "./realtime_join.ts";
import { sliceRange, sourceRows } from "./source_rows.ts";
import { loadSpine, type SpineInput } from "./spine.ts";
import type { SpineTable } from "./spine_table.ts";
import { lookupName, splitReads } from "./stored_reads.ts";
import { type AnyRecordedView, type RecordedView, type TrainingRecord, TrainingSet } from "./training_set.ts";
import { plannedRead, sourceWindows, storedWindows, windowsWarning } from "./window_input.ts";

/** What may be said about a training read. */
export interface TrainOptions {
  /** The column with the time that each row asks for. @default the only timestamp column */
  readonly eventTimestamp?: string;
  /** `"effective"`: what could have been served at the row's time (S4). `"event"`: what had happened by then. @default "effective" */
  readonly asOf?: AsOf;
  /** `"offline"` reads what was materialized; `"source"` computes it now, also before anything is published. @default "offline" */
  readonly from?: "offline" | "source";
  /** Adds `<view>__status` columns. @default false */
  readonly statuses?: boolean;
  /** Adds `<view>__effective_timestamp` columns. @default false */
  readonly effectiveTimestamps?: boolean;
  /** Types of the columns of plain rows that cannot tell them themselves, as of `fromRows`: `{ origin: "string", at: "timestamp" }`. */
  readonly schema?: SchemaTypes;
  /** Stops the read. */
  readonly signal?: AbortSignal;
}

/** Their names. */
export const trainOptions: OptionNames<TrainOptions> = {
  asOf: true,
  from: true,
  eventTimestamp: true,
  statuses: true,
  effectiveTimestamps: true,
  schema: true,
  signal: true,
};

/** What a training read needs. */
export interface TrainRequest extends Omit<TrainOptions, "schema"> {
  /** Types of plain rows. */
  readonly schema?: Schema | undefined;
  readonly reads: readonly AnyRead[];
  readonly spine: SpineInput;
}

/** What a training read needs it with. */
export interface TrainContext {
  readonly engine: Engine;
  /** The offline table of a view version. */
  readonly tables: (view: string, version: number) => DeltaTable;
  /** Runs the functions of realtime views. */
  readonly functions: FunctionRuns;
}

/** Options as a request has them. */
export function withSchema<O extends { readonly schema?: SchemaTypes }>(
  { schema, ...rest }: O,
): Omit<O, "schema"> & { readonly schema?: Schema } {
  return schema === undefined ? rest : { ...rest, schema: schemaFrom(schema) };
}

/** Reads a training set: checks the spine, pins table versions; the join runs when its result is asked for. */
export async function trainingSet(request: TrainRequest, context: TrainContext): Promise<TrainingSet> {
  return await open(request, context, undefined);
}

/**
 * The training set of a record again, byte for byte, given the same spine (S11): same definitions, same table versions.
 */
export async function rebuildTrainingSet(
  record: TrainingRecord,
  spine: SpineInput,
  context: TrainContext,
  options: Pick<TrainRequest, "schema" | "signal"> = {},
): Promise<TrainingSet> {
  if (record.format !== 1 && record.format !== 2) {
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot rebuild a training set of format ${record.format}: this version knows formats 1 and 2; use a newer varve`,
    );
  }
  if (record.from !== "offline") {
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot rebuild a training set that was read from: "source": sources change; read it from: "offline"`,
    );
  }
  const { asOf, from, statuses, effectiveTimestamps, eventTimestamp, views } = record;
  const set = await open(
    { reads: views, spine, asOf, from, statuses, effectiveTimestamps, eventTimestamp, ...options },
    context,
    views,
  );
  if (set.record.rows === record.rows) return set;
  set.close();
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot rebuild the training set: the spine has ${set.record.rows} rows, the record says ${record.rows}; give the same spine`,
  );
}

/** Refuses a record that is not of these features: what it is rebuilt to would not have their types. */
export function checkRecord(record: TrainingRecord, name: string, reads: readonly AnyRead[]): void {
  const texts = (of: readonly AnyRead[]) =>
    of.flatMap((read) =>
      addedColumns(read, { statuses: false, effectiveTimestamps: false }).map((field) =>
        `${field.name} ${formatType(field.type)}`
      )
    ).sort();
  const [recorded, wanted] = [texts(record.views), texts(reads)];
  if (recorded.join() === wanted.join()) return;
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot rebuild a training set of "${name}": its features are ${wanted.join(", ")}, those of the record ${
      recorded.join(", ")
    }; give the definition that the record was made with, or leave features out`,
  );
}

async function open(
  request: TrainRequest,
  context: TrainContext,
  pinned: readonly AnyRecordedView[] | undefined,
): Promise<TrainingSet> {
  const { reads, asOf = "effective", from = "offline", statuses = false, effectiveTimestamps = false, signal } =
    request;
  checkChoice("asOf", asOf, ["effective", "event"]);
  checkChoice("from", from, ["offline", "source"]);
  const session = await context.engine.session();
  try {
    const options: PointInTimeOptions = { asOf, statuses, effectiveTimestamps, signal };
    const spine = await loadSpine(session, request.spine, reads, { ...request, statuses, effectiveTimestamps });
    const { stored, computed } = splitReads(reads);
    const versions = pinned && tableVersions(pinned);
    const inputs = from === "source" ? stored.map((read) => fromSource(read, options)) : await Promise.all(
      stored.map((read) => fromOffline(context, read, versions?.get(lookupName(read)), options)),
    );
    const warnings: string[] = [];
    for (const input of inputs) warnings.push(...await input.warnings(session, spine, options));
    for (const warning of warnings) warnOnce(warning, warning);
    const { eventTimestamp, rows } = spine;
    const views = recordedReads(reads, inputs.map((input) => input.recorded));
    const record: TrainingRecord = {
      format: computed.length > 0 ? 2 : 1,
      asOf,
      from,
      statuses,
      effectiveTimestamps,
      eventTimestamp,
      rows,
      views,
    };
    const join = async (stop: AbortSignal | undefined) => {
      const stopped = { ...options, signal: stop };
      const joined: JoinedView[] = [];
      for (const input of inputs) joined.push(await input.joined(session, spine, stopped));
      const found = await pointInTimeJoin(session, spine, joined, stopped);
      return computed.length > 0
        ? await realtimeJoin(session, spine, found, reads, computed, context.functions, stopped)
        : found;
    };
    return new TrainingSet({ session, record, warnings, join, spine, reads, signal });
  } catch (error) {
    session.close();
    throw error;
  }
}

/** Without types a misspelt choice would be read as the default, and its record would be kept with the model. */
function checkChoice<T extends string>(option: string, value: T, choices: readonly T[]): void {
  if (choices.includes(value)) return;
  const known = choices.map((choice) => `"${choice}"`).join(" or ");
  throw new VarveError("INVALID_REQUEST", `Cannot read a training set: ${option} is "${value}"; it is ${known}`);
}

/** Where the rows of one view come from. */
interface ViewInput {
  readonly recorded: RecordedView;
  warnings(session: EngineSession, spine: SpineTable, options: PointInTimeOptions): Promise<string[]>;
  joined(session: EngineSession, spine: SpineTable, options: PointInTimeOptions): Promise<JoinedView>;
}

async function fromOffline(
  { tables }: TrainContext,
  read: FeatureRead,
  tableVersion: number | undefined,
  { asOf }: PointInTimeOptions,
): Promise<ViewInput> {
  const plan = plannedRead(read, asOf, "offline");
  const table = tables(read.definition.name, read.version);
  const snapshot = await pinTable(table, read, tableVersion);
  const recorded = { ...plainRead(read), tableVersion: snapshot.version };
  const listed = (warning: string | undefined) => warning === undefined ? [] : [warning];
  if (plan) {
    return {
      recorded,
      warnings: async (session, spine, { signal }) =>
        listed(await windowsWarning(session, spine, plan, read, snapshot, signal)),
      joined: async (session, spine, { signal }) => ({
        read,
        windows: await storedWindows(session, spine, plan, table, snapshot, signal),
      }),
    };
  }
  let known: Promise<Reach> | undefined;
  const reached: typeof reach = (...args) => known ??= reach(...args);
  return {
    recorded,
    warnings: async (session, spine, options) =>
      listed(coverageWarning(read, snapshot, await reached(session, spine, read, options))),
    joined: async (session, spine, options) => ({
      read,
      rows: await offlineRows(table, snapshot, await reached(session, spine, read, options), options),
    }),
  };
}

function fromSource(read: FeatureRead, { asOf }: PointInTimeOptions): ViewInput {
  const plan = plannedRead(read, asOf, "source");
  return {
    recorded: plainRead(read),
    warnings: async () => await Promise.resolve([]),
    joined: async (session, spine, options) => {
      const { signal } = options;
      if (plan) return { read, windows: await sourceWindows(session, spine, plan, signal) };
      const { newest } = await reach(session, spine, read, options);
      return {
        read,
        rows: await sourceRows(session, read.definition, sliceRange(read.definition, newest + 1n), signal),
      };
    },
  };
}

/** What was asked for, with the versions of tables that were read for it. */
function recordedReads(reads: readonly AnyRead[], looked: readonly RecordedView[]): AnyRecordedView[] {
  const versions = tableVersions(looked);
  const recorded = (read: FeatureRead): RecordedView => {
    const tableVersion = versions.get(lookupName(read));
    return { ...plainRead(read), ...(tableVersion !== undefined && { tableVersion }) };
  };
  return reads.map((read) => {
    if (!isRealtime(read)) return recorded(read);
    const { alias, definition, version, features, inputs } = read;
    return { alias, definition, version, features, inputs: inputs.map(recorded) };
  });
}

/** The version of the table behind each look-up. */
function tableVersions(views: readonly AnyRecordedView[]): Map<string, number> {
  const looked = views.flatMap((view) => isRealtime(view) ? view.inputs : [view]);
  return new Map(
    looked.flatMap((view) => view.tableVersion === undefined ? [] : [[lookupName(view), view.tableVersion] as const]),
  );
}

function plainRead({ alias, definition, version, features, joinKeyMap }: FeatureRead): RecordedView {
  return { alias, definition, version, features, joinKeyMap };
}
