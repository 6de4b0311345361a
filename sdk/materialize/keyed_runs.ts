/** Cuts rows that are sorted by key into runs of one key. */
import type { ColumnBatch } from "../engine/engine.ts";
import type { Field } from "../schema.ts";
import { encodeKeys } from "../storage/encoding.ts";

/** Rows of one key in one batch: `from … to`. */
export interface KeyRun {
  /** The encoded key, in a buffer that the batch's runs share. */
  readonly key: Uint8Array;
  readonly batch: ColumnBatch;
  readonly from: number;
  readonly to: number;
  /** Whether the run before, in the batch before, was of the same key. */
  readonly isMore: boolean;
}

/** The runs of batches whose first columns are the join keys. Rows with a null join key have no entity, and are left out. */
export async function* keyRuns(
  joinKeys: readonly Field[],
  batches: AsyncIterable<ColumnBatch>,
): AsyncIterable<KeyRun[]> {
  let last: Uint8Array = new Uint8Array(0);
  for await (const batch of batches) {
    const { bytes, offsets } = encodeKeys(joinKeys, batch.columns.slice(0, joinKeys.length), batch.rowCount);
    const runs: KeyRun[] = [];
    for (let from = 0; from < batch.rowCount;) {
      const start = offsets[from]!;
      const end = offsets[from + 1]!;
      let to = from + 1;
      while (to < batch.rowCount && isSame(bytes, start, end, offsets[to]!, offsets[to + 1]!)) to++;
      if (end > start) {
        const key = bytes.subarray(start, end);
        runs.push({ key, batch, from, to, isMore: from === 0 && Buffer.compare(key, last) === 0 });
        last = key;
      }
      from = to;
    }
    if (runs.length > 0) yield runs;
  }
}

function isSame(bytes: Uint8Array, a: number, aEnd: number, b: number, bEnd: number): boolean {
  if (aEnd - a !== bEnd - b) return false;
  for (let i = 0; i < aEnd - a; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}
