/**
 * Frames and expressions: a frame says what to do, step by step, and does nothing yet. A reader such as `collect` runs it.
 *
 *     npm run -s build && npx tsx examples/01_frames.ts
 */
import { col, count, csv, descending, fromRows, mean, parquet, when } from "varve";

const data = new URL("../node_modules/vega-datasets/data/", import.meta.url);

// Declared columns are typed: a misspelt name is an error in the editor, and at this call.
const flights = parquet(new URL("flights-3m.parquet", data), {
  eventTimestamp: "date",
  schema: { date: "timestamp", delay: "int64", distance: "int64", origin: "string", destination: "string" },
});
console.log(`${await flights.count()} flights, the first of them:`);
console.log(await flights.head(3).collect());

// Every step gives a new frame. An expression reads columns, and prints as it is meant.
const isLate = col("delay").gt(15);
const judged = flights.filter(col("distance").ge(1_000)).derive({
  isLate,
  length: when(col("distance").gt(2_000)).then("long").otherwise("medium"),
});
console.log(`"${isLate}" is an expression; this is a frame:\n${judged}`);

// Group and aggregate, then join what another file knows. `iata` is the key's name on the right.
const airports = csv(new URL("airports.csv", data), { schema: { iata: "string", city: "string" } });
const byOrigin = judged.groupBy("origin", "length")
  .aggregate({ flights: count(), lateShare: mean(col("isLate").cast("int32")) })
  .derive({ lateShare: col("lateShare").round(3) })
  .join(airports, { origin: "iata" })
  .sort(descending("lateShare"))
  .limit(4);
console.log("\nWhere flights of 1,000 miles and more are late most often:");
console.log(await byOrigin.collect());

// An as-of join finds, for each row, the newest row of another frame that is not newer than itself.
const weather = fromRows([
  { origin: "ATL", time: new Date("2001-01-01T06:00Z"), wind: 4 },
  { origin: "ATL", time: new Date("2001-01-01T09:30Z"), wind: 11 },
  { origin: "ATL", time: new Date("2001-01-01T20:00Z"), wind: 7 },
], { eventTimestamp: "time" });
const departures = fromRows([
  { origin: "ATL", date: new Date("2001-01-01T05:59Z"), flight: "before the first report" },
  { origin: "ATL", date: new Date("2001-01-01T09:00Z"), flight: "sees 06:00" },
  { origin: "ATL", date: new Date("2001-01-01T09:30Z"), flight: "sees 09:30, of the same minute" },
  { origin: "ATL", date: new Date("2001-01-01T19:59Z"), flight: "is too late for 09:30" },
], { eventTimestamp: "date" });
console.log("\nEach departure with the wind of the last six hours:");
const windy = departures.asOfJoin(weather, "origin", { tolerance: "6h" });
console.log(await windy.sort("date").select("flight", "wind").collect());

console.log(`\nWhat DuckDB will be asked:\n${await byOrigin.explain()}`);
