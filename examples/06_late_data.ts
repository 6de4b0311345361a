/**
 * Late data: a slice that was computed can be computed again. `lookback` does it for the last slices on every schedule,
 * `overwrite` by hand for any range. Each replaces whole slices, so that doing it twice changes nothing.
 *
 *     npm run -s build && npx tsx examples/06_late_data.ts
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, entity, fromRows, ManualClock, parquet, view } from "varve";

const folder = await mkdtemp(join(tmpdir(), "varve-"));
const path = join(folder, "readings.parquet");
const schema = { sensor: "string", at: "timestamp", value: "float64" } as const;

/** What the source holds; somebody else writes it. */
const readings: { sensor: string; at: Date; value: number }[] = [];
async function arrive(at: string, value: number): Promise<void> {
  readings.push({ sensor: "roof", at: new Date(at), value });
  await fromRows(readings, { schema }).toParquet(path);
}
await arrive("2001-01-01T12:00Z", 1);
await arrive("2001-01-02T12:00Z", 2);

const sensor = entity("sensor", { sensor: "string" });
const lastValue = view("last_value", parquet(path, { eventTimestamp: "at", schema }).by(sensor), {
  schedule: "1d",
  start: "2001-01-01",
  lookback: 1, // every day, the day before that is computed again as well
  online: true,
});

const clock = new ManualClock("2001-01-03T06:00Z");
const store = await connect({ path: join(folder, "store"), clock });
const now = async () => (await store.online(lastValue, { sensor: "roof" })).value;
const history = async () => {
  const rows = await store.range(lastValue, { start: "2001-01-01", end: clock.now() }).rows();
  return rows.map((row) => row["value"]).join(", ");
};
try {
  await (await store.publish(lastValue)).apply();
  console.log(`3 January: serves ${await now()}, history ${await history()}`);

  console.log("\nA reading of yesterday evening comes after its day was computed:");
  await arrive("2001-01-02T20:00Z", 20);
  console.log(`  as stored: serves ${await now()}, history ${await history()}`);
  clock.advance("1d");
  const [caught] = await store.catchUp();
  console.log(`4 January: ${caught!.slices} slices, the new one and the one looked back at`);
  console.log(`  serves ${await now()}, history ${await history()}`);

  console.log("\nA reading of 1 January comes, further back than lookback reaches: by hand, then.");
  await arrive("2001-01-01T18:00Z", 10);
  const [done] = await store.materialize(lastValue, { start: "2001-01-01", end: "2001-01-02", overwrite: true });
  console.log(`  ${done!.slices} slice, ${done!.rows} rows; ${done!.onlineRows} values online are newer than before`);
  console.log(`  serves ${await now()}, history ${await history()}`);
} finally {
  await store.close();
  await rm(folder, { recursive: true });
}
