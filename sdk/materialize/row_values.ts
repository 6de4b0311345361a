/** Makes the online values of a view with `edge: "exact"`, one key after the other: the newest rows, up to a bound. */
import type { TileReader, TileValue } from "../storage/encoding.ts";
import { type KeyValues, replaceSpans, type Spans } from "./key_values.ts";
import type { WindowRun } from "./window_batch.ts";

/** What all values of a load have in common. */
export interface RowSettings {
  /** The number of columns that are kept of a row. */
  readonly columnCount: number;
  /** Older rows are dropped: no window reaches them. */
  readonly floor: number;
  /** How many rows of a key are kept. */
  readonly maxRows: number;
}

/** Times are often whole milliseconds or seconds, which takes fewer bytes. */
const units = [1_000_000, 1_000];

/** The rows of one key. */
export class RowValues implements KeyValues {
  readonly #settings: RowSettings;
  /** The first rows may be ones that are too many already. */
  #first = 0;
  #count = 0;
  #times: number[] = [];
  #columns: unknown[][];
  #floor = 0;
  #isCut = false;
  leftOut = 0;

  constructor(settings: RowSettings) {
    this.#settings = settings;
    this.#columns = Array.from({ length: settings.columnCount }, () => []);
  }

  begin(): void {
    this.#start(this.#settings.floor, false);
  }

  #start(floor: number, isCut: boolean): void {
    this.#first = 0;
    this.#count = 0;
    this.#floor = floor;
    this.#isCut = isCut;
    this.leftOut = 0;
  }

  add({ rows: { times, columns }, from, to }: WindowRun): void {
    for (let row = from; row < to; row++) if (times[row]! >= this.#floor) this.#add(times[row]!, columns, row);
  }

  replace(old: TileReader, runs: readonly WindowRun[], changed: Spans): boolean {
    const floor = Math.max(this.#settings.floor, old.floor);
    const oldest = old.count(0) > 0 ? old.place(0, 0) * old.unit : -Infinity;
    // Rows that were left out before are older than all that are there: below the floor nobody misses them.
    const isCut = old.isCut && oldest >= floor;
    this.#start(floor, isCut);
    // Of times from which on no row is missing: rows before them cannot be told to be newer than those that are.
    const complete = changed.find(({ start, end }) => start <= oldest && oldest < end)?.start ?? oldest;
    const add = isCut ? (run: WindowRun) => this.add(since(run, complete)) : (run: WindowRun) => this.add(run);
    replaceSpans(old, runs, changed, (from, to) => this.#addOld(old, from, to), add);
    return !isCut || this.#count === this.#settings.maxRows;
  }

  #addOld(old: TileReader, from: number, to: number): void {
    if (to <= from) return;
    const columns = this.#columns.map((_, c) => {
      const values: unknown[] = [];
      old.read(0, c, from, to, values, 0);
      return values;
    });
    for (let row = from; row < to; row++) {
      const time = old.place(0, row) * old.unit;
      if (time >= this.#floor) this.#add(time, columns, row - from);
    }
  }

  /** Nulls are in place. */
  #add(time: number, columns: readonly (readonly unknown[])[], row: number): void {
    if (this.#count === this.#settings.maxRows) {
      this.#first++;
      this.leftOut++;
      if (this.#first >= this.#count) this.#compact();
    } else this.#count++;
    const i = this.#first + this.#count - 1;
    this.#times[i] = time;
    for (let c = 0; c < columns.length; c++) this.#columns[c]![i] = columns[c]![row];
  }

  /** Forgets the rows that were too many. */
  #compact(): void {
    const first = this.#first;
    this.#times = this.#times.slice(first);
    this.#columns = this.#columns.map((column) => column.slice(first));
    this.#first = 0;
  }

  get end(): number | undefined {
    return this.#count === 0 ? undefined : this.#times[this.#first + this.#count - 1]! + 1;
  }

  values(sequence: bigint): readonly TileValue[] {
    const count = this.#count;
    const end = this.#first + count;
    const times = this.#times.slice(this.#first, end);
    const unit = units.find((each) => times.every((time) => time % each === 0)) ?? 1;
    const places = Float64Array.from(times, (time) => time / unit);
    const columns = this.#columns.map((column) => column.slice(this.#first, end));
    return [{
      sequence,
      unit,
      floor: this.#floor,
      isCut: this.#isCut || this.leftOut > 0,
      levels: count === 0 ? [] : [{ count, places, columns }],
    }];
  }
}

/** The rows of a run from an instant on. */
function since({ rows, from, to }: WindowRun, time: number): WindowRun {
  let first = from;
  while (first < to && !(rows.times[first]! >= time)) first++;
  return { rows, from: first, to };
}
