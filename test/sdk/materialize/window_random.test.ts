import { afterAll, beforeAll, expect, it } from "vitest";
import type { AggregateView } from "../../../sdk/define/definitions.ts";
import { durationToMicros } from "../../../sdk/time.ts";
import { Random } from "../../conformance/expr_values.ts";
import { unsignedZeros } from "../../oracle/zeros.ts";
import { january, Rig } from "./rig.ts";
import {
  expectedRows,
  isDropped,
  randomFunctions,
  randomSource,
  type SourceRow,
  storedRows,
  tileProblem,
  type WindowCase,
  windowCase,
  writeSource,
} from "./window_rig.ts";

const days = 3;
const runs = Number(process.env["VARVE_RUNS"] ?? 15);
const firstSeed = Number(process.env["VARVE_SEED"] ?? 1);

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.open();
});
afterAll(() => rig.close());

/** Runs slices in any order and grouping, some of them several times. */
async function runSomehow(random: Random, { view }: WindowCase, overwrite: boolean): Promise<void> {
  const starts = Array.from({ length: days }, (_, i) => i + 1).sort(() => random.next() - 0.5);
  for (const from of starts) {
    const to = Math.min(days + 1, from + 1 + random.below(2));
    await rig.run(from, to, { definition: view, overwrite: overwrite || random.chance(0.3) });
  }
}

async function problemOf(each: WindowCase, source: readonly SourceRow[]): Promise<string | undefined> {
  const slices = Array.from({ length: days }, (_, i) => january(i + 1));
  const stored = await storedRows(rig, each.view);
  const now = rig.clock.now();
  if (each.view.edge !== "exact") {
    return tileProblem(each, durationToMicros(each.view.every), stored, source, slices, now);
  }
  expect(unsignedZeros(stored)).toEqual(unsignedZeros(expectedRows(each, source, slices, now)));
  return undefined;
}

async function checkSeed(seed: number): Promise<void> {
  const random = new Random(seed);
  const more: Partial<AggregateView> = {
    edge: random.pick(["complete", "fresh", "exact"]),
    every: random.pick(["5m", "1h", "1d"]),
    ...(random.chance(0.6) && { writtenTimestamp: "w" }),
    ...(random.chance(0.3) && { secondaryKey: { name: "g", type: "string" } }),
  };
  const each = windowCase(rig, randomFunctions(random, 1 + random.below(4)), more, random);
  rig.use(`seed-${seed}`);
  const source = randomSource(random, each, 1 + random.below(250), days);
  await writeSource(rig, each, source);
  await runSomehow(random, each, false);
  expect(await problemOf(each, source), `seed ${seed}`).toBeUndefined();
  const hashes = async () =>
    (await rig.table().snapshot()).files.map(({ slice, sha256 }) => `${slice.start} ${sha256}`).sort();
  const before = await hashes();
  // The same rows give the same bytes, however slices are run.
  const again = await rig.run(1, days + 1, { definition: each.view, overwrite: true });
  expect(await hashes(), `seed ${seed}`).toEqual(before);
  const dropped = source.filter((row) => isDropped(each.view, row));
  expect(again.dropped, `seed ${seed}`).toEqual({
    nullTimestamp: dropped.filter(({ t }) => t === null).length,
    nullKey: dropped.filter(({ t }) => t !== null).length,
  });
  // Late rows, and rows that were taken back: overwriting repairs the tiles that they are in.
  const late = [
    ...source.filter(() => random.chance(0.8)),
    ...randomSource(random, each, 20, days),
  ];
  await writeSource(rig, each, late);
  await runSomehow(random, each, true);
  expect(await problemOf(each, late), `seed ${seed}, late rows`).toBeUndefined();
}

it(
  "tables of aggregates hold what plain loops give, in any order of runs and repetitions",
  async () => {
    console.info(`seeds ${firstSeed} to ${firstSeed + runs - 1}`);
    for (let seed = firstSeed; seed < firstSeed + runs; seed++) await checkSeed(seed);
  },
  120_000 + runs * 2_000,
);
