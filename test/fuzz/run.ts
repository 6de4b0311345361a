/**
 * Fuzzes the server over both online stores with requests made of its own description: `npm run fuzz`, or
 * `npm run fuzz -- --runs 50000 --seed 7`. A failure prints the smallest request that shows it, and the seed that repeats it.
 */
import { parseArgs } from "node:util";
import { textTable } from "../../sdk/notebook/table_text.ts";
import { fuzz } from "./fuzz.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "5000" }, seed: { type: "string" } },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const runs = Number(values.runs);
for (const store of ["lmdb", "redis"] as const) {
  console.log(`${store}: ${runs} requests, --seed ${seed}`);
  const report = await fuzz({ store, runs, seed });
  const statuses = [...new Set(Object.values(report).flatMap((counts) => Object.keys(counts)))].sort();
  console.log(textTable(
    ["operation", ...statuses],
    Object.entries(report).map(([operation, counts]) => [
      operation,
      ...statuses.map((status) => String(counts[status] ?? 0)),
    ]),
  ));
}
console.log("Every answer was as the description says, and none was a failure inside");
