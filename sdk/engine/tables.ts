/** Makes tables of data of this process. */
import { writeFile } from "node:fs/promises";
import type { Schema } from "../schema.ts";
import type { DuckClient } from "./client.ts";
import { duckTypeOf, parseDuckType } from "./duck_type.ts";
import { quoteName, quoteText } from "./engine.ts";
import type { ColumnBatch } from "./engine.ts";
import { withScratchFile } from "./scratch.ts";
import type { Snapshot } from "./snapshot.ts";
import { scanColumnSql } from "./source_sql.ts";

/** Creates a table (replacing one of that name) of a snapshot, rows in order. */
export async function createTable(
  client: DuckClient,
  name: string,
  snapshot: Snapshot,
  modifier: "" | "TEMP " = "",
  signal?: AbortSignal,
): Promise<void> {
  if (snapshot.kind === "batches") {
    return await createFilledTable(client, name, snapshot.schema, snapshot.batches, modifier, signal);
  }
  await withScratchFile(async (path) => {
    await writeFile(path, snapshot.bytes, { mode: 0o600 });
    const from = `read_parquet(${quoteText(path)})`;
    const { columns, chunks } = await client.stream(`SELECT * FROM ${from} LIMIT 0`, signal);
    await chunks.return();
    const source = {
      from,
      label: "the DataFrame",
      columns: new Map(columns.map((column) => [column.name, parseDuckType(column.type)])),
    };
    const list = snapshot.schema.map((field) =>
      `${scanColumnSql(field.name, field.type, source)} AS ${quoteName(field.name)}`
    );
    await client.run(
      `CREATE OR REPLACE ${modifier}TABLE ${quoteName(name)} AS SELECT ${list.join(", ")} FROM ${from}`,
      signal,
    );
  });
}

/** Creates a table (replacing one of that name) of batches, rows in order. */
export async function createFilledTable(
  client: DuckClient,
  name: string,
  schema: Schema,
  batches: Iterable<ColumnBatch>,
  modifier: "" | "TEMP " = "",
  signal?: AbortSignal,
): Promise<void> {
  const columns = schema.map((field) => `${quoteName(field.name)} ${duckTypeOf(field.type)}`);
  await client.run(`CREATE OR REPLACE ${modifier}TABLE ${quoteName(name)} (${columns.join(", ")})`, signal);
  await client.append(name, schema.map((field) => field.type), batches, signal);
}
