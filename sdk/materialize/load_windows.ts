/** Online values of aggregates: the tiles of every key that windows can still reach, or with `edge: "exact"` its rows. */
import type { AggregateView } from "../define/definitions.ts";
import type { ColumnBatch, EngineSession, Relation } from "../engine/engine.ts";
import { VarveError } from "../errors.ts";
import { noTiles, readHeader, TileBatch, tileLayout, tilesKey } from "../storage/encoding.ts";
import type { DeltaFile } from "../storage/delta_format.ts";
import type { Collection, PackedBatch } from "../storage/online_store.ts";
import { writeBatches } from "../storage/online_write.ts";
import { type OnlinePlan, onlinePlan } from "../window/online_plan.ts";
import { sliceLength } from "./due_slices.ts";
import { noFailpoint } from "./failpoint.ts";
import type { KeyValues, Spans } from "./key_values.ts";
import { type KeyRun, keyRuns } from "./keyed_runs.ts";
import { type Load, type OnlineContent, onlineProgress, watermarkOf, type Written } from "./load_context.ts";
import { RowValues } from "./row_values.ts";
import { TileValues } from "./tile_values.ts";
import { TotalChoice } from "./total_places.ts";
import { type WindowBatch, windowBatch, type WindowRun } from "./window_batch.ts";
import { UnknownKeys } from "./unknown_keys.ts";
import { StoredValues } from "./stored_values.ts";
import { changedRows, sortedRows, sortedRowsOf, type TableRows } from "./sorted_rows.ts";
import { type WindowReach, windowReach } from "./window_reach.ts";

/** How many keys are collected at most, and rows of them. */
const keysAtOnce = 512;
const rowsAtOnce = 200_000;

/** How a view of aggregates is loaded. */
export function windowContent(load: Load, definition: AggregateView): OnlineContent {
  return new WindowContent(load, definition);
}

/** What commits since an applied version did. */
interface Changes {
  /** The slices that they replaced, where windows reach them. */
  readonly spans: Spans;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** A key that commits touched, and its rows in the slices that they replaced. */
interface ChangedKey {
  readonly key: Uint8Array;
  /** Where its join keys are found. */
  readonly batch: ColumnBatch;
  readonly row: number;
  readonly runs: WindowRun[];
  rows: number;
}

class WindowContent implements OnlineContent {
  readonly #load: Load;
  readonly #definition: AggregateView;
  readonly #plan: OnlinePlan;
  readonly #reach: WindowReach;
  readonly #rows: TableRows;
  readonly #values: KeyValues;
  readonly #sequence: bigint;
  readonly #out: TileBatch;
  readonly #stored: StoredValues<ChangedKey>;
  /** {@link Written.cutKeys}. */
  #cutKeys = 0;

  constructor(load: Load, definition: AggregateView) {
    const { snapshot, context: { clock, expires = false } } = load;
    const plan = onlinePlan(definition);
    const times = {
      now: Number(clock.now()),
      watermark: Number(watermarkOf(snapshot, sliceLength(definition))),
    };
    const reach = windowReach(definition, plan, times, expires);
    const layout = tileLayout(plan.columns);
    this.#load = load;
    this.#definition = definition;
    this.#plan = plan;
    this.#reach = reach;
    const isUnbounded = plan.hasLifetime || reach.floor === -Infinity;
    this.#rows = { definition, columns: plan.columns, floor: isUnbounded ? undefined : BigInt(reach.floor) };
    this.#values = plan.keepsRows
      ? new RowValues({ columnCount: plan.columns.length, floor: reach.floor, maxRows: definition.maxRows! })
      : new TileValues({
        aggregators: plan.aggregations.map(({ aggregator }) => aggregator),
        unit: plan.edges.grain,
        floor: reach.floor,
        hasTail: plan.hasLifetime,
        totals: plan.endsTogether ? new TotalChoice(definition, plan, times.watermark) : undefined,
      });
    this.#sequence = BigInt(snapshot.version);
    this.#out = new TileBatch(layout);
    this.#stored = new StoredValues(load, layout);
  }

