/**
 * Realtime views: features that are computed when a model asks, of what the request says and of what is stored. Here the amount
 * of a payment against the mean of the last ten, the same in training and in serving.
 *
 *     npm run -s build && npx tsx examples/12_realtime.ts
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  col,
  connect,
  entity,
  fromRows,
  last,
  ManualClock,
  realtimeView,
  requestTimestamp,
  service,
  view,
} from "varve";

const payments = fromRows([
  { user: 1n, at: new Date("2001-01-01T08:00Z"), amount: 10 },
  { user: 1n, at: new Date("2001-01-02T09:00Z"), amount: 20 },
  { user: 1n, at: new Date("2001-01-02T10:00Z"), amount: 30 },
  { user: 2n, at: new Date("2001-01-02T11:00Z"), amount: 5 },
], {
  eventTimestamp: "at",
  schema: { user: "int64", at: "timestamp", amount: "float64" },
});
const user = entity("user", { user: "int64" });
const spend = view(
  "spend",
  payments.by(user).aggregate({ amounts: last("amount", 10) }, { windows: ["30d"] }),
  { schedule: "1d", start: "2001-01-01", online: true },
);

const ratio = realtimeView("amount_ratio", {
  request: { amount: "float64" }, // what every request gives; a field may be null
  from: [spend.select("amounts_30d")], // what is looked up, as a service takes it
  features: {
    ratio: col("amount").divide(col("amounts_30d").list.mean()),
    isNight: requestTimestamp().dt.hour().lt(6),
  },
  defaults: { ratio: 1 }, // of a user without payments
});
const model = service("fraud_model", [spend, ratio]);

const folder = await mkdtemp(join(tmpdir(), "varve-"));
const store = await connect({ path: folder, clock: new ManualClock("2001-01-03T05:30Z") });
try {
  const plan = await store.publish(model);
  console.log(`${plan}\n`);
  await plan.apply(); // the realtime view needs no backfill

  // The compiler wants the fields of the request here, and knows that ratio is a number.
  const { ratio: now, isNight } = await store.online(model, { user: 1n }, { request: { amount: 60 } });
  console.log(`60 is ${now.toFixed(1)} times what user 1 pays; ${isNight ? "it is night" : "it is day"}`);

  // Many keys, with a request for each.
  const users = [{ user: 2n }, { user: 99n }];
  const answers = await store.online(model, users, { request: [{ amount: 5 }, { amount: 5 }] });
  console.log(answers.map((answer) => answer.ratio));

  // In training the spine's columns give the fields, and its event timestamp is the time of the request.
  const spine = fromRows([
    { user: 1n, at: new Date("2001-01-03T05:30Z"), amount: 60, fraud: true },
    { user: 1n, at: new Date("2001-01-02T12:00Z"), amount: 60, fraud: false }, // only the first payment was known then
  ], { schema: { user: "int64", at: "timestamp", amount: "float64", fraud: "boolean" } });
  const train = await store.train(model, spine);
  console.log(await train.collect());
  train.close();

  const why = await store.explain(model, { user: 1n }, { request: { amount: 60 }, features: ["ratio"] });
  console.log(`${why}`);

  // A field that is missing is an error that lists what there is.
  await store.online("fraud_model", { user: 1n }).catch((error: Error) => console.log(error.message));
} finally {
  await store.close();
  await rm(folder, { recursive: true });
}
