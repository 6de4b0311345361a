/** Makes the online values of a view of tiles, one key after the other: rows of its table, or an older value with slices replaced. */
import { type TileLevel, tileRatio, type TileReader, type TileValue } from "../storage/encoding.ts";
import { type Aggregator, makeStates, type SlotColumn, type States } from "../window/aggregator.ts";
import { type KeyValues, replaceSpans, type Spans } from "./key_values.ts";
import type { WindowRun } from "./window_batch.ts";

/** What all values of a load have in common. */
export interface TileSettings {
  /** In the order of the stored columns. */
  readonly aggregators: readonly Aggregator[];
  /** Length of the finest tiles, micros. */
  readonly unit: number;
  /** What is older is dropped, or goes into the tail. */
  readonly floor: number;
  /** Whether everything older than the floor is kept in one state. */
  readonly hasTail: boolean;
}

/** Fewer tiles are merged as they are. */
const leastTiles = 32;

/** The tiles of one key. */
export class TileValues implements KeyValues {
  readonly #settings: TileSettings;
  readonly #levels: Level[];
  readonly #tail: readonly States[];
  readonly #tailColumns: readonly SlotColumn[];
  #hasTail = false;
  #floor = 0;
  readonly #scratch: readonly States[];
  readonly leftOut = 0;

  constructor(settings: TileSettings) {
    this.#settings = settings;
    this.#levels = [new Level(settings.aggregators)];
    this.#tail = settings.aggregators.map((aggregator) => makeStates(aggregator, 1));
    this.#tailColumns = this.#tail.flat();
    this.#scratch = settings.aggregators.map((aggregator) => makeStates(aggregator, 1));
  }

  begin(): void {
    this.#start(this.#settings.floor);
  }

