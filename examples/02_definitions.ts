/**
 * Entities, views and services: the nouns of a feature store. They are plain data until they are published, and can be
 * looked at before: `preview` computes them from the source.
 *
 *     npm run -s build && npx tsx examples/02_definitions.ts
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { col, connect, count, entity, fromRows, ManualClock, max, mean, service, view } from "varve";

const payments = fromRows([
  { customer: "ada", shop: "books", at: new Date("2001-01-01T09:00Z"), amount: 20 },
  { customer: "ada", shop: "books", at: new Date("2001-01-01T18:00Z"), amount: 40 },
  { customer: "bob", shop: "books", at: new Date("2001-01-01T10:00Z"), amount: 15 },
  { customer: "ada", shop: "music", at: new Date("2001-01-02T12:00Z"), amount: 99 },
], {
  eventTimestamp: "at",
  schema: { customer: "string", shop: "string", at: "timestamp", amount: "float64" },
});

// An entity says what features are about, and by which columns it is found.
const customer = entity("customer", { customer: "string" });
const shop = entity("shop", { shop: "string" });

// A view is a frame about an entity, with a schedule. One row per key and day here; the newest effective row counts.
const daily = payments.derive({ day: col("at").dt.truncate("day") });
const customerDays = view(
  "customer_days",
  daily.groupBy("customer", "day").aggregate({ at: max("at"), spent: max("amount"), payments: count() }).drop("day")
    .by(customer),
  { schedule: "1d", start: "2001-01-01", ttl: "30d", online: true, defaults: { payments: 0n }, owner: "risk" },
);
const shopDays = view(
  "shop_days",
  daily.groupBy("shop", "day").aggregate({ at: max("at"), spent: mean("amount") }).drop("day").by(shop),
  { schedule: "1d", start: "2001-01-01", online: true, features: { spent: { description: "Mean payment of a day" } } },
);

// A service is what one model reads: features of several views, under names of their own.
const fraud = service("fraud_model", [
  customerDays.select("spent", "payments").prefix("customer_"),
  shopDays.rename({ spent: "shop_mean" }).mapKeys({ shop: "merchant" }),
]);
console.log(`${fraud.name} reads ${fraud.featureNames.join(", ")}`);

const folder = await mkdtemp(join(tmpdir(), "varve-"));
// The rows end on 2 January 2001: let the clock stand on the 3rd. Without one it is the computer's.
const store = await connect({ path: folder, clock: new ManualClock("2001-01-03") });
try {
  // 1 January's rows are ready when that day has ended; 2 January's are not there yet.
  console.log("\ncustomer_days as it would be served on 2 January, noon:");
  console.log(await store.preview(customerDays, { at: "2001-01-02T12:00Z" }).collect());
  console.log("\nand now, on the 3rd:");
  console.log(await store.preview(customerDays).collect());
  console.log("\nWhat publishing would do:");
  console.log(await store.plan(fraud));
} finally {
  await store.close();
  await rm(folder, { recursive: true });
}
