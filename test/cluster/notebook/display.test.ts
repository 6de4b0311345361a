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
  });
  afterAll(async () => {
    await kernel.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Shows a view until it says something: a computer that has much else to do may not read a sample in time. */
  async function looked(code: string, text: string): Promise<readonly CellOutput[]> {
    for (;;) {
      const { shown } = await kernel.run(code, {
        until: (found) => /serves|not published/.test(last(found, "text/html")),
      });
      if (last(shown, "text/html").includes(text)) return shown;
    }
  }

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
    const views = await looked("amounts", "of the source");
    expect(views).toHaveLength(1);
    expect(last(views, "text/html")).toContain("feature view amounts");
    expect(last(views, "text/html")).toContain("not published in workspace default");
    expect(last(views, "text/html")).toMatch(/<meter min="0" max="1" value="0.5000"><\/meter> 50.0 %/);
    expect(last(views, "text/plain")).toMatch(/^amount +float64 +50.0 % +█/m);
    expect(last(views, "text/plain")).toContain("values: 2 rows of the source · 2001-01-01 to 2001-01-02");
    expect(last((await kernel.run('service("model", [amounts])')).shown, "text/html")).toContain("amounts.amount");
    await kernel.run("const plan = await amounts.publish(store);");
    const { shown } = await kernel.run("plan");
    expect(last(shown, "text/html")).toContain("4 slices to compute, about 1 s for one process");
    expect(last(shown, "text/plain")).toContain("+ view amounts");
  });

  it("replaces one bar in place while a plan is applied, and leaves a summary", async () => {
    const { shown, status } = await kernel.run("const applied = await plan.apply();");
    expect(status).toBe("ok");
    expect(shown).toHaveLength(1);
    expect(last(shown, "text/html")).toContain('<progress max="1" value="1">');
    expect(last(shown, "text/plain")).toMatch(/amounts +100% +4\/4 slices, 2 rows/);
  });

  it("shows a published view with its freshness, nulls and values", async () => {
    const shown = await looked("amounts", "of version 1");
    expect(shown).toHaveLength(1);
    expect(last(shown, "text/html")).toMatch(/version 1 serves · up to 2001-01-05, 0s ago · 2 rows/);
    expect(last(shown, "text/html")).toMatch(/<meter min="0" max="1" value="0.5000"><\/meter> 50.0 %/);
    expect(last(shown, "text/plain")).toMatch(/^amount +float64 +50.0 % +█/m);
  });

  it("shows what was applied, the store, profiles and DataFrames", async () => {
    expect(last((await kernel.run("applied")).shown, "text/html")).toContain("amounts");
    await kernel.run("const now = await store.status();");
    expect(last((await kernel.run("now")).shown, "text/html")).toContain("4 of 4");
    await kernel.run("const profile = await store.profile(amounts);");
    const { shown } = await kernel.run("profile");
    expect(last(shown, "text/html")).toContain("profile of view amounts version 1 · 2 rows · 1 keys of city");
    await kernel.run('const picture = profile.plot.overTime("amount");');
    const drawn = (await kernel.run("picture", { until: (found) => found.at(-1)?.data["image/svg+xml"] !== undefined }))
      .shown;
    expect(last(drawn, "image/svg+xml")).toContain("<svg");
    expect(drawn.at(-1)!.data["application/vnd.vegalite.v5+json"]).toMatchObject({ layer: [{}, {}] });
    await kernel.run("const polars = await frame.collect(); const high: number = polars.height;");
    const html = last((await kernel.run("polars")).shown, "text/html");
    expect(html).toContain("2 rows × 3 columns");
    expect(html).toContain("<nobr>2001-01-02 06:00:00</nobr>");
    expect(last((await kernel.run("console.log(polars)")).shown, "stdout")).toContain("shape: (2, 3)");
    expect(await kernel.run('import { table } from "varve"; table(polars)')).toMatchObject({
      shown: [{ data: { "text/html": html } }],
    });
  });

  it("tells an error in its words, without a stack", async () => {
    const { status, shown } = await kernel.run('frame.drop("amuont" as never)');
    expect(status).toBe("error");
    expect(shown).toHaveLength(1);
    const told = JSON.stringify(shown[0]!.data);
    expect(told).toContain("columns are city, at, amount");
    expect(told).not.toContain("    at ");
    expect(told).not.toContain("schema.js");
  });
});
