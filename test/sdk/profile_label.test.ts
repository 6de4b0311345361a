/** Profiles of training sets against plain loops over the same rows. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { entity } from "../../sdk/define/entity.ts";
import { view } from "../../sdk/define/view.ts";
import { fromRows } from "../../sdk/frame/sources.ts";
import type { TrainingSet } from "../../sdk/retrieve/training_set.ts";
import type { Store } from "../../sdk/store.ts";
import { StoreRig } from "./store_rig.ts";
import "../../sdk/mod.ts";

interface Known {
  readonly id: bigint;
  readonly good: number | null;
  readonly bad: number;
  readonly told: number;
  readonly kind: string;
  readonly flag: boolean;
  readonly tags: readonly string[];
  readonly seen: number | null;
}

let state = 7;
const next = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
const labels = Array.from({ length: 400 }, () => next() < 0.3);
const known = labels.map((label, i): Known => ({
  id: BigInt(i),
  good: next() < 0.1 ? null : Math.round(10 * (next() + (label ? 0.4 : 0))),
  bad: next(),
  told: label ? 2 + next() : next(),
  kind: label ? ["a", "b"][Math.floor(next() * 2)]! : ["b", "c"][Math.floor(next() * 2)]!,
  flag: label ? next() < 0.2 : next() < 0.6,
  tags: ["x"],
  seen: label ? 1 : null,
}));

const item = entity("item", { id: "int64" });
const at = new Date("2001-01-01T00:00Z");
const facts = view(
  "facts",
  fromRows(known.map((row) => ({ ...row, at })), {
    eventTimestamp: "at",
    schema: {
      id: "int64",
      good: "int64",
      bad: "float64",
      told: "float64",
      kind: "string",
      flag: "boolean",
      tags: { list: "string" },
      seen: "int64",
      at: "timestamp",
    },
  }).by(item),
  { schedule: "1d", start: "2001-01-01" },
);
const spine = labels.map((label, i) => ({
  id: BigInt(i),
  time: new Date("2001-01-05T00:00Z"),
  label,
  amount: label ? 100 + known[i]!.bad : known[i]!.bad,
  note: "n",
}));

/** Of all pairs of a true and a false row, how many are in order; a tie counts half. */
function area(values: readonly (number | null)[]): number {
  let [won, pairs] = [0, 0];
  for (const [i, yes] of values.entries()) {
    if (!labels[i] || yes === null) continue;
    for (const [j, no] of values.entries()) {
      if (labels[j] || no === null) continue;
      pairs++;
      won += yes > no ? 1 : yes === no ? 0.5 : 0;
    }
  }
  return won / pairs;
}

function correlation(x: readonly number[], y: readonly number[]): number {
  const mean = (list: readonly number[]) => list.reduce((sum, each) => sum + each, 0) / list.length;
  const [mx, my] = [mean(x), mean(y)];
  const sum = (f: (i: number) => number) => x.reduce((all, _, i) => all + f(i), 0);
  return sum((i) => (x[i]! - mx) * (y[i]! - my)) /
    Math.sqrt(sum((i) => (x[i]! - mx) ** 2) * sum((i) => (y[i]! - my) ** 2));
}

let rig: StoreRig;
let store: Store;
let train: TrainingSet;
beforeAll(async () => {
  rig = await StoreRig.open();
  store = await rig.connect();
  train = await store.train(facts, spine, { from: "source" });
});
afterAll(() => rig.close());

