/**
 * Rows in order -> states of tiles. What a tile holds is computed by the same aggregators that answer requests; here they only
 * see the rows of one key and tile after the other, so a block of states is all that is in memory.
 */
import type { ColumnBatch, ColumnVector } from "../engine/engine.ts";
import { type Aggregator, makeStates, type States } from "./aggregator.ts";
import { alignDown } from "./edges.ts";

/** One aggregation, and the columns of batches that it reads. */
export interface TileAggregation {
  readonly aggregator: Aggregator;
  /** Rows count where it is not null; every row counts where there is no such column. */
  readonly value?: number;
  readonly by?: number;
}

/** What is computed of which columns. */
export interface TilePlan {
  /** Micros. */
  readonly every: number;
  /** int32: grows from key to key; rows of a key are neighbours. */
  readonly id: number;
  /** float64 micros: grows within a key. */
  readonly time: number;
  /** int64 micros. */
  readonly written?: number;
  /** The secondary key, which no row lacks. */
  readonly key?: number;
  readonly aggregations: readonly TileAggregation[];
}

/** Tiles by key, then by time. Its arrays are used again for the next block. */
export interface TileBlock {
  /** How many tiles there are: the arrays may be longer. */
  readonly count: number;
  readonly ids: Int32Array;
  /** Starts of tiles in micros. */
  readonly starts: Float64Array;
  /** When the newest row of each tile was written; null where no row says so. */
  readonly written?: ColumnVector;
  /** By aggregation. */
  readonly states: readonly States[];
  /** Whether a cut was asked for, and comes after this block. */
  readonly endsPart: boolean;
}

/** An aggregator's own error, with the row at which it happened. */
export class TileError extends Error {
  readonly aggregation: number;
  readonly id: number;
  readonly time: number;

  /** Made where the aggregator threw. */
  constructor(place: { readonly aggregation: number; readonly id: number; readonly time: number }, cause: unknown) {
    super("An aggregator failed", { cause });
    this.aggregation = place.aggregation;
    this.id = place.id;
    this.time = place.time;
  }
}

/** Takes rows batch by batch; gives blocks of finished tiles. */
export class TileStates {
  readonly #plan: TilePlan;
  readonly #size: number;
  readonly #ids: Int32Array;
  readonly #starts: Float64Array;
  readonly #written: NewestWritten | undefined;
  readonly #states: readonly States[];
  #places = new Int32Array(0);
  /** Tiles begun in this block. */
  #count = 0;
  #id = -1;
  #tileEnd = -Infinity;
  #isCut = false;
  #endsPart = false;

  /** A block has at most `size` tiles. */
  constructor(plan: TilePlan, size = 4096) {
    this.#plan = plan;
    this.#size = size;
    this.#ids = new Int32Array(size);
    this.#starts = new Float64Array(size);
    this.#written = plan.written === undefined ? undefined : new NewestWritten(size);
    this.#states = plan.aggregations.map(({ aggregator }) => makeStates(aggregator, size));
  }

  /** Ends the part before the next key. */
  cut(): void {
    this.#isCut = true;
  }

