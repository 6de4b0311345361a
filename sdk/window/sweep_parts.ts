/** The sweep over any number of rows: part by part, each small enough to be sorted in memory. */
import { isListType } from "../schema.ts";
import { bytesOf, type Column, type ColumnKind } from "./columns.ts";
import { type KeyedRows, KeySorter } from "./keyed_rows.ts";
import { boundTimes, overStates, statesBetween } from "./long_key.ts";
import { ResultColumn } from "./result_column.ts";
import { RowBlocks, sliceOf } from "./row_blocks.ts";
import { Sweep, type SweepPlan } from "./sweep.ts";
import { TimePieces } from "./time_pieces.ts";

/** Rows or probes, and what their columns are. */
export interface SweptRows {
  readonly blocks: RowBlocks;
  readonly kinds: readonly ColumnKind[];
  /** As of {@link KeySorter}. */
  readonly ties: readonly number[];
}

/** How much memory sweeps may use, and where they write what exceeds it. */
export interface SweepLimits {
  /** Bytes of blocks, where a part has to be dealt again. */
  readonly memory: number;
  /** Bytes of rows that are sorted at a time; twice this is in memory. */
  readonly partBytes: number;
  readonly spillPath: () => string;
}

/** Answers of some probes. The arrays are used again for the next ones. */
export interface SweptPart {
  readonly probes: KeyedRows;
  readonly count: number;
  /** By place of the feature. */
  readonly features: readonly Column[];
  /** What was visible to each probe, if any row of its key lies in any window; else NaN. */
  readonly seen: Float64Array;
}

/** Rows that are swept at a time where states are lists, which grow with them. */
const mostLargeStates = 200_000;

/** Sweeps all parts of rows and probes, which are of the same ids, and forgets each that is done. */
export class PartSweep {
  readonly #plan: SweepPlan;
  readonly #featureKinds: readonly ColumnKind[];
  readonly #limits: SweepLimits;
  readonly #sweep: Sweep;
  readonly #hasLargeStates: boolean;
  #features: ResultColumn[] = [];
  #seen = new Float64Array(0);

  constructor(plan: SweepPlan, featureKinds: readonly ColumnKind[], limits: SweepLimits) {
    this.#plan = plan;
    this.#featureKinds = featureKinds;
    this.#limits = limits;
    this.#sweep = new Sweep(plan);
    this.#hasLargeStates = plan.aggregations.some(({ aggregator }) =>
      aggregator.slots.some(({ type }) => isListType(type))
    );
  }

  /** Answers all probes. */
  *run(rows: SweptRows, probes: SweptRows): Iterable<SweptPart> {
    const rowSorter = new KeySorter(rows.kinds, rows.ties);
    const probeSorter = new KeySorter(probes.kinds, probes.ties);
    for (let part = 0; part < probes.blocks.partCount; part++) {
      if (probes.blocks.rowsOf(part) > 0) {
        if (
          rows.blocks.rowsOf(part) <= this.#mostRows(rows) && probes.blocks.rowsOf(part) <= this.#mostProbes(probes)
        ) {
          yield this.#answer(this.#sweep, rowSorter.sort(rows.blocks, part), probeSorter.sort(probes.blocks, part));
        } else if (probes.blocks.idsOf(part).idCount > 1) yield* this.#runFiner(rows, probes, part);
        else yield* this.#runLongKey(rows, probes, part);
      }
      rows.blocks.drop(part);
      probes.blocks.drop(part);
    }
  }

  /** Rows that may be sorted and swept at a time. */
  #mostRows({ blocks }: SweptRows): number {
    const most = Math.floor(this.#limits.partBytes / blocks.bytesPerRow);
    return this.#hasLargeStates ? Math.min(most, mostLargeStates) : most;
  }

  /** Probes that may be answered at a time: each has bounds of all windows, and answers. */
  #mostProbes({ blocks }: SweptRows): number {
    const { edges, aggregations } = this.#plan;
    const elements = aggregations.flatMap(({ features }) => features).reduce(
      (sum, { spans, isSeries }) => sum + (isSeries ? spans.length : 0),
      0,
    );
    const bytes = blocks.bytesPerRow + bytesOf(this.#featureKinds) + 24 * edges.spanCount + 16 * elements;
    return Math.max(1, Math.floor(this.#limits.partBytes / bytes));
  }

  #answer(sweep: Sweep, rows: KeyedRows, probes: KeyedRows): SweptPart {
    const count = probes.starts[probes.idCount]!;
    if (this.#seen.length < count) {
      const room = count + (count >> 3);
      this.#features = this.#featureKinds.map((kind) => new ResultColumn(kind, room));
      this.#seen = new Float64Array(room);
    }
    sweep.run(rows, probes, { features: this.#features, seen: this.#seen });
    return { probes, count, features: this.#features.map((feature) => feature.column()), seen: this.#seen };
  }

  /** Deals a part again, by smaller ranges of ids. */
  *#runFiner(rows: SweptRows, probes: SweptRows, part: number): Iterable<SweptPart> {
    const finerRows = { ...rows, blocks: this.#finer(rows, part) };
    try {
      const finerProbes = { ...probes, blocks: this.#finer(probes, part) };
      try {
        yield* this.run(finerRows, finerProbes);
      } finally {
        finerProbes.blocks.close();
      }
    } finally {
      finerRows.blocks.close();
    }
  }

  #finer({ blocks, kinds }: SweptRows, part: number): RowBlocks {
    const { memory, spillPath } = this.#limits;
    const finer = new RowBlocks({ ...blocks.idsOf(part), kinds, memory, spillPath });
    for (const batch of blocks.batches(part)) finer.add(batch);
    return finer;
  }

  *#runLongKey(rows: SweptRows, probes: SweptRows, part: number): Iterable<SweptPart> {
    const { memory, spillPath } = this.#limits;
    const { kinds, ties } = rows;
    const options = { kinds, ties, memory, spillPath, mostRows: this.#mostRows(rows) };
    const mostProbes = this.#mostProbes(probes);
    const sweep = new Sweep(overStates(this.#plan));
    const sorter = new KeySorter(probes.kinds);
    const pieces = rows.blocks.rowsOf(part) === 0
      ? undefined
      : new TimePieces(() => rows.blocks.batches(part), options);
    try {
      for (const batch of probes.blocks.batches(part)) {
        for (let start = 0; start < batch.ids.length; start += mostProbes) {
          const some = new RowBlocks({ ...probes.blocks.idsOf(part), kinds: probes.kinds, memory, spillPath });
          some.add(sliceOf(batch, start, Math.min(start + mostProbes, batch.ids.length)));
          const sorted = sorter.sort(some, 0);
          some.close();
          const bounds = boundTimes(this.#plan, sorted.times.subarray(0, sorted.starts[1]));
          yield this.#answer(sweep, statesBetween(this.#plan, bounds, pieces?.pieces() ?? []), sorted);
        }
      }
    } finally {
      pieces?.close();
    }
  }
}
