/** Adds up tiles: for every segment as few of them as its length allows, the coarsest in the middle. */
import { tileRatio, type TileReader } from "../storage/encoding.ts";
import { makeStates, type States } from "../window/aggregator.ts";
import type { OnlinePlan } from "../window/online_plan.ts";
import type { Segments } from "../window/segments.ts";
import type { SegmentSums, SummedAggregation } from "./online_windows.ts";

/** Sums of tiles. */
export class TileSums implements SegmentSums {
  readonly #plan: OnlinePlan;
  readonly #aggregations: readonly SummedAggregation[];
  /** Tiles of all segments, in order of time, of each aggregation. */
  #tiles: readonly States[] = [];
  #room = 0;
  readonly #tails: readonly States[];
  /** Stretches of rows: level, first row, row after the last. */
  readonly #levels: number[] = [];
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  #stretches = 0;
  #count = 0;
  /** Where the tiles of each segment end. */
  readonly #ends: number[] = [];
  /** What is left to be added after the coarser levels: level, first place, place after the last. */
  readonly #later: number[] = [];

  constructor(plan: OnlinePlan, aggregations: readonly SummedAggregation[]) {
    this.#plan = plan;
    this.#aggregations = aggregations;
    this.#tails = aggregations.map(({ aggregator }) => makeStates(aggregator, 1));
  }

  add(reader: TileReader, segments: Segments): boolean {
    const { unit, floor } = reader;
    const { count, starts, ends } = segments;
    this.#stretches = 0;
    this.#count = 0;
    for (let s = 0; s < count; s++) {
      const start = starts[s] === -Infinity ? floor : starts[s]!;
      if (reader.levelCount > 0) this.#cover(reader, start / unit, ends[s]! / unit);
      this.#ends[s] = this.#count;
    }
    const isTailed = reader.hasTail && count > 0 && starts[0] === -Infinity;
    if (this.#count === 0 && !isTailed) return false;
    this.#reserve();
    for (let a = 0; a < this.#aggregations.length; a++) this.#sum(a, reader, count, isTailed);
    return true;
  }

  /** Finds the tiles from one place of the finest level to another. */
  #cover(reader: TileReader, from: number, to: number): void {
    const later = this.#later;
    later.length = 0;
    let level = 0;
    for (; level + 1 < reader.levelCount; level++) {
      const up = Math.ceil(from / tileRatio);
      const down = Math.floor(to / tileRatio);
      if (up >= down) break;
      if (from < up * tileRatio) this.#stretch(reader, level, from, up * tileRatio);
      if (down * tileRatio < to) later.push(level, down * tileRatio, to);
      from = up;
      to = down;
    }
    this.#stretch(reader, level, from, to);
    for (let i = later.length - 3; i >= 0; i -= 3) this.#stretch(reader, later[i]!, later[i + 1]!, later[i + 2]!);
  }

  #stretch(reader: TileReader, level: number, from: number, to: number): void {
    const first = reader.find(level, from);
    const end = reader.find(level, to);
    if (end <= first) return;
    this.#count += end - first;
    const last = this.#stretches - 1;
    if (last >= 0 && this.#levels[last] === level && this.#to[last] === first) {
      this.#to[last] = end;
      return;
    }
    this.#levels[this.#stretches] = level;
    this.#from[this.#stretches] = first;
    this.#to[this.#stretches++] = end;
  }

  #reserve(): void {
    if (this.#count <= this.#room && this.#room > 0) return;
    this.#room = Math.max(64, 2 * this.#count);
    this.#tiles = this.#aggregations.map(({ aggregator }) => makeStates(aggregator, this.#room));
  }

  #sum(a: number, reader: TileReader, segmentCount: number, isTailed: boolean): void {
    const { aggregator, states, place } = this.#aggregations[a]!;
    const { firstSlot } = this.#plan.aggregations[place]!;
    const tiles = this.#tiles[a]!;
    for (let slot = 0; slot < aggregator.slots.length; slot++) {
      const column = tiles[slot]!;
      let at = 0;
      for (let i = 0; i < this.#stretches; i++) {
        const from = this.#from[i]!;
        const to = this.#to[i]!;
        reader.read(this.#levels[i]!, firstSlot + slot, from, to, column, at);
        at += to - from;
      }
    }
    let row = 0;
    for (let s = 0; s < segmentCount; s++) {
      aggregator.clear(states, s);
      if (s === 0 && isTailed) {
        const tail = this.#tails[a]!;
        for (let slot = 0; slot < tail.length; slot++) reader.readTail(firstSlot + slot, tail[slot]!, 0);
        aggregator.merge(states, 0, tail, 0);
      }
      const end = this.#ends[s]!;
      for (; row < end; row++) aggregator.merge(states, s, tiles, row);
    }
  }
}
