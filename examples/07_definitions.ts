/**
 * Definitions as code, kept in a file of their own: the command line publishes whatever a module exports.
 *
 *     npm run -s build
 *     export VARVE_CLOCK=2001-01-08     # the rows are of January 2001
 *     npx varve plan examples/07_definitions.ts
 *     npx varve apply examples/07_definitions.ts --reason "first features"
 *     npx varve status
 */
import { col, count, entity, max, mean, parquet, service, view } from "varve";

const flights = parquet(new URL("../node_modules/vega-datasets/data/flights-3m.parquet", import.meta.url), {
  eventTimestamp: "date",
  schema: { date: "timestamp", delay: "int64", distance: "int64", origin: "string", destination: "string" },
});

/** What airport features are about. */
export const airport = entity("airport", { origin: "string" }, { description: "An airport, by its IATA code" });

/** How an airport did on the last full day. */
export const airportDays = view(
  "airport_days",
  flights.derive({ day: col("date").dt.truncate("day") })
    .groupBy("origin", "day")
    .aggregate({ date: max("date"), departures: count(), delayMean: mean("delay") })
    .drop("day")
    .by(airport),
  {
    schedule: "1d",
    dataDelay: "2h",
    start: "2001-01-01",
    ttl: "7d",
    online: true,
    owner: "flights@example.com",
    tags: { source: "bts" },
    defaults: { departures: 0n },
  },
);

/** What the delay model reads: the airport of departure. */
export const delayModel = service("delay_model", [airportDays.prefix("origin_")], {
  description: "Whether a flight will be late",
});