describe("train.profile() of a boolean label", () => {
  it("sorts features by the area under their ROC curve", async () => {
    const profile = await train.profile({ label: "label" });
    expect(profile).toMatchObject({ kind: "boolean", measure: "AUC", rowCount: 400, rowsRead: 400, unlabelled: 0 });
    expect(profile.labelMean).toBeCloseTo(labels.filter(Boolean).length / 400, 9);
    for (const name of ["good", "bad", "told", "flag"] as const) {
      const found = area(known.map((row) => row[name] === null ? null : Number(row[name])));
      const { strength, direction } = profile.feature(name);
      expect(strength).toBeCloseTo(Math.max(found, 1 - found), 9);
      expect(direction).toBe(found >= 0.5 ? "up" : "down");
    }
    const shares = new Map(
      ["a", "b", "c"].map((kind) => {
        const of = labels.filter((_, i) => known[i]!.kind === kind);
        return [kind, of.filter(Boolean).length / of.length];
      }),
    );
    expect(profile.feature("kind").strength).toBeCloseTo(area(known.map(({ kind }) => shares.get(kind)!)), 9);
    expect(profile.feature("tags").strength).toBeNull();
    const strengths = profile.features.map(({ strength }) => strength ?? -1);
    expect(strengths).toEqual([...strengths].sort((a, b) => b - a));
  });

  it("shows the label by value or by tenths of the values, and the feature by label", async () => {
    const profile = await train.profile({ label: "label" });
    const share = (list: readonly Known[]) => list.filter((row) => labels[Number(row.id)]).length / list.length;
    for (const { value, rows, labelMean } of profile.feature("good").parts) {
      const of = known.filter(({ good }) => String(good) === value);
      expect(rows).toBe(of.length);
      expect(labelMean).toBeCloseTo(share(of), 9);
    }
    expect(profile.feature("good").parts.at(-1)!.value).toBe("null");
    const tenths = profile.feature("bad").parts;
    expect(tenths).toHaveLength(10);
    for (const { rows } of tenths) expect(Math.abs(rows - 40)).toBeLessThanOrEqual(1);
    const sorted = [...known].sort((a, b) => a.bad - b.bad);
    expect(tenths[0]!.labelMean).toBeCloseTo(share(sorted.slice(0, tenths[0]!.rows)), 9);
    const [no, yes] = profile.feature("flag").byLabel;
    const of = (label: boolean) => known.filter(({ id }) => labels[Number(id)] === label);
    expect(no!.mean).toBeCloseTo(of(false).filter(({ flag }) => flag).length / of(false).length, 9);
    expect(yes!.mean).toBeCloseTo(of(true).filter(({ flag }) => flag).length / of(true).length, 9);
  });

  it("warns of features that tell the label by themselves, or by being null", async () => {
    const { warnings } = await train.profile({ label: "label" });
    expect(warnings).toHaveLength(2);
    expect(warnings.join()).toMatch(/told tells label nearly by itself \(AUC 1\.000\)/);
    expect(warnings.join()).toMatch(/Whether seen is null tells label/);
    const few = await store.train(facts, spine.slice(0, 12), { from: "source" });
    expect((await few.profile({ label: "label" })).warnings).toEqual([]);
  });
});

describe("train.profile() of a number", () => {
  it("sorts features by correlation", async () => {
    const profile = await train.profile({ label: "amount", features: ["told", "bad", "kind"] });
    expect(profile).toMatchObject({ kind: "number", measure: "correlation" });
    const y = spine.map(({ amount }) => amount);
    for (const name of ["told", "bad"] as const) {
      const r = correlation(known.map((row) => row[name]), y);
      expect(profile.feature(name).strength).toBeCloseTo(Math.abs(r), 9);
      expect(profile.feature(name).direction).toBe(r >= 0 ? "up" : "down");
    }
    const means = new Map(
      ["a", "b", "c"].map((kind) => {
        const of = y.filter((_, i) => known[i]!.kind === kind);
        return [kind, of.reduce((sum, each) => sum + each, 0) / of.length];
      }),
    );
    expect(profile.feature("kind").strength).toBeCloseTo(correlation(known.map(({ kind }) => means.get(kind)!), y), 9);
  });
});

describe("the label", () => {
  it("is found where one column can be it, and asked for where several can", async () => {
    await expect(train.profile()).rejects.toThrow('label, amount may be; name it, as in { label: "label" }');
    const one = await store.train(facts, spine.map(({ id, time, label, note }) => ({ id, time, label, note })), {
      from: "source",
    });
    const profile = await one.profile();
    expect(profile.label).toEqual({ name: "label", type: "boolean", isGuessed: true });
    expect(profile.summary()).toContain("label label (found");
    const none = await store.train(facts, spine.map(({ id, time }) => ({ id, time })), { from: "source" });
    await expect(none.profile()).rejects.toThrow(/no boolean or number beside its keys and time/);
    await expect(train.profile({ label: "good" })).rejects.toThrow(/it is a feature/);
    await expect(train.profile({ label: "note" })).rejects.toThrow(/it is string; derive a boolean or a number/);
    await expect(train.profile({ label: "lable" })).rejects.toThrow(
      /no such column; columns of the spine are id, time/,
    );
    await expect(train.profile({ label: "label", features: ["x"] })).rejects.toThrow(/features are good, bad/);
  });

  it("may be missing, always the same, or a 0 and 1", async () => {
    const some = spine.map(({ id, time, label }) => ({ id, time, label: id < 100n ? null : label ? 1 : 0 }));
    const profile = await (await store.train(facts, some, { from: "source" })).profile();
    expect(profile).toMatchObject({ kind: "boolean", rowsRead: 300, unlabelled: 100 });
    const same = spine.map(({ id, time }) => ({ id, time, label: true }));
    const flat = await (await store.train(facts, same, { from: "source" })).profile();
    expect(flat.features.map(({ strength }) => strength)).toEqual(flat.features.map(() => null));
    const empty = await store.train(facts, spine.map(({ id, time }) => ({ id, time, label: null })), {
      from: "source",
      schema: { id: "int64", time: "timestamp", label: "float64" },
    });
    expect(await empty.profile()).toMatchObject({ rowsRead: 0, unlabelled: 400, labelMean: null });
  });

  it("of many rows is looked at in a sample", async () => {
    const profile = await train.profile({ label: "label", maxRows: 100 });
    expect(profile.rowsRead).toBeGreaterThan(50);
    expect(profile.rowsRead).toBeLessThan(150);
    expect(profile.summary()).toContain(`a sample of ${profile.rowsRead} of 400 rows`);
  });
});
