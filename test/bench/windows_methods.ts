/** Windows at the rows of a spine as one would write them by hand: sums and counts of the last 30 minutes, 24 hours and 30 days. */
import pl from "nodejs-polars";
import type { Engine } from "../../sdk/engine/engine.ts";
import type { Data } from "./windows_data.ts";

/** The windows, in micros. */
const windows = [30 * 60e6, 24 * 3600e6, 30 * 24 * 3600e6];
export const windowNames = ["30m", "24h", "30d"];
const longest = windows.at(-1)!;

/** A way to compute them. It writes the spine's columns and `s0` … `c2`, in the spine's order. */
export interface Method {
  readonly method: string;
  /** Too slow to be repeated. */
  readonly once?: true;
  run(engine: Engine, data: Data): Promise<void>;
}

export const handWritten: readonly Method[] = [
  sqlMethod("bucketed self-join", selfJoin),
  { method: "polars cumSum + joinAsof", run: prefixSums },
  { ...sqlMethod("DuckDB RANGE frames", rangeFrames), once: true },
  { method: "polars rolling", once: true, run: rolling },
];

function sqlMethod(method: string, sql: (data: Data) => string): Method {
  return {
    method,
    run: async (engine, data) => {
      const session = await engine.session();
      await session.writeParquet(sql(data), data.output);
      session.close();
    },
  };
}

function rangeFrames({ events, spine }: Data): string {
  const values = windows.map((_, i) => `sum(amount) OVER w${i} AS s${i}, count(amount) OVER w${i} AS c${i}`);
  const frames = windows.map((size, i) =>
    `w${i} AS (PARTITION BY user_id ORDER BY t RANGE BETWEEN ${size - 1} PRECEDING AND CURRENT ROW)`
  );
  const both =
    `SELECT user_id, epoch_us(ts) AS t, NULL AS ts, NULL AS n, NULL AS label, amount FROM read_parquet('${events}') ` +
    `UNION ALL SELECT user_id, epoch_us(ts), ts, file_row_number, label, NULL FROM read_parquet('${spine}', file_row_number = true)`;
  return `SELECT * EXCLUDE (t, n, amount) FROM (SELECT *, ${values.join(", ")} FROM (${both}) WINDOW ${
    frames.join(", ")
  }) WHERE n IS NOT NULL ORDER BY n`;
}

function selfJoin({ events, spine }: Data): string {
  const values = windows.map((size, i) =>
    `sum(amount) FILTER (WHERE e.t > s.t - ${size}) AS s${i}, count(amount) FILTER (WHERE e.t > s.t - ${size}) AS c${i}`
  );
  const rows = `read_parquet('${spine}', file_row_number = true)`;
  return `WITH e AS (SELECT user_id, epoch_us(ts) AS t, epoch_us(ts) // ${longest} AS bucket, amount FROM read_parquet('${events}')), ` +
    `s AS (SELECT user_id, epoch_us(ts) AS t, epoch_us(ts) // ${longest} - before AS bucket, file_row_number AS n ` +
    `FROM ${rows}, (VALUES (0), (1)) v(before)), ` +
    `a AS (SELECT s.n, ${values.join(", ")} FROM s JOIN e ON s.user_id = e.user_id AND s.bucket = e.bucket ` +
    `AND e.t <= s.t AND e.t > s.t - ${longest} GROUP BY s.n) ` +
    `SELECT p.user_id, p.ts, p.label, a.* EXCLUDE (n) FROM ${rows} p LEFT JOIN a ON a.n = p.file_row_number ORDER BY p.file_row_number`;
}

const names = windows.flatMap((_, i) => [`s${i}`, `c${i}`]);
const columns = ["user_id", "ts", "label", ...names];

/** What all rows before come to, at the end of the window less that at its beginning. */
async function prefixSums(_: Engine, { events, spine, output }: Data): Promise<void> {
  const micros = pl.col("ts").cast(pl.Int64);
  const sums = pl.readParquet(events).withColumns(micros.alias("t"), pl.lit(1).alias("one")).sort("t")
    .withColumns(
      pl.col("amount").cumSum().over("user_id").alias("s"),
      pl.col("one").cumSum().over("user_id").alias("c"),
    )
    .select("user_id", "t", "s", "c");
  let found = pl.readParquet(spine).withRowCount("n").withColumn(micros.alias("at")).sort("at")
    .withColumns(...windows.map((size, i) => pl.col("at").minus(pl.lit(size)).cast(pl.Int64).alias(`at${i}`)));
  for (const suffix of ["", "0", "1", "2"]) {
    found = found.joinAsof(sums, { leftOn: `at${suffix}`, rightOn: "t", by: "user_id", checkSortedness: false })
      .rename({ s: `sum${suffix}`, c: `count${suffix}` }).drop("t");
  }
  const less = (name: string, i: number) => pl.col(name).fillNull(0).minus(pl.col(`${name}${i}`).fillNull(0));
  const values = windows.flatMap((_, i) => [less("sum", i).alias(`s${i}`), less("count", i).alias(`c${i}`)]);
  found.withColumns(...values).sort("n").select(...columns).writeParquet(output, { compression: "zstd" });
  await Promise.resolve();
}

async function rolling(_: Engine, { events, spine, output }: Data): Promise<void> {
  const none = (type: pl.DataType) => pl.lit(null).cast(type);
  const micros = pl.col("ts").cast(pl.Int64).alias("t");
  const rows = pl.readParquet(events)
    .select(pl.col("user_id"), micros, pl.col("amount"), none(pl.Int64).alias("n"));
  const given = pl.readParquet(spine).withRowCount("n");
  const asked = given.select(pl.col("user_id"), micros, none(pl.Float64).alias("amount"), pl.col("n").cast(pl.Int64));
  // Of one time events come first: they have no number.
  const all = pl.concat([rows, asked]).sort(["t", "n"]);
  let found = given.withColumn(pl.col("n").cast(pl.Int64));
  for (const [i, size] of windows.entries()) {
    const values = all.groupByRolling({ indexColumn: "t", period: `${size}i`, closed: "right", by: "user_id" })
      .agg(pl.col("amount").sum().alias(`s${i}`), pl.col("amount").count().alias(`c${i}`), pl.col("n").last())
      .filter(pl.col("n").isNotNull()).select("n", `s${i}`, `c${i}`);
    found = found.join(values, { on: "n", how: "left" });
  }
  found.sort("n").select(...columns).writeParquet(output, { compression: "zstd" });
  await Promise.resolve();
}
