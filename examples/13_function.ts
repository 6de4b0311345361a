/**
 * Functions: features that a TypeScript function computes at the request. Its text is published, and runs in a sandbox: a Deno
 * process without any permission (`npm install deno`, or Deno on the PATH).
 *
 *     npm run -s build && npx tsx examples/13_function.ts
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, entity, fromRows, last, ManualClock, realtimeView, service, VarveError, view } from "varve";

const payments = fromRows([
  { customer: "ada", at: new Date("2001-01-01T08:00Z"), amount: 10 },
  { customer: "ada", at: new Date("2001-01-02T08:00Z"), amount: 30 },
  { customer: "bob", at: new Date("2001-01-02T09:00Z"), amount: 500 },
], { eventTimestamp: "at", schema: { customer: "string", at: "timestamp", amount: "float64" } });
const customer = entity("customer", { customer: "string" });
const spent = view("spent", payments.by(customer).aggregate([last("amount", 10)], { windows: ["7d"] }), {
  schedule: "1d",
  start: "2001-01-01",
  online: true,
});

const risk = realtimeView("risk", {
  request: { amount: "float64", note: "string" },
  from: [spent],
  output: { score: "float64", band: "string", words: { list: "string" } },
  // It sees its row and nothing else. Whatever it needs is declared inside.
  compute: ({ amount, note, amount_last_10_7d, requestTimestamp }) => {
    const mean = (values: readonly (number | null)[]) =>
      values.reduce((sum: number, value) => sum + (value ?? 0), 0) / values.length;
    const isNight = requestTimestamp.toDate().getUTCHours() < 6;
    const usual = amount_last_10_7d.length > 0 ? mean(amount_last_10_7d) : null;
    const score = amount === null || usual === null ? null : amount / usual * (isNight ? 2 : 1);
    return {
      score,
      band: score === null ? null : score > 3 ? "high" : "low",
      words: (note ?? "").toLowerCase().split(/\W+/).filter((word) => word.length > 3),
    };
  },
  defaults: { band: "unknown" },
});
const model = service("payment_model", [risk]);

// What a function captures would not be there where it runs.
const factor = 2;
try {
  realtimeView("wrong", {
    request: { amount: "float64" },
    output: { score: "float64" },
    compute: ({ amount }) => ({ score: (amount ?? 0) * factor }),
  });
} catch (error) {
  if (!(error instanceof VarveError)) throw error;
  console.log(`${error.code}: ${error.message}`);
}

const folder = await mkdtemp(join(tmpdir(), "varve-"));
const clock = new ManualClock("2001-01-04T03:00Z");
const store = await connect({ path: folder, clock, functions: { timeoutMs: 1_000 } });
try {
  const plan = await store.publish(model); // tried here already: twice, over made-up rows
  console.log(`\n${plan}\n`);
  await plan.apply();

  const request = { amount: 80, note: "Gift card, urgent!" };
  const answer = await store.online(model, { customer: "ada" }, { request });
  console.log("ada:", answer); // typed: { score: number | null, band: string, words: readonly (string | null)[] | null }
  const [bob, eve] = await store.online(model, [{ customer: "bob" }, { customer: "eve" }], { request });
  console.log(`bob: ${bob!.score} ${bob!.band}, eve: ${eve!.score} ${eve!.band}`);

  // The same function over a training set: the spine's columns are what requests give.
  const spine = fromRows([{ customer: "ada", ...request, at: new Date("2001-01-04T03:00Z"), fraud: true }], {
    schema: { customer: "string", amount: "float64", note: "string", at: "timestamp", fraud: "boolean" },
  });
  const [row] = await (await store.train(model, spine)).rows();
  console.log(`training: ${row!["score"]} ${row!["band"]}, as served: ${row!["score"] === answer.score}`);

  // The registry has its text: it can be written back, and planning that changes nothing.
  console.log(`\n${risk.source()}`.split("\n").filter((line) => /compute|const isNight/.test(line)).join("\n"));
} finally {
  await store.close();
  await rm(folder, { recursive: true });
}
