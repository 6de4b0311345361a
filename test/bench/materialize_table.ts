/**
 * Makes the table of the materialize benchmark: 10 M rows in ten slices, about 1 M keys × 10 features, committed twice. In a
 * process of its own, so that its memory does not count: `tsx test/bench/materialize_table.ts FOLDER`.
 */
import { join } from "node:path";
import type { ViewDefinition } from "../../sdk/define/definitions.ts";
import { createDuckDbEngine } from "../../sdk/engine/duckdb.ts";
import { partCompression } from "../../sdk/materialize/staged.ts";
import { storedSchema } from "../../sdk/materialize/stage_slices.ts";
import type { DeltaTable } from "../../sdk/storage/delta_format.ts";
import { deltaTable } from "../../sdk/storage/delta_table.ts";
import { localObjectStore } from "../../sdk/storage/object_local.ts";

/** Keys that rows are spread over; a handful gets none. */
export const keyCount = 1_000_000;
const slices = 10;
const day = 86_400_000_000n;

const features = Array.from({ length: 10 }, (_, i) => ({ name: `f${i}`, type: "float64" as const }));

/** The view that the table is of. */
export const definition: ViewDefinition = {
  kind: "view",
  name: "bench",
  mode: "attributes",
  entity: { kind: "entity", name: "key", joinKeys: [{ name: "id", type: "int64" }] },
  query: { kind: "scan", source: { kind: "file", format: "parquet", paths: [] }, schema: [] },
  eventTimestamp: "event_timestamp",
  features,
  schedule: "1d",
  dataDelay: "0s",
  start: "1970-01-01T00:00:00Z",
  ttl: "forever",
  lookback: 0,
  online: true,
  offline: true,
};

/** The table in a folder. */
export function benchTable(folder: string): DeltaTable {
  return deltaTable(localObjectStore(join(folder, "objects")), "bench/views/bench/1");
}

/** Version 1 has everything; version 2 replaces every slice by the same rows. */
async function makeTable(folder: string): Promise<void> {
  const table = benchTable(folder);
  await table.create(storedSchema(definition), { at: 0 });
  const engine = createDuckDbEngine({ tempDirectory: folder });
  const session = await engine.session();
  for (const runId of ["first", "second"]) {
    const ranges = [];
    const files = [];
    for (let slice = 0n; slice < BigInt(slices); slice++) {
      const path = join(folder, `${runId}-${slice}.parquet`);
      const columns = features.map(({ name }, f) => `(i + ${slice}) / ${f + 3}.0::DOUBLE AS ${name}`).join(", ");
      await session.writeParquet(
        `SELECT (hash(i + ${slice} * ${keyCount}) % ${keyCount})::BIGINT AS id, ` +
          `make_timestamptz((${slice} * ${day} + (i * 86399) % ${day})::BIGINT) AS event_timestamp, ` +
          `make_timestamptz(((${slice} + 1) * ${day})::BIGINT) AS effective_timestamp, ` +
          `make_timestamptz(0::BIGINT) AS written_timestamp, ${columns} FROM range(${keyCount}) rows(i) ORDER BY 1, 2`,
        path,
        { compression: partCompression },
      );
      const range = { start: slice * day, end: (slice + 1n) * day };
      const part = { rows: keyCount, slice: range, minEventTimestamp: range.start, maxEventTimestamp: range.end - 1n };
      files.push(await table.addPart(path, part, runId));
      ranges.push(range);
    }
    const { version } = await table.snapshot();
    await table.commit({ runId, readVersion: version, slices: ranges, files, info: {} });
  }
  session.close();
  await engine.close();
}

if (process.argv[1]?.endsWith("materialize_table.ts")) {
  makeTable(process.argv[2]!).catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}
