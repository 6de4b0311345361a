/**
 * Publishing: plan, look, apply. A changed definition is built as a new version beside the old one, which serves until the
 * new one is complete; `rollback` goes back at once.
 *
 *     npm run -s build && npx tsx examples/03_publish.ts
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { col, connect, entity, fromRows, ManualClock, view } from "varve";

const trips = fromRows([
  { driver: "ada", at: new Date("2001-01-01T08:00Z"), miles: 10 },
  { driver: "bob", at: new Date("2001-01-02T08:00Z"), miles: 20 },
  { driver: "ada", at: new Date("2001-01-03T08:00Z"), miles: 30 },
], { eventTimestamp: "at" });
const driver = entity("driver", { driver: "string" });

/** The same view, in one unit or the other. */
const lastTrip = (factor: number) =>
  view("last_trip", trips.select("driver", "at", { length: col("miles").times(factor) }).by(driver), {
    schedule: "1d",
    start: "2001-01-01",
    online: true,
  });

const folder = await mkdtemp(join(tmpdir(), "varve-"));
// The rows end on 3 January 2001: let the clock stand on the 4th.
const store = await connect({ path: folder, clock: new ManualClock("2001-01-04T00:00Z"), author: "ada" });
try {
  const miles = lastTrip(1);
  const plan = await store.publish(miles, { reason: "first features" });
  console.log(plan); // nothing has run yet
  const [done] = (await plan.apply()).views;
  console.log(`\n${done!.slices} slices, ${done!.rows} rows, ${done!.onlineRows} values online`);
  console.log("served:", await store.online(miles, { driver: "ada" }));

  console.log("\nOnce more, with nothing changed:");
  const again = await store.publish(miles);
  console.log(again);

  console.log("\nKilometres instead of miles:");
  const kilometres = lastTrip(1.609344);
  const change = await store.publish(kilometres, { reason: "metric" });
  console.log(change);
  await change.apply();
  console.log("served:", await store.online("last_trip", { driver: "ada" }));

  await store.rollback("last_trip");
  console.log("\nAfter a rollback:", await store.online("last_trip", { driver: "ada" }));

  const { views } = await store.status();
  for (const { version, state, slicesDone, slicesTotal, rows } of views[0]!.versions) {
    console.log(`  version ${version} is ${state}: ${slicesDone} of ${slicesTotal} slices, ${rows} rows`);
  }
  console.log("\nWho changed what:");
  for (const { revision, author, reason } of await store.history()) console.log(`  ${revision}  ${author}: ${reason}`);
} finally {
  await store.close();
  await rm(folder, { recursive: true });
}
