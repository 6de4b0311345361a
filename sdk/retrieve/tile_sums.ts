/** Adds up tiles: for every segment as few of them as its length allows, the coarsest in the middle. */
import type { TileReader } from "../storage/encoding.ts";
import { makeStates, type States } from "../window/aggregator.ts";
import type { OnlinePlan } from "../window/online_plan.ts";
import { coverTiles } from "../window/tile_cover.ts";
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
      if (reader.levelCount > 0) coverTiles(reader, start / unit, ends[s]! / unit, this.#visit);
      this.#ends[s] = this.#count;
    }
    const isTailed = reader.hasTail && count > 0 && starts[0] === -Infinity;
    if (this.#count === 0 && !isTailed) return false;
    this.#reserve();
    for (let a = 0; a < this.#aggregations.length; a++) this.#sum(a, reader, count, isTailed);
    return true;
  }

  readonly #visit = (level: number, first: number, end: number): void => {
    this.#count += end - first;
    const last = this.#stretches - 1;
    if (last >= 0 && this.#levels[last] === level && this.#to[last] === first) {
      this.#to[last] = end;
      return;
    }
    this.#levels[this.#stretches] = level;
    this.#from[this.#stretches] = first;
    this.#to[this.#stretches++] = end;
  };

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
