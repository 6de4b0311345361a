/**
 * An aggregation of one's own: the longest run of failed payments in a window. It says what is known of some rows, how another
 * row or the state of later rows is added, and what comes of it; the engine does the rest: tiles, training, serving.
 *
 *     npm run -s build && npx tsx examples/09_own_aggregation.ts
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Aggregator,
  col,
  connect,
  count,
  custom,
  entity,
  fromRows,
  ManualClock,
  registerAggregation,
  type States,
  view,
} from "varve";

/** A state of some rows in a row: how many, how many true ones it begins and ends with, and the longest run of them. */
const columns = (states: States) => states as [rows: Int32Array, start: Int32Array, end: Int32Array, best: Int32Array];

const longestRun: Aggregator = {
  slots: ["rows", "start", "end", "best"].map((name) => ({ name, type: "int32" })),
  result: "int32",
  clear(states, i) {
    for (const column of columns(states)) column[i] = 0;
  },
  update(states, i, value) {
    const [rows, start, end, best] = columns(states);
    end[i] = value === true ? end[i]! + 1 : 0;
    if (end[i] === rows[i]! + 1) start[i] = end[i]!;
    best[i] = Math.max(best[i]!, end[i]!);
    rows[i]! += 1;
  },
  // The rows of j come later: a run may go on from one state to the next.
  merge(into, i, from, j) {
    const [rows, start, end, best] = columns(into);
    const [moreRows, moreStart, moreEnd, moreBest] = columns(from);
    best[i] = Math.max(best[i]!, moreBest[j]!, end[i]! + moreStart[j]!);
    if (start[i] === rows[i]) start[i] = rows[i]! + moreStart[j]!;
    end[i] = moreEnd[j] === moreRows[j] ? end[i]! + moreRows[j]! : moreEnd[j]!;
    rows[i]! += moreRows[j]!;
  },
  finalize(states, i) {
    const [rows, , , best] = columns(states);
    return rows[i] === 0 ? null : best[i]!;
  },
};

// Every process that computes or serves it registers it first: put this into a module that all of them import. Where equal
// rows give other results one day, raise the version: views that use it are then computed anew.
const run = registerAggregation({
  name: "longestRun",
  version: 1,
  resultType(input) {
    if (input !== "boolean") throw new TypeError("the input must be boolean");
    return "int32";
  },
  make: () => longestRun,
});

// Payments of two cards, one an hour from 20:00 on; x: it failed.
const hourly = { blue: "x.xxx.xxxx.x", red: "....xxx" };
const payments = fromRows(
  Object.entries(hourly).flatMap(([card, marks]) =>
    [...marks].map((mark, hour) => ({ card, at: new Date(Date.UTC(2001, 0, 1, 20 + hour)), failed: mark === "x" }))
  ),
  { eventTimestamp: "at" },
);
const card = entity("card", { card: "string" });
const trouble = view(
  "card_trouble",
  payments.by(card).aggregate(
    { failures: count().where(col("failed")), worstRun: custom(run, "failed") },
    { windows: ["6h", "24h"], every: "1h" },
  ),
  { schedule: "1h", start: "2001-01-01", online: true },
);

const folder = await mkdtemp(join(tmpdir(), "varve-"));
const store = await connect({ path: join(folder, "store"), clock: new ManualClock("2001-01-02T08:00Z") });
try {
  await (await store.publish(trouble)).apply();
  for (const name of ["blue", "red"]) {
    const { failures_24h, worstRun_6h, worstRun_24h } = await store.online(trouble, { card: name });
    console.log(
      `${name}: ${failures_24h} failures in a day, at worst ${worstRun_24h} in a row; in 6 hours ${worstRun_6h}`,
    );
  }
  const spine = fromRows([{ card: "blue", at: new Date("2001-01-02T03:30Z") }], { eventTimestamp: "at" });
  const [row] = await store.train(trouble, spine).then((set) => set.rows());
  console.log(`blue, as it was at 03:30: ${row!["worstRun_24h"]} in a row`);
} finally {
  await store.close();
  await rm(folder, { recursive: true });
}