  async all(collection: Collection): Promise<Written> {
    const paths = await this.#localPaths(this.#reachable(this.#load.snapshot.files));
    if (paths.length === 0) return await this.#write(collection, [], false);
    return await this.#write(collection, this.#whole(this.#load.session, sortedRows(this.#rows, paths)), false);
  }

  async changesSince(appliedVersion: number): Promise<((collection: Collection) => Promise<Written>) | undefined> {
    const changes = await this.#changes(appliedVersion);
    if (!changes) return undefined;
    return async (collection) => {
      const hasNone = changes.added.length === 0 && changes.removed.length === 0;
      return await this.#write(collection, hasNone ? [] : this.#replaced(collection, changes), true);
    };
  }

  /** Undefined when the log or the files of that time are gone. */
  async #changes(appliedVersion: number): Promise<Changes | undefined> {
    const { snapshot, context: { table } } = this.#load;
    try {
      const changes = await table.changes(appliedVersion, snapshot.version);
      const touched = changes.flatMap(({ added, removed }) => [...added, ...removed]);
      const slices = new Map(this.#reachable(touched).map(({ slice }) => [slice.start, slice]));
      const live = this.#reachable(snapshot.files).filter(({ slice }) => slices.has(slice.start));
      // Also what came and went meanwhile: a loader that saw it may write it still.
      const removed = this.#reachable(changes.flatMap((change) => change.removed));
      return {
        spans: spansOf([...slices.values()]),
        added: await this.#localPaths(live),
        removed: await this.#localPaths(removed),
      };
    } catch (error) {
      if (error instanceof VarveError && error.code === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  #reachable(files: readonly DeltaFile[]): DeltaFile[] {
    const { floor } = this.#rows;
    return files.filter(({ rows, slice }) => rows > 0 && (floor === undefined || slice.end > floor));
  }

  async #localPaths(files: readonly DeltaFile[]): Promise<string[]> {
    const { table, signal } = this.#load.context;
    return await table.localPaths(files, signal);
  }

  async #write(
    collection: Collection,
    batches: AsyncIterable<PackedBatch> | Iterable<PackedBatch>,
    merge: boolean,
  ): Promise<Written> {
    const { online, signal } = this.#load.context;
    const onProgress = onlineProgress(this.#load);
    onProgress(0);
    const { taken } = await writeBatches(online, collection, batches, { merge, signal, onProgress });
    return { rows: taken, ...(this.#plan.keepsRows && { cutKeys: this.#cutKeys }) };
  }

  /** The values of keys of which every row comes. */
  async *#whole(session: EngineSession, relation: Relation): AsyncIterable<PackedBatch> {
    const values = this.#values;
    let key: Uint8Array | undefined;
    for await (const runs of this.#runs(session, relation)) {
      const rows = this.#prepare(runs);
      for (const { key: next, from, to, isMore } of runs) {
        if (!isMore) {
          if (key) yield* this.#put(key);
          values.begin();
          key = next;
        }
        values.add({ rows, from, to });
      }
      await this.#pause();
    }
    if (key) yield* this.#put(key);
    yield* this.#rest();
  }

  /** The values of changed keys: what is stored, with the changed slices replaced. */
  async *#replaced(collection: Collection, { spans, added, removed }: Changes): AsyncIterable<PackedBatch> {
    const unknown = new UnknownKeys(this.#load, this.#definition);
    try {
      let keys: ChangedKey[] = [];
      let rows = 0;
      for await (const runs of this.#runs(this.#load.session, changedRows(this.#rows, added, removed))) {
        const prepared = this.#prepare(runs);
        for (const { key, batch, from, to, isMore } of runs) {
          if (!isMore) {
            // Before a key begins, all that were collected are whole.
            if (keys.length >= keysAtOnce || rows >= rowsAtOnce) {
              yield* this.#replaceKeys(collection, keys, spans, unknown);
              keys = [];
              rows = 0;
            }
            keys.push({ key, batch, row: from, runs: [], rows: 0 });
          }
          rows += to - from;
          this.#addRun(keys.at(-1)!, { rows: prepared, from, to });
        }
        await this.#pause();
      }
      yield* this.#replaceKeys(collection, keys, spans, unknown);
      yield* this.#rest();
      const relation = await unknown.relation();
      if (!relation) return;
      const paths = await this.#localPaths(this.#reachable(this.#load.snapshot.files));
      yield* this.#whole(await unknown.session(), sortedRowsOf(this.#rows, paths, relation));
    } finally {
      unknown.close();
    }
  }

  /** Of the rows of one key no more are held than are kept. */
  #addRun(changed: ChangedKey, run: WindowRun): void {
    changed.runs.push(run);
    changed.rows += run.to - run.from;
    const { maxRows } = this.#definition;
    if (!this.#plan.keepsRows || maxRows === undefined) return;
    const { runs } = changed;
    // One more, so that what is left out shows.
    while (changed.rows - (runs[0]!.to - runs[0]!.from) > maxRows) {
      const { from, to } = runs.shift()!;
      changed.rows -= to - from;
    }
  }

  async *#replaceKeys(
    collection: Collection,
    keys: readonly ChangedKey[],
    spans: Spans,
    unknown: UnknownKeys,
  ): AsyncIterable<PackedBatch> {
    const reader = this.#stored.reader;
    for await (const { key: { key, batch, row, runs }, found, tiles } of this.#stored.of(collection, keys)) {
      if (found) {
        // Somebody was here who knows more.
        if (readHeader(found).sequence > this.#load.snapshot.version) continue;
        const isReadable = tiles !== undefined && this.#stored.opens(tiles);
        if (isReadable && reader.isCut) this.#cutKeys--;
        if (isReadable && this.#values.replace(reader, runs, spans)) yield* this.#put(key, tiles !== found);
        else await unknown.add(batch, row);
      } else if (this.#reach.mayHaveExpired) await unknown.add(batch, row);
      else {
        this.#values.begin();
        for (const run of runs) this.#values.add(run);
        yield* this.#put(key);
      }
    }
  }

  /** Writes the values that are put together; `hadTotals`: there are tiles of before, which may be in the way for ever. */
  *#put(key: Uint8Array, hadTotals = false): Iterable<PackedBatch> {
    const [value, tiles] = this.#values.values(this.#sequence);
    const expireAt = this.#reach.expireAt(this.#values.end);
    if (value!.isCut) this.#cutKeys++;
    this.#out.add(key, value!, expireAt);
    if (tiles) this.#out.add(tilesKey(key), tiles, expireAt);
    else if (hadTotals) this.#out.add(tilesKey(key), noTiles(value!), this.#reach.expireAt(undefined));
    if (this.#out.isFull) yield* this.#rest();
  }

  *#rest(): Iterable<PackedBatch> {
    const batch = this.#out.take();
    if (batch) yield batch;
  }

  #runs(session: EngineSession, { sql, schema }: Relation): AsyncIterable<KeyRun[]> {
    return keyRuns(this.#definition.entity.joinKeys, session.batches(sql, schema, this.#load.context.signal));
  }

  #prepare(runs: readonly KeyRun[]): WindowBatch {
    return windowBatch(this.#plan, this.#definition.entity.joinKeys.length, runs[0]!.batch);
  }

  async #pause(): Promise<void> {
    const { signal, failpoint = noFailpoint } = this.#load.context;
    signal?.throwIfAborted();
    await failpoint("mid-online");
  }
}

/** Slices as spans that do not touch. */
function spansOf(slices: readonly { readonly start: bigint; readonly end: bigint }[]): Spans {
  const spans: { start: number; end: number }[] = [];
  for (const { start, end } of slices.toSorted((a, b) => a.start < b.start ? -1 : 1)) {
    const last = spans.at(-1);
    if (last && last.end >= Number(start)) last.end = Math.max(last.end, Number(end));
    else spans.push({ start: Number(start), end: Number(end) });
  }
  return spans;
}
