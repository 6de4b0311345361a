/**
 * Time travel: the clock is passed in. With one that stands still, go through days that are long over, as if living them,
 * and see that what is served at any moment is what a training set says of that moment.
 *
 *     npm run -s build && npx tsx examples/08_time_travel.ts
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { col, connect, count, entity, ManualClock, max, mean, parquet, service, Timestamp, view } from "varve";

const flights = parquet(new URL("../node_modules/vega-datasets/data/flights-3m.parquet", import.meta.url), {
  eventTimestamp: "date",
  schema: { date: "timestamp", delay: "int64", distance: "int64", origin: "string", destination: "string" },
});
const airport = entity("airport", { origin: "string" });
const airportDays = view(
  "airport_days",
  flights.filter(col("date").lt(new Date("2001-01-06"))).derive({ day: col("date").dt.truncate("day") })
    .groupBy("origin", "day").aggregate({ date: max("date"), departures: count(), delayMean: mean("delay") })
    .drop("day").by(airport),
  { schedule: "1d", dataDelay: "2h", start: "2001-01-01", ttl: "2d", online: true },
);
const model = service("delay_model", [airportDays]);
const airports = await flights.select("origin").distinct().sort("origin").rows();

const folder = await mkdtemp(join(tmpdir(), "varve-"));
const clock = new ManualClock("2001-01-02T02:00Z");
const store = await connect({ path: folder, clock });
try {
  await (await store.publish(model)).apply();
  for (let day = 0; day < 7; day++) {
    const time = new Timestamp(clock.now());
    const online = await store.online(model, airports);
    const spine = airports.map(({ origin }) => ({ origin, time }));
    const training = await store.train(model, spine);
    const offline = (await training.rows()).map(({ departures, delayMean }) => ({ departures, delayMean }));
    training.close();

    const different = online.filter((answer, i) => !isDeepStrictEqual(answer, offline[i]));
    const atlanta = online[airports.findIndex(({ origin }) => origin === "ATL")]!;
    console.log(
      `${time}  ATL ${atlanta.departures ?? "–"} departures, ${atlanta.delayMean?.toFixed(2) ?? "–"} minutes late  ` +
        `${different.length} of ${airports.length} airports differ from offline`,
    );
    // A day goes by. What workers do of themselves in a cluster: whatever has become due.
    clock.advance("1d");
    await store.catchUp();
  }
} finally {
  await store.close();
  await rm(folder, { recursive: true });
}
