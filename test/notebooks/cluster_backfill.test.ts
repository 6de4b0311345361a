/** A backfill that workers of a cluster do while a cell waits for it: it goes on without the kernel, and stops when it is told to. */
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Project } from "../cluster/cli/command.ts";
import { type CellOutput, JupyterKernel } from "../support/jupyter.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

const root = join(import.meta.dirname, "../..");
const slices = 14 * 24;
/** Longer than a lease of 5 s and the looks at leases every 2 s. */
const longMs = 10_000;

let redis: RedisServer;
let folder: string;
let project: Project;
beforeAll(async () => {
  redis = await startRedis({ config: { "maxmemory-policy": "noeviction" } });
  folder = await mkdtemp(join(tmpdir(), "varve-cells-cluster-"));
  for (const name of ["node_modules", "deno.json", "sdk", "cluster"]) {
    await symlink(join(root, name), join(folder, name));
  }
});
afterAll(async () => {
  await project?.close();
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

const textOf = (outputs: readonly CellOutput[]) => JSON.stringify(outputs.map(({ data }) => data));

const definitions = (workspace: string) => `
import { count, entity, ManualClock, parquet, view } from "varve";
import { connect } from "@varve/cluster";
const flights = parquet("../node_modules/vega-datasets/data/flights-3m.parquet", {
  eventTimestamp: "date",
  schema: { date: "timestamp", delay: "int64", distance: "int64", origin: "string", destination: "string" },
});
const hours = view(
  "hours",
  flights.by(entity("airport", { origin: "string" })).aggregate({ flights: count() }, { windows: ["3h"], every: "1h" }),
  { schedule: "1h", start: "2001-01-01", online: true },
);
const store = await connect({
  storage: ${JSON.stringify(join(folder, "store"))},
  redis: ${JSON.stringify(redis.url)},
  workspace: "${workspace}",
  clock: new ManualClock("2001-01-15"),
});
const plan = await store.publish(hours);`;

/** Applies the plan, and does something once the first slices are computed. */
async function applied(kernel: JupyterKernel, act: () => void) {
  let hasBegun = false;
  return await kernel.run("const applied = await plan.apply();\napplied;", {
    onOutput(output) {
      if (hasBegun || !new RegExp(`[1-9]\\d*/${slices} slices`).test(textOf([output]))) return;
      hasBegun = true;
      act();
    },
  });
}

const isDone = new RegExp(String.raw`slicesDone[\\"]+:${slices},.*upToDate[\\"]+:true`);
async function stateOf(kernel: JupyterKernel): Promise<string> {
  const cell = "const { views: [state] } = await store.status();\nconsole.log(JSON.stringify(state.versions));";
  return textOf((await kernel.run(cell)).shown);
}

async function isRight(kernel: JupyterKernel): Promise<void> {
  expect(await stateOf(kernel)).toMatch(isDone);
  const skew = await kernel.run('const skew = await store.skew("hours", { keys: 50 });\nskew;');
  expect(textOf(skew.shown)).toContain("0 mismatches among");
}

describe.each(["node", "deno"] as const)("a backfill by workers for a cell of the %s kernel", (name) => {
  const open = async (workspace: string) => {
    await project?.close();
    project = await Project.open({
      VARVE_STORAGE: join(folder, "store"),
      VARVE_REDIS: redis.url,
      VARVE_WORKSPACE: workspace,
      VARVE_CLOCK: "2001-01-15",
    });
    const worker = project.start("worker");
    await worker.line(/^varve worker \S+ is up/);
    const work = join(folder, workspace);
    await mkdir(work, { recursive: true });
    return { worker, work };
  };

  it("goes on while the kernel sleeps for longer than any lease, and is shown as done when it wakes", async () => {
    const { work } = await open(`${name}-slept`);
    const kernel = await JupyterKernel.start(name, work);
    try {
      expect((await kernel.run(definitions(`${name}-slept`))).status).toBe("ok");
      const slept = await applied(kernel, () => {
        kernel.signal("SIGSTOP");
        setTimeout(() => kernel.signal("SIGCONT"), longMs);
      });
      expect(slept.status, textOf(slept.outputs)).toBe("ok");
      expect(textOf(slept.shown)).toContain(`${slices}/${slices} slices`);
      await isRight(kernel);
    } finally {
      await kernel.close();
    }
  }, 240_000);

  it("goes on when the kernel dies", async () => {
    const { work } = await open(`${name}-died`);
    let kernel = await JupyterKernel.start(name, work);
    try {
      expect((await kernel.run(definitions(`${name}-died`))).status).toBe("ok");
      await expect(applied(kernel, () => kernel.signal("SIGKILL"))).rejects.toThrow("the kernel died");
      await kernel.close();
      kernel = await JupyterKernel.start(name, work);
      expect((await kernel.run(definitions(`${name}-died`))).status).toBe("ok");
      await expect.poll(() => stateOf(kernel), { timeout: 60_000, interval: 500 }).toMatch(isDone);
      await isRight(kernel);
    } finally {
      await kernel.close();
    }
  }, 240_000);

  it("is cancelled by the stop button, as the cell says, and goes on when the cell is run again", async () => {
    const { work } = await open(`${name}-stopped`);
    const kernel = await JupyterKernel.start(name, work);
    try {
      expect((await kernel.run(definitions(`${name}-stopped`))).status).toBe("ok");
      const stopped = await applied(kernel, () => kernel.interrupt());
      expect(stopped.status).toBe("error");
      expect(textOf(stopped.shown)).toContain("Interrupted: this work is cancelled");
      const again = await kernel.run("const again = await plan.apply();\nagain;");
      expect(again.status, textOf(again.outputs)).toBe("ok");
      await isRight(kernel);
    } finally {
      await kernel.close();
    }
  }, 240_000);
});
