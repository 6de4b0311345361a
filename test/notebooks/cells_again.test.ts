/** Cells that are run out of order, twice, or with another definition, and a file that is gone: the page says it, and nothing is lost. */
import { copyFile, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CellOutput, type CellResult, JupyterKernel } from "../support/jupyter.ts";

const root = join(import.meta.dirname, "../..");
const flights = join(root, "node_modules/vega-datasets/data/flights-3m.parquet");

const sources = `
import { connect, count, entity, ManualClock, max, mean, parquet, view } from "varve";
const flights = parquet("flights.parquet", {
  eventTimestamp: "date",
  schema: { date: "timestamp", delay: "int64", distance: "int64", origin: "string", destination: "string" },
});
const airport = entity("airport", { origin: "string" });
const store = await connect({ clock: new ManualClock("2001-01-03"), workspace: "again" });`;
const hours = (of: string) => `
const hours = view(
  "hours",
  flights.by(airport).aggregate({ late: mean("${of}") }, { windows: ["3h"], every: "1h" }),
  { schedule: "1h", start: "2001-01-01", online: true },
);`;
const publish = "const plan = await store.publish(hours);\nplan;";
const apply = "const applied = await plan.apply();\napplied;";
const ask = 'const answer = await store.online(hours, { origin: "ATL" });\nconsole.log(answer.late_3h);';

const textOf = (outputs: readonly CellOutput[]) => JSON.stringify(outputs.map(({ data }) => data));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-again-"));
  for (const name of ["node_modules", "deno.json", "sdk", "cluster"]) {
    await symlink(join(root, name), join(folder, name));
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(["node", "deno"] as const)("cells of the %s kernel", (name) => {
  let kernel: JupyterKernel;
  let work: string;
  beforeAll(async () => {
    work = join(folder, name);
    await mkdir(work);
    await copyFile(flights, join(work, "flights.parquet"));
    kernel = await JupyterKernel.start(name, work);
  });
  afterAll(() => kernel.close());

  /** A cell that goes well. */
  async function shown(code: string, until?: RegExp): Promise<string> {
    const result = await kernel.run(code, until && { until: (found) => until.test(textOf(found)) });
    expect(result.status, textOf(result.outputs)).toBe("ok");
    return textOf(result.shown);
  }

  /** A cell that fails. */
  async function refused(code: string): Promise<CellResult> {
    const result = await kernel.run(code);
    expect(result.status, textOf(result.outputs)).toBe("error");
    return result;
  }

  it("say what is not there yet when they are run out of order", async () => {
    expect(textOf((await refused(hours("delay"))).shown)).toMatch(/Cannot find name 'view'|view is not defined/);
  });

  it("do nothing the second time", async () => {
    await shown(sources + hours("delay"));
    expect(await shown(publish)).toContain("48 slices to compute");
    expect(await shown(apply)).toContain("48/48 slices");
    expect(await shown(apply), "the same plan").toContain("everything was computed already");
    await shown(sources + hours("delay"));
    expect(await shown(publish)).toContain("No changes");
    expect(await shown(apply), "an empty plan").toContain("everything was computed already");
  });

  it("say that a view that is declared anew is not what is published, and plan the change", async () => {
    const before = await shown(ask);
    const changed = await shown(`${hours("distance")}\nhours;`, /not published as it is here/);
    expect(changed).toContain("not published as it is here: late = mean(delay) -> mean(distance)");
    // What the published one gives is not shown as what this one gives.
    expect(changed).not.toMatch(/values: [^"]*version 1/);
    expect(await shown(publish)).toMatch(/new version 2/);
    expect(await shown(ask)).toBe(before);
  });

  it("refuse a file that is gone, keep what is stored and served, and go on when it is back", async () => {
    const before = await shown(ask);
    await rm(join(work, "flights.parquet"));
    expect(textOf((await refused("const next = await store.publish(hours);")).shown)).toMatch(
      /Cannot read .*flights\.parquet.*: there is no such file/,
    );
    const stopped = await refused("const failed = await plan.apply();");
    expect(textOf(stopped.shown)).toMatch(/Cannot read .*flights\.parquet.*: there is no such file/);
    expect(await shown("const status = await store.status();\nstatus;")).toMatch(/48 of 48.*building +0 of 48/);
    expect(await shown(ask)).toBe(before);
    await copyFile(flights, join(work, "flights.parquet"));
    expect(await shown("const done = await plan.apply();\ndone;")).toContain("48/48 slices");
    expect(await shown('const skew = await store.skew("hours", { keys: 20 });\nskew;')).toContain(
      "0 mismatches among 20 values of view hours version 2",
    );
    expect(await shown(ask)).not.toBe(before);
  });
});
