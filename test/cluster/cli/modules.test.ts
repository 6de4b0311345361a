import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { askAmount, Project, urlIn } from "./command.ts";

const aggregation = `import { registerAggregation } from "varve";
export const spread = registerAggregation({
  name: "spread",
  version: 1,
  resultType: () => "float64",
  make: () => ({
    slots: [{ name: "least", type: "float64" }, { name: "greatest", type: "float64" }],
    result: "float64",
    clear([least, greatest], i) {
      least![i] = Infinity;
      greatest![i] = -Infinity;
    },
    update([least, greatest], i, value) {
      least![i] = Math.min(least![i] as number, value as number);
      greatest![i] = Math.max(greatest![i] as number, value as number);
    },
    merge([least, greatest], i, [otherLeast, otherGreatest], j) {
      least![i] = Math.min(least![i] as number, otherLeast![j] as number);
      greatest![i] = Math.max(greatest![i] as number, otherGreatest![j] as number);
    },
    finalize([least, greatest], i) {
      const width = (greatest![i] as number) - (least![i] as number);
      return Number.isFinite(width) ? width : null;
    },
  }),
});
`;

const definitions = `import { csv, custom, entity, service, view } from "varve";
import { spread } from "./spread.ts";
const trips = csv("trips.csv", {
  eventTimestamp: "at",
  schema: { driver: "string", at: "timestamp", amount: "float64" },
});
const windows = trips.by(entity("driver", { driver: "string" })).aggregate({ spread: custom(spread, "amount") }, { windows: ["5d"] });
export const spreads = view("spreads", windows, { schedule: "1d", start: "2001-01-01", online: true });
export const model = service("model", [spreads]);
`;

async function open(env: Record<string, string> = {}): Promise<Project> {
  const project = await Project.open(env);
  onTestFinished(() => project.close());
  await writeFile(join(project.folder, "spread.ts"), aggregation);
  await writeFile(join(project.folder, "definitions.ts"), definitions);
  return project;
}

describe("aggregations of users in processes", () => {
  it("are known to every command once the configuration names their module", async () => {
    const project = await open({ VARVE_MODULES: "./spread.ts" });
    const applied = await project.run("apply", "definitions.ts");
    expect([applied.code, applied.err.replace(/[^\n]*\r/g, "")]).toMatchObject([
      0,
      expect.not.stringContaining("Cannot"),
    ]);
    expect((await project.run("status")).out).toContain("spreads");
    expect(await project.run("skew", "spreads")).toMatchObject({ code: 0 });

    const up = project.start("up");
    expect(await askAmount(urlIn(await up.line(/http:/)))).toEqual({ status: 200, features: [3] });
    await up.stop();
  });

  it("are missed in words where it does not, and where the module is not there", async () => {
    const project = await open();
    await project.run("apply", "definitions.ts");
    expect((await project.run("skew", "spreads")).err).toMatch(
      /this process has no such function.*call registerAggregation/,
    );
    project.env["VARVE_MODULES"] = "none.ts, spread.ts";
    const { code, err } = await project.run("status");
    expect([code, err]).toEqual([1, expect.stringMatching(/^Cannot load module \S+none\.ts: there is no such file/)]);
  });
});

const rows = `import { count, entity, fromRows, last, service, view } from "varve";
const rows = fromRows([
  { u: 1n, at: new Date("2001-01-01T08:00Z"), words: ["a", null], spent: 0.5 },
  { u: 1n, at: new Date("2001-01-03T08:00Z"), words: null, spent: null },
], { eventTimestamp: "at", schema: { u: "int64", at: "timestamp", words: { list: "string" }, spent: "float64" } });
const features = rows.by(entity("u", { u: "int64" })).aggregate({ n: count(), spent: last("spent") }, { windows: ["30d"] });
const counts = view("counts", features, { schedule: "1d", start: "2001-01-01", online: true });
const raw = view("raw", rows.by(entity("u", { u: "int64" })), { schedule: "1d", start: "2001-01-01", online: true });
export const model = service("model", [counts, raw]);
`;

describe("rows that a file of definitions holds", () => {
  it("are stored by a command, be it TypeScript or JavaScript, and the same", async () => {
    const project = await Project.open();
    onTestFinished(() => project.close());
    await writeFile(join(project.folder, "rows.ts"), rows);
    await writeFile(join(project.folder, "rows.mjs"), rows);
    const planned = await project.run("plan", "rows.ts");
    expect(planned).toMatchObject({ code: 0, out: expect.stringContaining("+ view counts, version 1") });
    expect((await project.run("plan", "rows.mjs")).out).toBe(planned.out);
    const applied = await project.run("apply", "rows.ts");
    expect(applied).toMatchObject({ code: 0, out: expect.stringMatching(/Done: 4 rows computed/) });
    expect((await project.run("plan", "rows.mjs")).out).toMatch(/No changes/i);
  });
});
