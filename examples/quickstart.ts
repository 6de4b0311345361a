/**
 * The whole way in one file: three million real flights become features of airports and routes, are published, backfilled,
 * joined into a training set, served over HTTP, and compared. It runs embedded; with VARVE_STORAGE and VARVE_REDIS set
 * (`npm run quickstart:cluster` does that) the same lines run on a cluster.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { connect, readConfig } from "@varve/cluster";
import {
  col,
  count,
  countDistinct,
  entity,
  formatBytes,
  formatCount,
  formatSeconds,
  last,
  max,
  mean,
  parquet,
  progressBars,
  service,
  stddevSamp,
  textTable,
  view,
} from "varve";
import type { Row } from "varve";
import { featureClient } from "varve/client";

const style = (code: number, text: string) => process.stdout.isTTY ? `\x1b[${code}m${text}\x1b[0m` : text;
const title = (text: string) =>
  console.log(`\n${style(1, text)} ${style(2, `· ${formatSeconds(performance.now() / 1000)}`)}\n`);

// The data ends on 1 July 2001: let the clock stand there, in this process and in those that it starts.
process.env["VARVE_CLOCK"] = "2001-07-01T00:00Z";
process.env["VARVE_WORKSPACE"] = "quickstart";
const store = await connect({ ...readConfig(), author: "quickstart" });

title("1. Shape: what would a model like to know before a flight leaves?");
const flights = parquet(new URL("../node_modules/vega-datasets/data/flights-3m.parquet", import.meta.url), {
  eventTimestamp: "date",
  schema: { date: "timestamp", delay: "int64", distance: "int64", origin: "string", destination: "string" },
});
const delays = flights.filter(col("delay").isNotNull()).derive({ late: col("delay").gt(15).cast("int32") });

const airport = entity("airport", { origin: "string" });
const airportDelays = view(
  "airport_delays",
  delays.by(airport).aggregate({
    departures: count(),
    delay_mean: mean("delay"),
    late_share: mean("late"),
    last_delays: last("delay", 10),
    destinations: countDistinct("destination"),
  }, { windows: ["1h", "24h", "7d"], every: "1h" }),
  { schedule: "1h", start: "2001-06-01", online: true, defaults: { late_share_1h: 0 } },
);

const route = entity("route", { origin: "string", destination: "string" });
const routeDelays = view(
  "route_delays",
  delays.by(route).aggregate({
    flights: count(),
    delay_mean: mean("delay"),
    delay_spread: stddevSamp("delay"),
    worst_delay: max("delay"),
  }, { windows: ["7d", "30d"], every: "1d" }),
  { schedule: "1d", start: "2001-01-01", online: true },
);
console.log(
  `${
    formatCount(await flights.count())
  } flights; what each airport had seen by 15 June 2001, before anything is published:\n`,
);
const shown = [
  "departures_1h",
  "departures_24h",
  "delay_mean_24h",
  "late_share_7d",
  "last_delays_1h",
  "destinations_7d",
];
printRows(
  (await store.preview(airportDelays, { at: "2001-06-15T12:00Z", limit: 4 }).rows()).map((row) =>
    pick(row, ["origin", ...shown])
  ),
);

title("2. Publish: the plan first, then its backfill");
const model = service("delay_model", [airportDelays.prefix("airport_"), routeDelays.prefix("route_")]);
const plan = await store.publish(model);
console.log(`${plan}\n`);
const backfill = performance.now();
const bars = progressBars(process.stdout, () => (performance.now() - backfill) / 1000);
const applied = await plan.apply({ onProgress: bars.update }).finally(bars.stop);
const slices = applied.views.reduce((sum, done) => sum + done.slices, 0);
console.log(
  slices > 0
    ? `\n${formatCount(slices)} hourly and daily slices in ${formatSeconds(applied.seconds)}`
    : "Everything was published, computed and loaded by an earlier run: nothing to do",
);

title("3. Train: every flight sees what was known when it left, and nothing later");
const spine = flights.filter(col("date").ge(new Date("2001-06-08"))).sample({ rows: 200_000, seed: 7 }).select(
  "date",
  "origin",
  "destination",
  "delay",
);
const train = await store.train(model, spine);
const frame = await train.collect();
const columns = [
  "date",
  "origin",
  "destination",
  "delay",
  "airport_delay_mean_1h",
  "airport_late_share_24h",
  "route_flights_30d",
  "route_delay_mean_7d",
];
printRows(frame.select(...columns).head(5).toRecords());
const file = join(await mkdtemp(join(tmpdir(), "varve-")), "delay_training.parquet");
const written = await train.parquet(file);
console.log(
  `\n${formatCount(written.rows)} rows × ${model.featureNames.length} features as a polars DataFrame; as Parquet ${
    formatBytes(written.bytes)
  } in ${file}`,
);

title("4. Serve: the same numbers over HTTP");
const server = await startServer();
const keys = await flights.select("origin", "destination").distinct().sort("origin", "destination").limit(1_000).rows();
const began = performance.now();
const client = featureClient({ url: server.url, key: "none", retries: 10 });
const answers: Row[] = [];
for (const key of keys) answers.push(await client.features(model, key));
console.log(
  `${formatCount(keys.length)} routes asked at ${server.url}, one after the other: ${
    formatSeconds((performance.now() - began) / 1000 / keys.length)
  } each:\n`,
);
printRows(
  [0, 400, 800].map((i) => ({
    ...keys[i],
    ...pick(answers[i]!, [
      "airport_departures_24h",
      "airport_delay_mean_24h",
      "airport_last_delays_1h",
      "route_flights_30d",
    ]),
  })),
);

title("5. Compare: what is served, and what a training set says for the same instant");
const offline = await store.train(model, keys.map((key) => ({ ...key, date: new Date(process.env["VARVE_CLOCK"]!) })));
const mismatches = (await offline.rows()).filter((row, i) => !isSame(row, answers[i]!));
const verdict = style(mismatches.length === 0 ? 32 : 31, `${mismatches.length} mismatches`);
console.log(`${verdict} among ${formatCount(keys.length)} entities × ${model.featureNames.length} features`);
if (mismatches.length > 0) {
  printRows(mismatches.slice(0, 5));
  process.exitCode = 1;
}
for (const each of [airportDelays, routeDelays]) {
  const skew = await store.skew(each);
  console.log(
    `varve skew ${each.name}: ${skew.mismatches} mismatches among ${
      formatCount(skew.values)
    } values, also against the source`,
  );
  if (skew.mismatches > 0) process.exitCode = 1;
}

await server.stop();
await store.close();
console.log(`
What to try next
  npm run quickstart            again: only what is missing is computed, so it is faster
  npm run quickstart:cluster    this very file, on Redis, S3 and two workers, one of them killed half-way
  npx varve status              what is stored and served (with VARVE_WORKSPACE=quickstart VARVE_CLOCK=2001-07-01)
  examples/                     small programs, one idea each`);

/** Starts `varve serve` on a free port of this computer, where nobody else can ask. */
async function startServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const command = new URL("../cluster/bin/varve.js", import.meta.url).pathname;
  const child = spawn(process.execPath, [command, "serve", "--no-auth"], {
    env: { ...process.env, VARVE_PORT: "0", VARVE_LOG_LEVEL: "warn" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  // Whatever happens here, it is not left behind.
  process.once("exit", () => child.kill("SIGTERM"));
  const [line] = await once(child.stdout, "data") as [Buffer];
  const url = /http:\S+/.exec(String(line))![0];
  return {
    url,
    async stop() {
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

function isSame(row: Row, answer: Row): boolean {
  return model.featureNames.every((name) => isDeepStrictEqual(row[name], answer[name]));
}

function printRows(rows: readonly Row[]): void {
  const names = Object.keys(rows[0] ?? {});
  const align = names.map((name) =>
    typeof rows[0]![name] === "number" || typeof rows[0]![name] === "bigint" ? "right" : "left"
  );
  console.log(textTable(names, rows.map((row) => names.map((name) => text(row[name]))), align));
}

function pick(row: Row, names: readonly string[]): Row {
  return Object.fromEntries(names.map((name) => [name, row[name]]));
}

function text(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (value instanceof Date) return value.toISOString().replace(":00.000Z", "Z");
  if (typeof value === "object") return `[${[...value as Iterable<unknown>].map(text).join(" ")}]`;
  return typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : String(value);
}
