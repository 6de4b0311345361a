import fc from "fast-check";
import { expect, it } from "vitest";
import type { OnlineStore } from "../../../sdk/storage/online_store.ts";
import { lmdbOnlineStore } from "../../../sdk/storage/online_lmdb.ts";
import { formatTimestamp, toMicros } from "../../../sdk/time.ts";
import { january, Rig, served, type SourceRow } from "./rig.ts";

const runs = Number(process.env["VARVE_RUNS"] ?? 25);

const days = 5;
const keys = [["1", 12], ["11", 2], ["x", 0]] as const;
const failpoints = ["after-part-write", "before-commit", "after-commit", "mid-online"] as const;

/** Runs of slices and loads in any order, crashes among them, against a source that changes all the time. */
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      key: fc.nat(2),
      hour: fc.nat(days * 24 - 1),
      value: fc.nat(99),
      written: fc.nat(3),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("correct" as const), index: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove" as const), index: fc.nat(20) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("run" as const),
      from: fc.integer({ min: 1, max: days }),
      count: fc.integer({ min: 1, max: days }),
      overwrite: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("load" as const), rebuild: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const), at: fc.constantFrom(...failpoints) }) },
);

interface Model {
  source: SourceRow[];
  /** What each committed day was computed from. */
  readonly slices: Map<number, readonly SourceRow[]>;
}

/** Of equal key and time: the last written, then the last in the source. */
function reduced(source: readonly SourceRow[], number: number): SourceRow[] {
  const newest = new Map<string, SourceRow>();
  for (const row of source) {
    const time = toMicros(row.t!);
    if (time < january(number) || time >= january(number + 1)) continue;
    const id = JSON.stringify([row.a, row.b, row.t]);
    const before = newest.get(id);
    if (!before || row.w! >= before.w!) newest.set(id, row);
  }
  return [...newest.values()];
}

function commit(model: Model, from: number, to: number, overwrite: boolean): void {
  for (let number = from; number < to; number++) {
    if (overwrite || !model.slices.has(number)) model.slices.set(number, reduced(model.source, number));
  }
}

function latest(model: Model, [a, b]: readonly [string, number]): readonly [number, string] | undefined {
  const rows = [...model.slices.values()].flat().filter((row) => row.a === a && row.b === b);
  rows.sort((left, right) => Number(toMicros(left.t!) - toMicros(right.t!)));
  const row = rows.at(-1);
  return row && [row.v!, formatTimestamp(toMicros(row.t!))];
}

function storedModel(model: Model): string[] {
  return [...model.slices.values()].flat().map((row) =>
    JSON.stringify([row.a, row.b, row.v, formatTimestamp(toMicros(row.t!))])
  ).sort();
}

async function check(rig: Rig, model: Model): Promise<void> {
  const stored = (await rig.stored()).map((row) =>
    JSON.stringify([row["a"], Number(row["b"]), row["v"], String(row["event_timestamp"])])
  );
  expect(stored.sort()).toEqual(storedModel(model));
  expect((await rig.table().snapshot()).slices.size).toBe(model.slices.size);
}

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function apply(rig: Rig, online: OnlineStore, model: Model, step: Step): Promise<void> {
  switch (step.kind) {
    case "put": {
      const [a, b] = keys[step.key]!;
      const t = formatTimestamp(january(1) + BigInt(step.hour) * 3_600_000_000n);
      model.source.push({ a, b, t, w: formatTimestamp(january(20 + step.written)), v: step.value });
      return await rig.write(model.source);
    }
    case "remove":
      if (model.source.length > 0) model.source.splice(step.index % model.source.length, 1);
      return await rig.write(model.source);
    case "correct":
      // What a person does about wrong rows: mend the source, compute again, load.
      await apply(rig, online, model, { kind: "remove", index: step.index });
      await apply(rig, online, model, { kind: "run", from: 1, count: days, overwrite: true });
      return await apply(rig, online, model, { kind: "load", rebuild: false });
    case "run": {
      const to = Math.min(days + 1, step.from + step.count);
      commit(model, step.from, to, step.overwrite);
      await rig.run(step.from, to, { overwrite: step.overwrite });
      return await check(rig, model);
    }
    case "load": {
      if (model.slices.size === 0) return;
      await rig.load(online, { rebuild: step.rebuild });
      const expected = keys.map((key) => latest(model, key));
      return expect(await served(online, rig.definition(), keys)).toEqual(expected);
    }
    case "crash": {
      const failpoint = (name: string) => {
        if (name === step.at) throw new Error("crash");
      };
      const isCrash = (error: Error) => expect(error.message).toContain("crash");
      await rig.run(1, days + 1, { overwrite: true, context: { failpoint } }).then(
        () => commit(model, 1, days + 1, true),
        (error: Error) => {
          isCrash(error);
          if (step.at === "after-commit") commit(model, 1, days + 1, true);
        },
      );
      await rig.load(online, { context: { failpoint } }).catch(isCrash);
      return await check(rig, model);
    }
  }
}

it(
  "materialize() and loadOnline() give what plain loops give, in any order of runs, repetitions and crashes",
  async () => {
    const rig = await Rig.open();
    try {
      let run = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
          const online = lmdbOnlineStore(`${rig.folder}/online-${run}`);
          rig.use(`run-${run++}`);
          const model: Model = { source: [], slices: new Map() };
          await rig.write([]);
          for (const each of steps) await apply(rig, online, model, each);
          // At last everything is caught up, whatever happened before.
          await apply(rig, online, model, { kind: "run", from: 1, count: days, overwrite: false });
          await apply(rig, online, model, { kind: "load", rebuild: false });
          await online.close();
          expect(await rig.leftOvers()).toEqual([]);
        }),
        { numRuns: runs },
      );
    } finally {
      await rig.close();
    }
  },
  120_000 + runs * 10_000,
);
