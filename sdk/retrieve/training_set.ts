/** The result of a training read, in the form that is asked for. */
import { Displayed } from "../display.ts";
import {
  type EngineSession,
  type ParquetFile,
  type ParquetOptions,
  quoteName,
  type Relation,
} from "../engine/engine.ts";
import { VarveError } from "../errors.ts";
import { readStopped, stoppable } from "../interrupt.ts";
import type { ArrowTable, DataFrame } from "../frame/runtime.ts";
import type { Row, Schema } from "../schema.ts";
import { formatCount } from "../text.ts";
import { type AnyRead, type FeatureRead, isRealtime, lookupColumns, type RealtimeRead } from "./feature_read.ts";
import type { LabelOptions, LabelProfile } from "./label_profile.ts";
import { labelProfile } from "./label_rows.ts";
import { addedColumns, type AsOf } from "./point_in_time.ts";
import type { SpineTable } from "./spine_table.ts";

/** Everything that decides a training set beside its spine: plain JSON, to be kept with the model (S11). */
export interface TrainingRecord {
  /** How the record is to be read: 2 where a realtime view is in it. */
  readonly format: 1 | 2;
  /** What counts as known. */
  readonly asOf: AsOf;
  /** Whether stored history or the sources were read. */
  readonly from: "offline" | "source";
  /** Whether there are status columns. */
  readonly statuses: boolean;
  /** Whether there are effective timestamp columns. */
  readonly effectiveTimestamps: boolean;
  /** The spine's column with the time that each row asks for. */
  readonly eventTimestamp: string;
  /** How many rows the spine has. */
  readonly rows: number;
  /** What was read. */
  readonly views: readonly AnyRecordedView[];
}

/** One view as a training set read it. */
export interface RecordedView extends FeatureRead {
  /** Version of the offline table; absent when it was computed from the source. */
  readonly tableVersion?: number;
}

/** One realtime view as a training set read it, with the very definition that computed it. */
export interface RecordedRealtimeView extends RealtimeRead {
  /** What it was computed from. */
  readonly inputs: readonly RecordedView[];
}

/** One view of any kind as a training set read it. */
export type AnyRecordedView = RecordedView | RecordedRealtimeView;

/** What a training set is made of. */
export interface TrainingSetParts {
  readonly session: EngineSession;
  readonly record: TrainingRecord;
  readonly warnings: readonly string[];
  readonly spine: SpineTable;
  readonly reads: readonly AnyRead[];
  /** Runs the join. */
  readonly join: (signal: AbortSignal | undefined) => Promise<Relation>;
  readonly signal?: AbortSignal | undefined;
}

/** The version of a view, and of its offline table, that was read. */
export interface ReadVersion {
  /** The view. */
  readonly view: string;
  /** Which version of it. */
  readonly version: number;
  /** The version of its offline table; absent when it was computed from the source, or is a realtime view. */
  readonly tableVersion?: number;
}

/** A session that nobody closed is closed when its training set is gone. */
const forgotten = new FinalizationRegistry<EngineSession>((session) => session.close());

/**
 * One row per spine row, in its order (S2): the spine's columns, then the features. The join runs once, when first needed.
 * `R` is such a row; `Features` are the features' names, and `Label` those of the spine's columns.
 */