  #start(floor: number): void {
    this.#levels[0]!.count = 0;
    this.#hasTail = false;
    this.#floor = floor;
  }

  add({ rows: { times, states }, from, to }: WindowRun): void {
    const { unit } = this.#settings;
    for (let row = from; row < to; row++) {
      const time = times[row]!;
      if (time >= this.#floor) this.#levels[0]!.add(Math.floor(time / unit), states, row);
      else if (time < this.#floor) this.#addToTail(states, row);
    }
  }

  replace(old: TileReader, runs: readonly WindowRun[], changed: Spans): boolean {
    const { unit, floor, hasTail } = this.#settings;
    if (old.unit !== unit) return false;
    // What went into one state cannot be taken out again.
    if (hasTail && changed.length > 0 && changed[0]!.start < old.floor) return false;
    // Whoever wrote it may have looked at a later clock.
    this.#start(Math.max(floor, old.floor));
    if (old.hasTail) {
      this.#eachSlot((column, slot) => old.readTail(slot, column, 0), this.#tail);
      this.#hasTail = true;
    }
    replaceSpans(old, runs, changed, (from, to) => this.#addOld(old, from, to), (run) => this.add(run));
    return true;
  }

  /** Takes rows `from … to` of an older value's finest tiles. */
  #addOld(old: TileReader, from: number, to: number): void {
    let first = from;
    while (first < to && old.place(0, first) * this.#settings.unit < this.#floor) {
      this.#eachSlot((column, slot) => old.read(0, slot, first, first + 1, column, 0), this.#scratch);
      this.#addToTail(this.#scratch, 0);
      first++;
    }
    this.#levels[0]!.addOld(old, first, to);
  }

  get end(): number | undefined {
    const { count, places } = this.#levels[0]!;
    if (count > 0) return (places[count - 1]! + 1) * this.#settings.unit;
    return this.#hasTail ? this.#floor : undefined;
  }

  value(sequence: bigint): TileValue {
    const levels = this.#coarsen();
    const { aggregators, unit } = this.#settings;
    for (const [a, aggregator] of aggregators.entries()) {
      if (!aggregator.pack) continue;
      if (this.#hasTail) aggregator.pack(this.#tail[a]!, 0);
      for (const { states, count } of levels) {
        for (let i = 0; i < count; i++) aggregator.pack(states[a]!, i);
      }
    }
    return {
      sequence,
      unit,
      floor: this.#floor,
      isCut: false,
      ...(this.#hasTail && { tail: this.#tailColumns }),
      levels,
    };
  }

  /** Coarser levels for as long as each halves the one before. */
  #coarsen(): readonly Level[] {
    const [finest] = this.#levels;
    if (finest!.count === 0) return [];
    let used = 1;
    for (let below = finest!; below.count >= leastTiles; below = this.#levels[used - 1]!) {
      const level = this.#levels[used] ??= new Level(this.#settings.aggregators);
      level.merge(below);
      if (level.count > below.count / 2) break;
      used++;
    }
    return this.#levels.slice(0, used);
  }

  #addToTail(from: readonly States[], row: number): void {
    const { aggregators, hasTail } = this.#settings;
    if (!hasTail) return;
    for (let a = 0; a < aggregators.length; a++) {
      if (!this.#hasTail) aggregators[a]!.clear(this.#tail[a]!, 0);
      aggregators[a]!.merge(this.#tail[a]!, 0, from[a]!, row);
    }
    this.#hasTail = true;
  }

  #eachSlot(visit: (column: SlotColumn, slot: number) => void, states: readonly States[]): void {
    let slot = 0;
    for (const columns of states) for (const column of columns) visit(column, slot++);
  }
}

/** Tiles of one length. */
class Level implements TileLevel {
  readonly #aggregators: readonly Aggregator[];
  count = 0;
  places = new Float64Array(64);
  states: readonly States[];
  columns: readonly SlotColumn[];

  constructor(aggregators: readonly Aggregator[]) {
    this.#aggregators = aggregators;
    this.states = aggregators.map((aggregator) => makeStates(aggregator, 64));
    this.columns = this.states.flat();
  }

  /** Adds a state at a place that is not before the last one. */
  add(place: number, from: readonly States[], row: number): void {
    const aggregators = this.#aggregators;
    const last = this.count - 1;
    const isSame = last >= 0 && this.places[last] === place;
    if (!isSame) {
      this.#reserve(1);
      this.places[this.count++] = place;
    }
    const i = this.count - 1;
    for (let a = 0; a < aggregators.length; a++) {
      const states = this.states[a]!;
      if (!isSame) aggregators[a]!.clear(states, i);
      aggregators[a]!.merge(states, i, from[a]!, row);
    }
  }

  addOld(old: TileReader, from: number, to: number): void {
    if (to <= from) return;
    this.#reserve(to - from);
    for (let row = from; row < to; row++) this.places[this.count + row - from] = old.place(0, row);
    for (let slot = 0; slot < this.columns.length; slot++) {
      old.read(0, slot, from, to, this.columns[slot]!, this.count);
    }
    this.count += to - from;
  }

  /** Becomes the level above another. */
  merge(below: Level): void {
    this.count = 0;
    for (let row = 0; row < below.count; row++) {
      this.add(Math.floor(below.places[row]! / tileRatio), below.states, row);
    }
  }

  #reserve(more: number): void {
    const needed = this.count + more;
    if (needed <= this.places.length) return;
    const room = Math.max(needed, 2 * this.places.length);
    const places = new Float64Array(room);
    places.set(this.places);
    const before = this.columns;
    this.places = places;
    this.states = this.#aggregators.map((aggregator) => makeStates(aggregator, room));
    this.columns = this.states.flat();
    for (const [slot, column] of this.columns.entries()) copy(column, before[slot]!, this.count);
  }
}

function copy(into: SlotColumn, from: SlotColumn, count: number): void {
  if (Array.isArray(into)) { for (let i = 0; i < count; i++) into[i] = from[i]; }
  else (into as Float64Array).set(from as Float64Array);
}
