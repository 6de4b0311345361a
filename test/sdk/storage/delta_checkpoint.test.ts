import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Action } from "../../../sdk/storage/delta_actions.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../../../sdk/storage/delta_checkpoint.ts";

const time = fc.integer({ min: 0, max: 4_000_000_000_000 });
const text = fc.string({ unit: "grapheme", maxLength: 20 });
const map = fc.dictionary(text.filter((key) => key !== "__proto__"), text, { noNullPrototype: true });
const actions: fc.Arbitrary<Action[]> = fc.array(fc.oneof(
  fc.record({ txn: fc.record({ appId: text, version: time, lastUpdated: fc.option(time) }) }),
  fc.record({
    add: fc.record({
      path: text,
      partitionValues: map,
      size: time,
      modificationTime: time,
      dataChange: fc.boolean(),
      stats: fc.option(text),
      tags: fc.option(map),
    }),
  }),
  fc.record({
    remove: fc.record({
      path: text,
      deletionTimestamp: fc.option(time),
      dataChange: fc.boolean(),
      size: fc.option(time),
    }),
  }),
));
const head: Action[] = [
  { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
  {
    metaData: {
      id: "id",
      format: { provider: "parquet", options: {} },
      schemaString: "{}",
      partitionColumns: ["a", "", "ü"],
      configuration: { k: "v", empty: "" },
      createdTime: 7,
    },
  },
];

/** What was never there and what is null are the same to a checkpoint. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, part]) => part !== null && part !== undefined);
  return Object.fromEntries(entries.map(([name, part]) => [name, withoutNulls(part)]));
}

describe("encodeCheckpoint()", () => {
  it("and decodeCheckpoint() lose nothing", async () => {
    await fc.assert(
      fc.asyncProperty(actions, async (rest) => {
        const read = await decodeCheckpoint(encodeCheckpoint([...head, ...rest]));
        expect(withoutNulls(read)).toEqual(withoutNulls([...head, ...rest]));
      }),
      { numRuns: 60 },
    );
  });

  it("writes more rows than one row group holds", async () => {
    const txns = Array.from({ length: 45_000 }, (_, i) => ({ txn: { appId: `varve.slice.${i}`, version: i } }));
    const read = await decodeCheckpoint(encodeCheckpoint([...head, ...txns]));
    expect(read!.slice(2).map((action) => action.txn?.version)).toEqual(txns.map((_, i) => i));
  });
});

describe("decodeCheckpoint()", () => {
  it("gives undefined for what is torn at any place, or is no checkpoint", async () => {
    const body = encodeCheckpoint(head);
    for (let length = 0; length < body.byteLength; length += 7) {
      expect(await decodeCheckpoint(body.subarray(0, length))).toBeUndefined();
    }
    expect(await decodeCheckpoint(encodeCheckpoint(head.slice(0, 1)))).toBeUndefined();
    expect(await decodeCheckpoint(new TextEncoder().encode("{}"))).toBeUndefined();
  });
});