export class TrainingSet<R extends Row = Row, Features extends string = string, Label extends string = string>
  extends Displayed {
  /** Everything that decides this training set beside its spine; keep it to rebuild it (S11). */
  readonly record: TrainingRecord;
  /** The spine's columns, then the features. */
  readonly schema: Schema;
  /** What was read, by alias of the view. */
  readonly versions: Readonly<Record<string, ReadVersion>>;
  /** What is not materialized of what the spine asks for. */
  readonly warnings: readonly string[];
  readonly #parts: TrainingSetParts;
  #relation: Promise<Relation> | undefined;
  /** A session runs one statement at a time. */
  #queue: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /**
   * Made by `store.train`.
   * @internal
   */
  constructor(parts: TrainingSetParts) {
    super();
    const { record, spine, reads } = parts;
    this.#parts = parts;
    this.record = record;
    this.warnings = parts.warnings;
    this.schema = Object.freeze([...spine.schema, ...reads.flatMap((read) => addedColumns(read, record))]);
    this.versions = Object.freeze(
      Object.fromEntries(record.views.map((read) => {
        const tableVersion = isRealtime(read) ? undefined : read.tableVersion;
        const { alias, definition, version } = read;
        return [
          alias,
          Object.freeze({ view: definition.name, version, ...(tableVersion === undefined ? {} : { tableVersion }) }),
        ];
      })),
    );
    forgotten.register(this, parts.session, this);
  }

  /** How many rows the spine has. */
  get rowCount(): number {
    return this.record.rows;
  }

  /** The training set as a nodejs-polars DataFrame. */
  async collect(): Promise<DataFrame> {
    return await this.#run((sql, { session, signal }) => session.dataFrame(sql, this.schema, signal)) as DataFrame;
  }

  /** Writes the training set to a Parquet file. The same record and spine give the same bytes. */
  async parquet(path: string, options: ParquetOptions = {}): Promise<ParquetFile> {
    return await this.#run((sql, { session, signal }) => session.writeParquet(sql, path, options, signal));
  }

  /** The training set as an Apache Arrow table. */
  async arrow(): Promise<ArrowTable> {
    return await this.#run((sql, { session, signal }) => session.arrow(sql, this.schema, signal)) as ArrowTable;
  }

  /** The training set as plain objects: for small ones. */
  async rows(): Promise<R[]> {
    return await this.#run((sql, { session, signal }) => session.rows(sql, signal)) as R[];
  }

  /** The first rows, as plain objects. */
  async head(count = 10): Promise<R[]> {
    const first = (sql: string) => `SELECT * FROM (${sql}) LIMIT ${count}`;
    return await this.#run((sql, { session, signal }) => session.rows(first(sql), signal)) as R[];
  }

  /** The share of rows, from 0 to 1, in which each feature is null. */
  async nullShares(): Promise<Readonly<Record<string, number>>> {
    const features = this.#parts.reads.flatMap((read) => read.features.map(({ as }) => as));
    if (features.length === 0 || this.rowCount === 0) return {};
    const counts = features.map((name, i) => `count(${quoteName(name)})::DOUBLE AS c${i}`);
    const [found] = await this.#run((sql, { session, signal }) =>
      session.rows(`SELECT ${counts.join(", ")} FROM (${sql})`, signal)
    );
    return Object.fromEntries(
      features.map((name, i) => [name, (this.rowCount - Number(found![`c${i}`])) / this.rowCount]),
    );
  }

  /** The features against the label: nulls, how values lie, how much each tells of the label by itself; the strongest first. */
  async profile(
    options: LabelOptions<Features, Label> = {},
  ): Promise<LabelProfile<Features>> {
    const { reads, spine } = this.#parts;
    const taken = new Set([
      spine.eventTimestamp,
      ...reads.flatMap((read) => lookupColumns(read).map(({ name }) => name)),
    ]);
    const rows = {
      schema: this.schema,
      rowCount: this.rowCount,
      features: reads.flatMap((read) => read.features.map(({ as }) => as)),
      extras: spine.schema.filter(({ name }) => !taken.has(name)),
    };
    const found = await this.#run((sql, { session, signal }) =>
      labelProfile(session, { ...rows, sql, signal }, options)
    );
    return found as LabelProfile<Features>;
  }

  /** What it is made of, in a few lines. */
  override toString(): string {
    const { asOf, from } = this.record;
    const versions = Object.entries(this.versions).map(([alias, { version, tableVersion }]) =>
      `  ${alias} version ${version}${tableVersion === undefined ? "" : `, table version ${tableVersion}`}`
    );
    return [
      `training set of ${
        formatCount(this.rowCount)
      } rows × ${this.schema.length} columns, as of ${asOf} time, from ${from}`,
      ...versions,
      ...this.warnings.map((warning) => `  ! ${warning}`),
    ].join("\n");
  }

  /** Frees what the engine holds for it. A training set that is simply dropped is freed some time later. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    forgotten.unregister(this);
    // Whatever still runs comes first.
    void this.#queue.then(() => this.#parts.session.close());
  }

  #run<T>(action: (sql: string, parts: TrainingSetParts) => Promise<T>): Promise<T> {
    if (this.#isClosed) {
      throw new VarveError("INVALID_REQUEST", "Cannot read the training set: it is closed; read it again");
    }
    const result = this.#queue.then(() =>
      stoppable(this.#parts, readStopped, async (parts) => {
        this.#relation ??= parts.join(parts.signal);
        try {
          return await action((await this.#relation).sql, parts);
        } catch (error) {
          this.#relation = undefined; // what failed may work the next time
          throw error;
        }
      })
    );
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
