/** `varve explain`: why a value is what it is, from a terminal. */
import { expect, it, onTestFinished } from "vitest";
import { Project } from "./command.ts";

it("prints the value of a key, the rows behind it, and those left out by rule", async () => {
  const project = await Project.open();
  onTestFinished(() => project.close());
  expect((await project.run("apply", "definitions.ts")).code).toBe(0);
  const found = await project.run("explain", "model", "driver=x", "--at", "2001-01-03T12:00Z");
  expect([found.code, found.err]).toEqual([0, ""]);
  expect(found.out).toContain("driver = x at 2001-01-03T12:00:00Z, as it is stored");
  expect(found.out).toMatch(/^amount +2 +PRESENT +1 +2 +driver_amounts, version 1 *$/m);
  expect(found.out).toMatch(/^S3 +1 +an older row *$/m);
  expect(found.out).toMatch(/^S3 +1 +after the instant that is asked for *$/m);
  const json = JSON.parse((await project.run("explain", "driver_amounts", "driver=", "--json")).out) as object;
  expect(json).toMatchObject({
    keys: { driver: null },
    from: "offline",
    features: [{ feature: "amount", status: "NULL_KEY" }],
  });
  expect(await project.run("explain", "model", "x")).toMatchObject({
    code: 1,
    err: 'Cannot read "x" as a name with its value: write it as origin=ATL\n',
  });
});
