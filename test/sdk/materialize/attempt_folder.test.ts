import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { makeAttemptFolder } from "../../../sdk/materialize/attempt_folder.ts";

it("makeAttemptFolder() removes what killed processes of this computer left, and nothing else", async () => {
  const folder = await mkdtemp(join(tmpdir(), "varve-attempts-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const dead = spawnSync(process.execPath, ["-e", ""]).pid;
  const names = [`${hostname()}~${dead}~a`, `${hostname()}~${process.ppid}~b`, `elsewhere~${dead}~c`, "mine"];
  for (const name of names) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, "part.parquet"), "rows");
  }
  const first = await makeAttemptFolder(folder);
  const second = await makeAttemptFolder(folder);
  expect(first).not.toBe(second);
  const kept = [...names.slice(1).map((name) => join(folder, name)), first, second];
  expect((await readdir(folder)).map((name) => join(folder, name)).sort()).toEqual(kept.sort());
});
