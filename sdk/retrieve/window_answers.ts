/**
 * Answers of sweeps, which come range of keys by range of keys, put in the order of the spine's rows: straight to their places
 * where memory has room for all of them; else they are dealt by ranges of rows, and each range is put in order on its own.
 */
import type { ColumnBatch, ColumnVector } from "../engine/engine.ts";
import {
  bytesOf,
  type ColumnKind,
  type Copied,
  copiedOf,
  makeValues,
  noNulls,
  scatter,
  type Values,
} from "../window/columns.ts";
import { type RowBatch, type RowBlockOptions, RowBlocks } from "../window/row_blocks.ts";

/** How answers are kept. */
export interface WindowAnswerOptions extends Pick<RowBlockOptions, "memory" | "spillPath"> {
  /** Rows of the spine. */
  readonly rows: number;
  /** The features. */
  readonly kinds: readonly ColumnKind[];
  /** What each feature is over no rows (S7): rows without a key have it. */
  readonly empty: readonly unknown[];
  /** Whether batches begin with the times of answers. */
  readonly showsTimes: boolean;
}

/** See the head of this file. */
export class WindowAnswers {
  readonly #options: WindowAnswerOptions;
  readonly #answers: PlacedAnswers | RowBlocks;

  constructor(options: WindowAnswerOptions) {
    this.#options = options;
    const { rows, kinds } = options;
    // How large objects are shows only when they come.
    const hasRoom = !kinds.includes("values") && rows * bytesOf(kinds) <= options.memory;
    this.#answers = hasRoom
      ? new PlacedAnswers(0, rows, options)
      : new RowBlocks({ ...options, firstId: 0, idCount: rows });
  }

  /** Takes answers: ids are rows of the spine, and times, where there are any, when the answer could be served. */
  add(answers: RowBatch): void {
    this.#answers.add(answers);
  }

  /** A value per row of the spine, in order; each batch is forgotten when the next is asked for. */
  *batches(): Iterable<ColumnBatch> {
    const answers = this.#answers;
    if (answers instanceof PlacedAnswers) return yield* answers.batches();
    for (let part = 0; part < answers.partCount; part++) {
      const { firstId, idCount } = answers.idsOf(part);
      const placed = new PlacedAnswers(firstId, idCount, this.#options);
      for (const some of answers.batches(part)) placed.add(some);
      answers.drop(part);
      yield* placed.batches();
    }
  }

  /** Removes what was written to files. */
  close(): void {
    if (this.#answers instanceof RowBlocks) this.#answers.close();
  }
}

/** Rows that are handed on at a time. */
const batchRows = 2 ** 17;

interface PlacedColumn {
  readonly kind: ColumnKind;
  readonly values: Values;
  /** The same memory. */
  readonly copied: Copied;
  /** Made when the first null comes. */
  nulls: Uint8Array | undefined;
}

/** Answers of a range of rows, each in its place. */
class PlacedAnswers {
  readonly #first: number;
  readonly #count: number;
  readonly #columns: readonly PlacedColumn[];
  readonly #times: Float64Array | undefined;

  constructor(first: number, count: number, { kinds, empty, showsTimes }: WindowAnswerOptions) {
    this.#first = first;
    this.#count = count;
    this.#columns = kinds.map((kind, c) => placedColumn(kind, count, empty[c]));
    this.#times = showsTimes ? new Float64Array(count).fill(NaN) : undefined;
  }

  add({ ids, times, columns }: RowBatch): void {
    const target = { place: this.#first, rows: this.#count };
    const count = ids.length;
    if (this.#times) scatter("float64", this.#times, target, times, 0, ids, 0, count);
    for (let c = 0; c < columns.length; c++) {
      const into = this.#columns[c]!;
      const { values, nulls } = columns[c]!;
      scatter(into.kind, into.copied, target, copiedOf(values), 0, ids, 0, count);
      if (nulls) into.nulls ??= new Uint8Array(this.#count);
      if (into.nulls) scatter("byte", into.nulls, target, nulls ?? noNulls(count), 0, ids, 0, count);
    }
  }

  *batches(): Iterable<ColumnBatch> {
    for (let start = 0; start < this.#count; start += batchRows) {
      const end = Math.min(start + batchRows, this.#count);
      const columns = this.#columns.map((column) => vectorOf(column, start, end));
      if (this.#times) columns.unshift(timeVector(this.#times.subarray(start, end)));
      yield { rowCount: end - start, columns };
    }
  }
}

function placedColumn(kind: ColumnKind, count: number, empty: unknown): PlacedColumn {
  const values = makeValues(kind, count);
  const isNull = empty === null && kind !== "values";
  if (!isNull) (values as unknown[]).fill(empty);
  return { kind, values, copied: copiedOf(values), nulls: isNull ? new Uint8Array(count).fill(1) : undefined };
}

function vectorOf({ values, nulls }: PlacedColumn, start: number, end: number): ColumnVector {
  if (Array.isArray(values)) {
    const some: readonly unknown[] = values.slice(start, end);
    return { values: some, hasNulls: true, isNull: (row) => some[row] === null };
  }
  const some = nulls?.subarray(start, end);
  return {
    values: values.subarray(start, end),
    hasNulls: some !== undefined,
    isNull: (row) => some?.[row] === 1,
    ...(some && { nulls: some }),
  };
}

/** Micros where there are any. */
function timeVector(times: Float64Array): ColumnVector {
  const values = new BigInt64Array(times.length);
  const nulls = new Uint8Array(times.length);
  for (let row = 0; row < times.length; row++) {
    if (Number.isNaN(times[row])) nulls[row] = 1;
    else values[row] = BigInt(times[row]!);
  }
  return { values, hasNulls: true, isNull: (row) => nulls[row] === 1, nulls };
}
