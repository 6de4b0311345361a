/** Values as keys of a Map: equal values share one. */
import type { DataType } from "../../schema.ts";

/** To keys and back. */
export interface ValueKeys {
  toKey(value: unknown): unknown;
  toValue(key: unknown): unknown;
}

const same = (value: unknown): unknown => value;

/** Keys of values of a type without parts. Maps take NaN for NaN and -0 for 0, as we do, and give back 0. */
export function valueKeys(type: DataType): ValueKeys {
  if (type !== "binary") return { toKey: same, toValue: same };
  return {
    toKey: (value) => {
      const { buffer, byteOffset, byteLength } = value as Uint8Array;
      return Buffer.from(buffer, byteOffset, byteLength).toString("latin1");
    },
    toValue: (key) => new Uint8Array(Buffer.from(key as string, "latin1")),
  };
}
