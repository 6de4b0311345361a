/**
 * What a model's process does: ask a server for features, typed by their definition. The client needs `fetch` and nothing
 * else of varve: Node, Deno, a browser. First a server that has something to answer:
 *
 *     export VARVE_CLOCK=2001-01-08     # the rows are of January 2001
 *     npx varve apply examples/07_definitions.ts
 *     npx varve up --no-auth
 *
 * Then, in another terminal (FEATURES_URL and FEATURES_KEY name another server, and a key of `varve keys create`):
 *
 *     npx tsx examples/10_client.ts
 */
import { featureClient, VarveError } from "varve/client";
import type { delayModel } from "./07_definitions.ts"; // its type alone: nothing of it is loaded

const key = process.env["FEATURES_KEY"];
const client = featureClient({
  url: process.env["FEATURES_URL"] ?? "http://127.0.0.1:6566",
  timeoutMs: 5_000, // the longest that a call takes, with all its tries
  retries: 3,
  batch: {}, // calls of the same moment share a request
  ...(key && { key }),
});
const ask = (origin: string | null) => client.features<typeof delayModel>("delay_model", { origin });

// Typed: origin_departures is a bigint, since it has a default; origin_delayMean a number or null.
const { origin_departures: departures, origin_delayMean: mean } = await ask("ATL");
console.log(`ATL: ${departures} departures, ${mean?.toFixed(2) ?? "–"} minutes late`);

// These two are one request.
const [ord, nowhere] = await Promise.all([ask("ORD"), ask("nowhere")]);
console.log(`ORD: ${ord.origin_departures} departures; nowhere: ${nowhere.origin_departures}`);

// Many keys in one request, answered in their order.
const airports = ["ATL", "ORD", "DFW", "SFO"].map((origin) => ({ origin }));
const answers = await client.featuresOf<typeof delayModel>("delay_model", airports);
console.log(answers.map((answer, i) => `${airports[i]!.origin} ${answer.origin_departures}`).join(", "));

// Why a value is what it is.
for (const origin of ["ATL", "nowhere", null]) {
  const [first] = await client.details<typeof delayModel>("delay_model", { origin });
  console.log(`${origin}: ${first!.name} of ${first!.view} is ${first!.status}, since ${first!.effective ?? "never"}`);
}

// Errors have the codes that varve has everywhere.
await client.features("no_model", { origin: "ATL" }).catch((error: unknown) => {
  if (!(error instanceof VarveError)) throw error;
  console.log(`${error.code}: ${error.message}`);
});
