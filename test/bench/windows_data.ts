/** Events, spines and views for the benchmark of windows. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AggregateView, AggregationDefinition } from "../../sdk/define/definitions.ts";
import type { EngineSession } from "../../sdk/engine/engine.ts";
import { formatTimestamp } from "../../sdk/time.ts";

/** Many events per key, or many keys. */
export interface Shape {
  readonly name: "hot" | "sparse";
  readonly keys: number;
  readonly spineRows: number;
}

const scale = Number(process.env["VARVE_BENCH_SCALE"] ?? 1);
export const events = Math.round(10_000_000 * scale);
export const shapes: readonly Shape[] = [
  { name: "hot", keys: 1_000, spineRows: 100_000 },
  { name: "sparse", keys: 100_000, spineRows: 1_000_000 },
];

const origin = 978_307_200_000_000n; // 2001-01-01
const year = 365n * 86_400_000_000n;

export interface Data {
  readonly events: string;
  readonly spine: string;
  /** Where methods write what they found. */
  readonly output: string;
}

/** A year of events in the order of their times, as logs are, and a spine of instants in no order. */
export async function makeData(session: EngineSession, folder: string, shape: Shape, count = events): Promise<Data> {
  const data = {
    events: join(folder, `${shape.name}_${count}.parquet`),
    spine: join(folder, `${shape.name}_spine.parquet`),
    output: join(folder, `${shape.name}_out.parquet`),
  };
  if (!existsSync(data.events)) {
    await session.writeParquet(
      `SELECT (hash(i * 7 + 1) % ${shape.keys})::BIGINT AS user_id, ` +
        `make_timestamptz(${origin} + ((i * ${year / BigInt(count)})::BIGINT) + (hash(i) % 1000)::BIGINT) AS ts, ` +
        `round((hash(i + 5) % 100000) / 100.0, 2)::DOUBLE AS amount FROM range(${count}) t(i)`,
      data.events,
    );
  }
  await session.writeParquet(
    `SELECT (hash(i * 11 + 3) % ${shape.keys})::BIGINT AS user_id, ` +
      `make_timestamptz(${origin} + (hash(i + 99) % ${year})::BIGINT) AS ts, i AS label FROM range(${shape.spineRows}) t(i)`,
    data.spine,
  );
  return data;
}

/** A view of the events: each function over each window, up to the very instant that is asked for. */
export function viewOf(
  data: Data,
  windows: readonly string[],
  functions: readonly string[],
  more: Partial<AggregateView> = {},
): AggregateView {
  const aggregations = functions.map((name): AggregationDefinition => ({
    name,
    function: name,
    ...(name !== "count" && { input: { kind: "column", name: "amount" } }),
  }));
  return {
    kind: "view",
    name: "spending",
    mode: "aggregates",
    entity: { kind: "entity", name: "user", joinKeys: [{ name: "user_id", type: "int64" }] },
    query: {
      kind: "scan",
      source: { kind: "file", format: "parquet", paths: [data.events], eventTimestamp: "ts" },
      schema: [
        { name: "user_id", type: "int64" },
        { name: "ts", type: "timestamp" },
        { name: "amount", type: "float64" },
      ],
    },
    eventTimestamp: "ts",
    every: "1m",
    edge: "exact",
    boundary: "inclusive",
    maxRows: 10_000,
    aggregations,
    features: windows.flatMap((size) =>
      aggregations.map(({ name }) => ({
        name: `${name}_${size}`,
        type: name === "count" ? "int64" as const : "float64" as const,
        aggregation: name,
        window: { kind: "time" as const, size, offset: "0s" },
      }))
    ),
    schedule: "1d",
    dataDelay: "0s",
    start: formatTimestamp(origin),
    ttl: "forever",
    lookback: 0,
    online: false,
    offline: true,
    ...more,
  };
}
