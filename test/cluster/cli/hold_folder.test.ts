import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { holdFolder } from "../../../cluster/cli/hold_folder.ts";

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "varve-hold-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe("holdFolder()", () => {
  it("lets one hold it at a time, and leaves nothing behind", async () => {
    const path = await folder();
    const hold = await holdFolder(path);
    await expect(holdFolder(path)).rejects.toMatchObject({ code: "CONFLICT", details: { pid: process.pid } });
    await hold.release();
    expect(await readdir(path)).toEqual([]);
    await (await holdFolder(path)).release();
  });

  it.each([
    ["a process that is gone", "2147483646 boot 1"],
    ["a process whose number another one has", `${process.pid} 00000000-0000-0000-0000-000000000000 1`],
    ["nothing that can be read", ""],
    ["something else", "hello\n"],
  ])("is not hindered by the file of %s", async (_, text) => {
    const path = await folder();
    await writeFile(join(path, "up.pid"), text);
    const hold = await holdFolder(path);
    expect(await readFile(join(path, "up.pid"), "utf8")).toMatch(new RegExp(`^${process.pid}\\b`));
    await hold.release();
  });

  it("says that a folder cannot be made", async () => {
    const path = join(await folder(), "file");
    await writeFile(path, "");
    await expect(holdFolder(path)).rejects.toMatchObject({ code: "INVALID_CONFIG" });
  });
});
