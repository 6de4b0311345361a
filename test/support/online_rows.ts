/** Rows for tests of online stores: an int64 key and one float. */
import { encodeKey, rowLayout } from "../../sdk/storage/encoding.ts";
import type { OnlineStore, WriteBatch } from "../../sdk/storage/online_store.ts";

const joinKeys = [{ name: "id", type: "int64" as const }];
/** One float. */
export const layout = rowLayout([{ name: "value", type: "float64" }]);

/** The encoded key of an entity. */
export const keyOf = (id: number): Uint8Array => encodeKey(joinKeys, [id])!;

/** An encoded value. */
export const valueOf = (eventTimestamp: number, sequence: number, value: number): Uint8Array =>
  layout.encode({ eventTimestamp: BigInt(eventTimestamp), sequence: BigInt(sequence) }, [value]);

/** A batch of `[id, event time, sequence, value]`. */
export function batchOf(
  rows: readonly (readonly [id: number, eventTimestamp: number, sequence: number, value: number])[],
): WriteBatch {
  return {
    keys: rows.map(([id]) => keyOf(id)),
    values: rows.map(([, at, sequence, value]) => valueOf(at, sequence, value)),
  };
}

/** What is stored for ids: the decoded value, or undefined. */
export async function read(store: OnlineStore, collection: string, ids: readonly number[]): Promise<unknown[]> {
  const values = await store.getMany(ids.map(() => collection), ids.map(keyOf));
  return values.map((value) => value && layout.decode(value)[0]);
}
