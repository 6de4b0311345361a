/** The rows of one key in order of time, piece by piece, when they are too many to be sorted at once. */
import { VarveError } from "../errors.ts";
import type { ColumnKind } from "./columns.ts";
import { type KeyedRows, KeySorter } from "./keyed_rows.ts";
import { type RowBatch, type RowBlockOptions, RowBlocks } from "./row_blocks.ts";

/** How pieces are made. */
export interface TimePieceOptions extends Pick<RowBlockOptions, "memory" | "spillPath"> {
  readonly kinds: readonly ColumnKind[];
  /** As of {@link KeySorter}. */
  readonly ties: readonly number[];
  /** Rows that may be sorted at a time. */
  readonly mostRows: number;
}

/** As many buckets of time as rows are dealt to: each part of blocks takes some. */
const buckets = 4096;

/** Pieces of one key's rows, which are dealt once and can be read any number of times. */
export class TimePieces {
  readonly #options: TimePieceOptions;
  readonly #blocks: RowBlocks;
  readonly #sorter: KeySorter;
  /** Parts that are still too large. */
  readonly #finer = new Map<number, TimePieces>();

  /** Deals rows; `batches` gives them, twice. */
  constructor(batches: () => Iterable<RowBatch>, options: TimePieceOptions) {
    this.#options = options;
    this.#sorter = new KeySorter(options.kinds, options.ties);
    const [first, last] = timesOf(batches());
    const width = (last - first) / (buckets - 1);
    this.#blocks = new RowBlocks({ ...options, firstId: 0, idCount: width === 0 ? 1 : buckets });
    try {
      for (const { times, columns } of batches()) {
        const ids = Int32Array.from(times, (time) => width === 0 ? 0 : Math.floor((time - first) / width));
        this.#blocks.add({ ids, times, columns });
      }
      for (let part = 0; part < this.#blocks.partCount; part++) {
        if (width === 0 || this.#blocks.rowsOf(part) <= options.mostRows) continue;
        this.#finer.set(part, new TimePieces(() => this.#blocks.batches(part), options));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The pieces; the arrays of each are used again by the next. */
  *pieces(): Iterable<KeyedRows> {
    for (let part = 0; part < this.#blocks.partCount; part++) {
      const finer = this.#finer.get(part);
      if (finer) yield* finer.pieces();
      else if (this.#blocks.rowsOf(part) <= this.#options.mostRows) yield this.#sorter.sort(this.#blocks, part);
      else yield* this.#atOnce(part);
    }
  }

  /** Removes what was written to files. */
  close(): void {
    for (const finer of this.#finer.values()) finer.close();
    this.#blocks.close();
  }

  /** More rows at one and the same instant than can be sorted: in any order, where that does not matter. */
  *#atOnce(part: number): Iterable<KeyedRows> {
    if (this.#options.ties.length > 0) {
      throw new VarveError(
        "EXHAUSTED",
        `Cannot put ${
          this.#blocks.rowsOf(part)
        } rows of one key with one and the same event timestamp in order: first, last and the like can have ${this.#options.mostRows} of them; filter them out`,
      );
    }
    for (const { times, columns } of this.#blocks.batches(part)) {
      yield { firstId: 0, idCount: 1, starts: Int32Array.of(0, times.length), times, columns };
    }
  }
}

function timesOf(batches: Iterable<RowBatch>): readonly [first: number, last: number] {
  let [first, last] = [Infinity, -Infinity];
  for (const { times } of batches) {
    for (const time of times) {
      if (time < first) first = time;
      if (time > last) last = time;
    }
  }
  return [first, last];
}
