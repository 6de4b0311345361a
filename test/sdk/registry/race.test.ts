import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRegistry } from "../../../sdk/registry/registry.ts";
import { localObjectStore } from "../../../sdk/storage/object_local.ts";
import { ManualClock } from "../../../sdk/time.ts";
import { delays } from "../../support/flight_views.ts";

const run = promisify(execFile);
let folder: string;
const clock = new ManualClock("2001-03-01T12:00:00Z");

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-registry-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("two people at one registry", () => {
  it("each in a process of its own: no change is lost, none is there twice, losers are told", async () => {
    const committer = join(import.meta.dirname, "committer.ts");
    const authors = ["ana", "ben"];
    const outputs = await Promise.all(
      authors.map((author) => run(process.execPath, ["--import", "tsx", committer, join(folder, "a"), author, "40"])),
    );
    const outcomes = outputs.map((output) => JSON.parse(output.stdout) as string[]);
    const won = outcomes.flat().filter((outcome) => outcome !== "CONFLICT");
    const registry = openRegistry({
      store: localObjectStore(join(folder, "a")),
      workspace: "prod",
      author: "eve",
      clock,
    });
    const log = await registry.history({ limit: 1000 });
    expect(log.map((change) => `${change.revision}:${change.id}`).sort()).toEqual([...won].sort());
    for (const [i, author] of authors.entries()) {
      // What nobody else touches is never lost to a race.
      expect(outcomes[i]!.filter((outcome, k) => k % 2 === 0 && outcome === "CONFLICT")).toEqual([]);
      expect(Object.keys((await registry.state()).entities).filter((name) => name.startsWith(`${author}_`)))
        .toHaveLength(20);
    }
  });

  it("applying plans of one view at once: one wins, the other is told what changed", async () => {
    const open = (author: string) =>
      openRegistry({ store: localObjectStore(join(folder, "b")), workspace: "prod", author, clock });
    const people = Array.from({ length: 8 }, (_, i) => open(`p${i}`));
    const plans = await Promise.all(
      people.map((each, i) => each.plan([...delays({ schedule: `${i + 1}h` }).definitions], { reason: `try ${i}` })),
    );
    const results = await Promise.allSettled(plans.map((plan) => plan.apply()));
    const winner = results.findIndex((result) => result.status === "fulfilled");
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
    for (const result of results) {
      if (result.status === "fulfilled") continue;
      expect(result.reason.code).toBe("CONFLICT");
      expect(result.reason.message).toContain(`revision 1 by p${winner} at 2001-03-01T12:00:00Z, "try ${winner}"`);
    }
    const again = await people[0]!.plan([...delays({ schedule: `${winner + 1}h` }).definitions]);
    expect(again.isEmpty).toBe(true);
  });
});
