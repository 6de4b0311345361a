import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CellOutput, JupyterKernel } from "../../support/jupyter.ts";

const root = join(import.meta.dirname, "../../..");

/** The last thing on the page, by mime type. */
const last = (shown: readonly CellOutput[], mime: string) => String(shown.at(-1)?.data[mime]);

describe.each(["node", "deno"] as const)("the %s kernel", (name) => {
  let kernel: JupyterKernel;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "varve-display-"));
    kernel = await JupyterKernel.start(name, join(root, "notebooks"));
    const { outputs } = await kernel.run(`
      import { col, connect, entity, fromRows, view, service, ManualClock } from "varve";
      const rows = [
        { city: "Ulm & <b>", at: new Date("2001-01-01T06:00Z"), amount: 1.5 },
        { city: "Ulm & <b>", at: new Date("2001-01-02T06:00Z"), amount: null },
      ];
      const frame = fromRows(rows, { eventTimestamp: "at", schema: { city: "string", at: "timestamp", amount: "float64" } });
      const city = entity("city", { city: "string" });
      const amounts = view("amounts", frame.by(city), { schedule: "1d", start: "2001-01-01", online: true });
      const clock = new ManualClock("2001-01-05");
      const store = await connect({ path: ${JSON.stringify(folder)}, clock });`);
    expect(outputs).toEqual([]);
  }, 60_000);
  afterAll(async () => {
    await kernel.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("shows a frame as a table with types, rows and their number", async () => {
    const { shown } = await kernel.run("frame", { until: (found) => last(found, "text/html").includes("2 rows") });
    expect(shown).toHaveLength(1);
    const html = last(shown, "text/html");
    expect(html).toContain("<table>");
    expect(html).toContain("amount<br>float64");
    expect(html).toContain("Ulm &#38; &#60;b&#62;");
    expect(html).not.toContain("<b>");
    expect(html).toContain("2 rows × 3 columns");
    expect(last(shown, "text/plain")).toMatch(/^city +at +amount$/m);
  });

  it("prints the same frame as text", async () => {
    const { shown } = await kernel.run("console.log(frame)");
    expect(shown).toHaveLength(1);
    expect(String(shown[0]!.data["stdout"])).toMatch(/^memory\(2 rows/);
  });

  it("shows views, services and plans", async () => {
    expect(last((await kernel.run("amounts")).shown, "text/html")).toContain("feature view amounts");
    expect(last((await kernel.run('service("model", [amounts])')).shown, "text/html")).toContain("amounts.amount");
    await kernel.run("const plan = await amounts.publish(store);");
    const { shown } = await kernel.run("plan");
    expect(last(shown, "text/html")).toContain("4 slices to compute");
    expect(last(shown, "text/plain")).toContain("+ view amounts");
  });

  it("replaces one bar in place while a plan is applied, and leaves a summary", async () => {
    const { shown, status } = await kernel.run("const applied = await plan.apply();");
    expect(status).toBe("ok");
    expect(shown).toHaveLength(1);
    expect(last(shown, "text/html")).toContain('<progress max="1" value="1">');
    expect(last(shown, "text/plain")).toMatch(/amounts +100% +4\/4 slices, 2 rows/);
  });
});
