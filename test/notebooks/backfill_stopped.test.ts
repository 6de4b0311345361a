/** A backfill that a cell waits for is stopped, or its kernel dies: the page says what becomes of it, and applying again finishes it. */
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CellOutput, type CellResult, JupyterKernel } from "../support/jupyter.ts";

const root = join(import.meta.dirname, "../..");

const definitions = `
import { col, connect, count, entity, ManualClock, mean, parquet, view } from "varve";
const flights = parquet("../node_modules/vega-datasets/data/flights-3m.parquet", {
  eventTimestamp: "date",
  schema: { date: "timestamp", delay: "int64", distance: "int64", origin: "string", destination: "string" },
});
const hours = view(
  "hours",
  flights.by(entity("airport", { origin: "string" })).aggregate({ flights: count() }, { windows: ["3h"], every: "1h" }),
  { schedule: "1h", start: "2001-01-01", online: true },
);
const store = await connect({ clock: new ManualClock("2001-01-15"), workspace: "stopped" });
const plan = await store.publish(hours);`;
const slices = 14 * 24;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-stopped-"));
  for (const name of ["node_modules", "deno.json", "sdk", "cluster"]) {
    await symlink(join(root, name), join(folder, name));
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const textOf = (outputs: readonly CellOutput[]) => JSON.stringify(outputs.map(({ data }) => data));

/** Applies the plan, and does something to the kernel once the first slices are computed. */
function applied(kernel: JupyterKernel, act: () => void): Promise<CellResult> {
  let hasBegun = false;
  return kernel.run("const applied = await plan.apply();\napplied;", {
    onOutput(output) {
      if (hasBegun || !new RegExp(`[1-9]\\d*/${slices} slices`).test(textOf([output]))) return;
      hasBegun = true;
      act();
    },
  });
}

/** What is missing is computed, and then nothing is. */
async function finishes(kernel: JupyterKernel): Promise<void> {
  const again = await kernel.run("const again = await plan.apply();\nagain;");
  expect(again.status, textOf(again.outputs)).toBe("ok");
  const counted = "const { views: [state] } = await store.status();\nconsole.log(JSON.stringify(state.versions));";
  expect(textOf((await kernel.run(counted)).shown)).toMatch(
    new RegExp(String.raw`serving.*slicesDone[\\"]+:${slices},.*upToDate[\\"]+:true`),
  );
  const empty = await kernel.run("const next = await store.publish(hours);\nnext;");
  expect(textOf(empty.shown)).toContain("No changes");
  const skew = await kernel.run('const skew = await store.skew("hours", { keys: 50 });\nskew;');
  expect(textOf(skew.shown)).toContain("0 mismatches among");
}

describe.each(["node", "deno"] as const)("a long read in the %s kernel", (name) => {
  it("is cancelled by the stop button, and the kernel has what it had", async () => {
    const path = join(folder, `${name}-read`);
    await mkdir(path);
    const kernel = await JupyterKernel.start(name, path);
    try {
      const long = `import { sql } from "varve";
const kept = "kept";
const all = sql("select count(*) as n from range(1000000) a, range(1000000) b where hash(a.range, b.range) = 1", {});`;
      expect((await kernel.run(long)).status).toBe("ok");
      const read = 'console.log("reading");\nawait all.rows();';
      const stopped = await kernel.run(read, {
        // Nobody is faster; within the first turn of a cell the kernel itself is what is stopped.
        onOutput: (output) => textOf([output]).includes("reading") && setTimeout(() => kernel.interrupt(), 500),
      });
      expect(stopped.status).toBe("error");
      expect(textOf(stopped.shown)).toContain("Interrupted: nothing more is read");
      expect(textOf((await kernel.run("console.log(kept);")).shown)).toContain("kept");
    } finally {
      await kernel.close();
    }
  });
});

describe.each(["node", "deno"] as const)("a backfill in the %s kernel", (name) => {
  async function workFolder(of: string): Promise<string> {
    const path = join(folder, `${name}-${of}`);
    await mkdir(path);
    return path;
  }

  it("is cancelled by the stop button, as the cell says, and goes on when the cell is run again", async () => {
    const kernel = await JupyterKernel.start(name, await workFolder("interrupted"));
    try {
      expect((await kernel.run(definitions)).status).toBe("ok");
      const stopped = await applied(kernel, () => kernel.interrupt());
      expect(stopped.status).toBe("error");
      expect(textOf(stopped.shown)).toContain("Interrupted: this work is cancelled");
      const jobs = await kernel.run("const { jobs } = await store.status();\nconsole.log(JSON.stringify(jobs));");
      expect(textOf(jobs.shown)).toContain("cancelled");
      expect(textOf(jobs.shown)).not.toMatch(/active|waiting/);
      await finishes(kernel);
    } finally {
      await kernel.close();
    }
  }, 240_000);

  it("outlives its kernel: nothing of it is in the way of the next one", async () => {
    const work = await workFolder("killed");
    let kernel = await JupyterKernel.start(name, work);
    try {
      expect((await kernel.run(definitions)).status).toBe("ok");
      await expect(applied(kernel, () => kernel.signal("SIGKILL"))).rejects.toThrow("the kernel died");
      await kernel.close();
      kernel = await JupyterKernel.start(name, work);
      expect((await kernel.run(definitions)).status).toBe("ok");
      await finishes(kernel);
    } finally {
      await kernel.close();
    }
  }, 240_000);

  it("is finished by another kernel while its own sleeps, which finds it done when it wakes", async () => {
    const work = await workFolder("overtaken");
    const [sleeper, other] = await Promise.all([JupyterKernel.start(name, work), JupyterKernel.start(name, work)]);
    try {
      expect((await sleeper.run(definitions)).status).toBe("ok");
      const overtakes = async () => {
        expect((await other.run(definitions)).status).toBe("ok");
        await finishes(other);
      };
      let overtaken: Promise<void> = Promise.reject(new Error("it was done before it could sleep"));
      overtaken.catch(() => undefined);
      const slept = await applied(sleeper, () => {
        sleeper.signal("SIGSTOP");
        overtaken = overtakes().finally(() => sleeper.signal("SIGCONT"));
        overtaken.catch(() => undefined);
      });
      await overtaken;
      expect(slept.status, textOf(slept.outputs)).toBe("ok");
      await finishes(sleeper);
    } finally {
      await Promise.all([sleeper.close(), other.close()]);
    }
  }, 240_000);

  it("does not mind that the computer sleeps", async () => {
    const kernel = await JupyterKernel.start(name, await workFolder("asleep"));
    try {
      expect((await kernel.run(definitions)).status).toBe("ok");
      const slept = await applied(kernel, () => {
        kernel.signal("SIGSTOP");
        setTimeout(() => kernel.signal("SIGCONT"), 3_000);
      });
      expect(slept.status, textOf(slept.outputs)).toBe("ok");
      expect(textOf(slept.shown)).toContain(`${slices}/${slices} slices`);
      await finishes(kernel);
    } finally {
      await kernel.close();
    }
  }, 240_000);
});