  /** Takes the rows of a batch; every block must be read before the next is asked for. */
  *add(batch: ColumnBatch): Generator<TileBlock, void, undefined> {
    if (this.#places.length < batch.rowCount) this.#places = new Int32Array(batch.rowCount);
    for (let row = 0; row < batch.rowCount;) {
      const begun = this.#count;
      const end = this.#place(batch, row);
      this.#feed(batch, row, end, begun);
      if (end < batch.rowCount) yield this.#block();
      row = end;
    }
  }

  /** The tiles that are left. */
  *finish(): Generator<TileBlock, void, undefined> {
    if (this.#count > 0) yield this.#block();
  }

  /** Says to which tile each row from `row` on belongs; gives the first row that has no room in this block. */
  #place(batch: ColumnBatch, row: number): number {
    const ids = batch.columns[this.#plan.id]!.values as Int32Array;
    const times = batch.columns[this.#plan.time]!.values as Float64Array;
    const places = this.#places;
    const { every } = this.#plan;
    let place = this.#count - 1;
    let id = this.#id;
    let tileEnd = this.#tileEnd;
    for (; row < batch.rowCount; row++) {
      const time = times[row]!;
      if (ids[row] !== id || time >= tileEnd || place < 0) {
        this.#endsPart = this.#isCut && ids[row] !== id && place >= 0;
        if (this.#endsPart || place + 1 === this.#size) break;
        place++;
        id = ids[row]!;
        const start = alignDown(time, every);
        tileEnd = start + every;
        this.#ids[place] = id;
        this.#starts[place] = start;
      }
      places[row] = place;
    }
    this.#count = place + 1;
    this.#id = id;
    this.#tileEnd = tileEnd;
    return row;
  }

  /** Adds rows to their tiles, of which those from `begun` on are new. */
  #feed(batch: ColumnBatch, from: number, to: number, begun: number): void {
    const { aggregations, id, time, written, key } = this.#plan;
    const places = this.#places;
    const times = batch.columns[time]!.values as Float64Array;
    let row = from;
    for (const [index, { aggregator, value, by }] of aggregations.entries()) {
      const states = this.#states[index]!;
      for (let place = begun; place < this.#count; place++) aggregator.clear(states, place);
      const values = value === undefined ? undefined : batch.columns[value]!;
      try {
        if (by !== undefined || (aggregator.grouped && key !== undefined) || values?.hasNulls) {
          const reads: AggregationReads = {
            values,
            bys: by === undefined ? undefined : batch.columns[by],
            keys: aggregator.grouped && key !== undefined ? batch.columns[key]!.values : undefined,
          };
          for (row = from; row < to; row++) addRow(aggregator, states, places[row]!, reads, times[row]!, row);
        } else if (values) {
          const all = values.values;
          for (row = from; row < to; row++) aggregator.update(states, places[row]!, all[row], times[row]!, null);
        } else {
          for (row = from; row < to; row++) aggregator.update(states, places[row]!, undefined, times[row]!, null);
        }
      } catch (error) {
        const ids = batch.columns[id]!.values as Int32Array;
        throw new TileError({ aggregation: index, id: ids[row]!, time: times[row]! }, error);
      }
    }
    if (written !== undefined) this.#written!.add(batch.columns[written]!, places, from, to, begun, this.#count);
  }

  #pack(): void {
    for (const [index, { aggregator }] of this.#plan.aggregations.entries()) {
      let place = 0;
      try {
        for (; aggregator.pack && place < this.#count; place++) aggregator.pack(this.#states[index]!, place);
      } catch (error) {
        throw new TileError({ aggregation: index, id: this.#ids[place]!, time: this.#starts[place]! }, error);
      }
    }
  }

  #block(): TileBlock {
    const count = this.#count;
    this.#pack();
    const endsPart = this.#endsPart;
    if (endsPart) this.#isCut = this.#endsPart = false;
    this.#count = 0;
    return {
      count,
      ids: this.#ids,
      starts: this.#starts,
      ...(this.#written && { written: this.#written.column }),
      states: this.#states,
      endsPart,
    };
  }
}

/** What an aggregation reads of a batch. */
interface AggregationReads {
  readonly values: ColumnVector | undefined;
  readonly bys: ColumnVector | undefined;
  readonly keys: ColumnVector["values"] | undefined;
}

function addRow(
  aggregator: Aggregator,
  states: States,
  place: number,
  { values, bys, keys }: AggregationReads,
  time: number,
  row: number,
): void {
  const isNull = values !== undefined && values.hasNulls && values.isNull(row);
  if (isNull && keys === undefined) return;
  const value = values === undefined ? undefined : isNull ? null : values.values[row];
  const by = bys === undefined || (bys.hasNulls && bys.isNull(row)) ? null : bys.values[row];
  aggregator.update(states, place, value, time, by, keys?.[row]);
}

/**
 * The newest written time of each tile, compared by halves: 64-bit integers of their own would be an object per row. Every
 * processor that runs varve has the lower half first.
 */
class NewestWritten {
  readonly column: ColumnVector;
  readonly #low: Uint32Array;
  readonly #high: Int32Array;
  readonly #isKnown: Uint8Array;

  constructor(size: number) {
    const values = new BigInt64Array(size);
    this.#low = new Uint32Array(values.buffer);
    this.#high = new Int32Array(values.buffer);
    this.#isKnown = new Uint8Array(size);
    this.column = { values, isNull: (place) => this.#isKnown[place] === 0, hasNulls: true };
  }

  /** Takes rows [from, to); tiles [begun, count) have none yet. */
  add(written: ColumnVector, places: Int32Array, from: number, to: number, begun: number, count: number): void {
    const values = written.values as BigInt64Array;
    const lows = new Uint32Array(values.buffer, values.byteOffset, 2 * values.length);
    const highs = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
    const low = this.#low;
    const high = this.#high;
    const isKnown = this.#isKnown.fill(0, begun, count);
    for (let row = from; row < to; row++) {
      if (written.hasNulls && written.isNull(row)) continue;
      const place = places[row]!;
      const [newLow, newHigh] = [lows[2 * row]!, highs[2 * row + 1]!];
      const oldHigh = high[2 * place + 1]!;
      if (isKnown[place] === 1 && (newHigh < oldHigh || (newHigh === oldHigh && newLow <= low[2 * place]!))) continue;
      isKnown[place] = 1;
      low[2 * place] = newLow;
      high[2 * place + 1] = newHigh;
    }
  }
}
