/**
 * Training sets: for every row of a spine (keys and a time), the features as they were known at that time, and nothing later.
 * Here straight from the source, before anything is published; leave `from` out and the stored history is read.
 *
 *     npm run -s build && npx tsx examples/04_training.ts
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, entity, fromRows, ManualClock, service, view } from "varve";
import type { Row } from "varve";

const reports = fromRows([
  { origin: "ATL", destination: "LAX", at: new Date("2001-01-01T12:00Z"), delay: 10 },
  { origin: "ATL", destination: "LAX", at: new Date("2001-01-02T12:00Z"), delay: 20 },
  { origin: "LAX", destination: "ATL", at: new Date("2001-01-02T12:00Z"), delay: 77 },
], { eventTimestamp: "at" });

// Both columns make the key: the way there is another entity than the way back.
const route = entity("route", { origin: "string", destination: "string" });
const routeDelays = view("route_delays", reports.by(route), {
  schedule: "1d", // a day's rows are computed when the day has ended …
  dataDelay: "2h", // … and two hours have gone by
  start: "2001-01-01",
  ttl: "3d", // an older value does not count any more
  online: true,
});
const model = service("delay_model", [routeDelays]);

const there = { origin: "ATL", destination: "LAX" };
const spine = [
  { ...there, time: new Date("2001-01-01T13:00Z"), note: "day 1 is not over" },
  { ...there, time: new Date("2001-01-03T01:00Z"), note: "day 2 is not ready" },
  { ...there, time: new Date("2001-01-03T02:00Z"), note: "day 2 is" },
  { ...there, time: new Date("2001-01-05T12:00Z"), note: "three days old" },
  { origin: "LAX", destination: "ATL", time: new Date("2001-01-03T02:00Z"), note: "the way back" },
  { origin: null, destination: "ATL", time: new Date("2001-01-03T02:00Z"), note: "from where?" },
];

const shown = ["time", "note", "delay", "route_delays__status"];

const folder = await mkdtemp(join(tmpdir(), "varve-"));
const store = await connect({ path: folder, clock: new ManualClock("2001-01-06") });
try {
  console.log("What could have been served at each row's time:");
  const effective = await store.train(model, spine, { from: "source", statuses: true });
  console.log((await effective.collect()).select(...shown));

  console.log("\nWhat had happened by then (asOf: event), although nobody could have known:");
  const event = await store.train(model, spine, { from: "source", statuses: true, asOf: "event" });
  console.log((await event.collect()).select(...shown));

  // The stored history says the same, and its record, kept with the model, gives the same set again later.
  await (await store.publish(model)).apply();
  const stored = await store.train(model, spine);
  const delays = (rows: readonly Row[]) => rows.map((row) => row["delay"] ?? "–").join(", ");
  console.log(`\nfrom the source: ${delays(await effective.rows())}\noffline:         ${delays(await stored.rows())}`);
  const again = await store.retrain(stored.record, spine, { features: model });
  console.log(`rebuilt:         ${delays(await again.rows())}`);
  const file = await again.parquet(join(folder, "training.parquet"));
  console.log(`written:         ${file.rows} rows`);
} finally {
  await store.close();
  await rm(folder, { recursive: true });
}
