/** Makes the online values of a view of tiles, one key after the other: rows of its table, or an older value with slices replaced. */
import type { TileLevel, TileReader, TileValue } from "../storage/encoding.ts";
import { type Aggregator, makeStates, type SlotColumn, type States } from "../window/aggregator.ts";
import { coverTiles, type TileLevels, tileRatio } from "../window/tile_cover.ts";
import { type KeyValues, replaceSpans, type Spans } from "./key_values.ts";
import { find, type TotalChoice, type TotalPlaces } from "./total_places.ts";
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
  /** Chooses the totals that requests find; absent where windows do not end together. */
  readonly totals: TotalChoice | undefined;
}

/** Fewer tiles are merged as they are. */
const leastTiles = 32;

/** The tiles of one key. */
export class TileValues implements KeyValues, TileLevels {
  readonly #settings: TileSettings;
  readonly #levels: Level[];
  readonly #tail: readonly States[];
  #hasTail = false;
  #floor = 0;
  readonly #scratch: readonly States[];
  readonly #totals: Level;
  /** The total of everything. */
  readonly #all: readonly States[];
  readonly leftOut = 0;
  levelCount = 0;

  constructor(settings: TileSettings) {
    this.#settings = settings;
    this.#levels = [new Level(settings.aggregators)];
    this.#tail = settings.aggregators.map((aggregator) => makeStates(aggregator, 1));
    this.#scratch = settings.aggregators.map((aggregator) => makeStates(aggregator, 1));
    this.#all = settings.aggregators.map((aggregator) => makeStates(aggregator, 1));
    this.#totals = new Level(settings.aggregators);
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

  values(sequence: bigint): readonly TileValue[] {
    this.#coarsen();
    const levels = this.#levels.slice(0, this.levelCount);
    const { aggregators, unit, totals } = this.#settings;
    const [finest] = this.#levels;
    const wanted = totals?.of(finest!.places, finest!.count);
    const chosen = wanted && isMade(() => this.#total(wanted)) ? wanted : undefined;
    for (const [a, aggregator] of aggregators.entries()) {
      if (!aggregator.pack) continue;
      if (this.#hasTail) aggregator.pack(this.#tail[a]!, 0);
      if (chosen && this.#settings.hasTail) aggregator.pack(this.#all[a]!, 0);
      for (const { states, count } of chosen ? [...levels, this.#totals] : levels) {
        for (let i = 0; i < count; i++) aggregator.pack(states[a]!, i);
      }
    }
    const base = { sequence, unit, floor: this.#floor, isCut: false };
    const tiles: TileValue = { ...base, ...(this.#hasTail && { tail: this.#tail.flat() }), levels };
    if (!totals || !chosen) return [tiles];
    const { watermark, windowsHash } = totals;
    return [{
      ...base,
      totals: { windows: windowsHash, watermark, until: chosen.until },
      ...(this.#settings.hasTail && { tail: this.#all.flat() }),
      levels: [this.#totals],
    }, tiles];
  }

  /** Adds up everything from each of some tiles on, the newest first. */
  #total({ rows }: TotalPlaces): void {
    const { aggregators, hasTail } = this.#settings;
    const finest = this.#levels[0]!;
    const into = this.#totals;
    into.resize(rows.length);
    let end = Infinity;
    for (let i = rows.length - 1; i >= 0; i--) {
      const place = finest.places[rows[i]!]!;
      into.places[i] = place;
      for (const [a, aggregator] of aggregators.entries()) aggregator.clear(into.states[a]!, i);
      this.#addSpan(into.states, i, place, end);
      if (i + 1 < rows.length) addState(aggregators, into.states, i, into.states, i + 1);
      end = place;
    }
    if (!hasTail) return;
    for (const [a, aggregator] of aggregators.entries()) aggregator.clear(this.#all[a]!, 0);
    if (this.#hasTail) addState(aggregators, this.#all, 0, this.#tail, 0);
    this.#addSpan(this.#all, 0, -Infinity, end);
    addState(aggregators, this.#all, 0, into.states, 0);
  }

  #addSpan(into: readonly States[], i: number, from: number, to: number): void {
    const { aggregators } = this.#settings;
    const { places, count } = this.#levels[0]!;
    const start = Math.max(from, places[0]!);
    const end = Math.min(to, places[count - 1]! + 1);
    coverTiles(this, start, end, (level, first, last) => {
      for (let row = first; row < last; row++) addState(aggregators, into, i, this.#levels[level]!.states, row);
    });
  }

  find(level: number, place: number): number {
    const { places, count } = this.#levels[level]!;
    return find(places, count, place);
  }

  /** Makes coarser levels for as long as each halves the one before. */
  #coarsen(): void {
    this.levelCount = Math.min(1, this.#levels[0]!.count);
    for (let below = this.#levels[0]!; below.count >= leastTiles; below = this.#levels[this.levelCount - 1]!) {
      const level = this.#levels[this.levelCount] ??= new Level(this.#settings.aggregators);
      if (!isMade(() => level.merge(below)) || level.count > below.count / 2) break;
      this.levelCount++;
    }
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

/**
 * Tries to make what only saves work. An aggregator may refuse to add up so much, and then whoever asks for it is told: a load
 * must not fail for one key.
 */
function isMade(make: () => void): boolean {
  try {
    make();
    return true;
  } catch {
    return false;
  }
}

function addState(
  aggregators: readonly Aggregator[],
  into: readonly States[],
  i: number,
  from: readonly States[],
  j: number,
): void {
  for (let a = 0; a < aggregators.length; a++) aggregators[a]!.merge(into[a]!, i, from[a]!, j);
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

  /** Makes room for states that are to come. */
  resize(count: number): void {
    this.count = 0;
    this.#reserve(count);
    this.count = count;
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
