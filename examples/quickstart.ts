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
import { connect, readConfig } from "@varve/cluster";
import {
  col,
  count,
  entity,
  formatBytes,
  formatCount,
  formatSeconds,
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
const flightDays = flights.derive({ day: col("date").dt.truncate("day"), late: col("delay").gt(15).cast("int32") });

const airport = entity("airport", { origin: "string" });
const airportDays = view(
  "airport_days",
  flightDays.groupBy("origin", "day").aggregate({
    date: max("date"),
    departures: count(),
    delay_mean: mean("delay"),
    delay_spread: stddevSamp("delay"),
    late_share: mean("late"),
  }).drop("day").by(airport),
  { schedule: "1d", start: "2001-01-01", ttl: "7d", online: true, defaults: { departures: 0n } },
);

const route = entity("route", { origin: "string", destination: "string" });
const routeDays = view(
  "route_days",
  flightDays.groupBy("origin", "destination", "day").aggregate({
    date: max("date"),
    flights: count(),
    delay_mean: mean("delay"),
    worst_delay: max("delay"),
    distance: max("distance"),
  }).drop("day").by(route),
  { schedule: "1d", start: "2001-01-01", ttl: "30d", online: true },
);
console.log(
  `${
    formatCount(await flights.count())
  } flights; the newest of each airport as features, on 1 March 2001, before anything is published:\n`,
);
printRows(await store.preview(airportDays, { at: "2001-03-01T12:00Z", limit: 4 }).rows());

title("2. Publish: the plan first, then its backfill");
const model = service("delay_model", [airportDays.prefix("airport_"), routeDays.prefix("route_")]);
const plan = await store.publish(model);
console.log(`${plan}\n`);
const backfill = performance.now();
const bars = progressBars(process.stdout, () => (performance.now() - backfill) / 1000);
const applied = await plan.apply({ onProgress: bars.update }).finally(bars.stop);
const slices = applied.views.reduce((sum, done) => sum + done.slices, 0);
console.log(
  slices > 0
    ? `\n${slices} daily slices in ${formatSeconds(applied.seconds)}`
    : "Everything was published, computed and loaded by an earlier run: nothing to do",
);

title("3. Train: every flight sees what was known when it left, and nothing later");
const spine = flights.filter(col("date").ge(new Date("2001-02-01"))).sample({ rows: 200_000, seed: 7 }).select(
  "date",
  "origin",
  "destination",
  "delay",
);
const train = await store.train(model, spine);
const frame = await train.collect();
const shown = [
  "date",
  "origin",
  "destination",
  "delay",
  "airport_late_share",
  "airport_delay_mean",
  "route_flights",
  "route_delay_mean",
];
printRows(frame.select(...shown).head(5).toRecords());
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
const answers: Record<string, unknown>[] = [];
for (const key of keys) answers.push(await ask(key));
console.log(
  `${formatCount(keys.length)} routes asked at ${server.url}, one after the other: ${
    formatSeconds((performance.now() - began) / 1000 / keys.length)
  } each:\n`,
);
printRows(
  answers.slice(0, 3).map((answer, i) => ({
    ...keys[i],
    ...pick(answer, ["airport_late_share", "airport_delay_mean", "route_flights", "route_delay_mean"]),
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

/** The features of one route, by name, as the server says them. */
async function ask(joinKeyMap: Row): Promise<Record<string, unknown>> {
  const params = { featureServiceName: "delay_model", joinKeyMap, metadataOptions: { includeNames: true } };
  const response = await fetch(`${server.url}/api/v1/feature-service/get-features`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ params }),
  });
  if (!response.ok) throw new Error(await response.text());
  const { result, metadata } = await response.json() as {
    result: { features: unknown[] };
    metadata: { features: { name: string }[] };
  };
  // Names are `view.feature`; a training set's columns are the features alone.
  return Object.fromEntries(metadata.features.map(({ name }, i) => [name.split(".")[1]!, result.features[i]]));
}

/** JSON writes int64 as text and has no NaN; everything else must be the very same. */
function isSame(row: Row, answer: Readonly<Record<string, unknown>>): boolean {
  return model.featureNames.every((name) => {
    const value: unknown = row[name];
    const told = typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value))
      ? String(value)
      : value;
    return Object.is(told, answer[name]);
  });
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
  if (value === null) return "–";
  if (value instanceof Date) return value.toISOString().replace(":00.000Z", "Z");
  return typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : String(value);
}
