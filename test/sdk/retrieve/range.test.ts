import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDuckDbEngine } from "../../../sdk/engine/duckdb.ts";
import type { Engine } from "../../../sdk/engine/engine.ts";
import { preview, rangeRead } from "../../../sdk/retrieve/range.ts";
import type { Row } from "../../../sdk/schema.ts";
import type { Timestamp } from "../../../sdk/time.ts";
import { pointInTimeOracle } from "../../oracle/point_in_time.ts";
import { hour, inFile, origin, pointInTimeCase, type ViewCase } from "./cases.ts";

let engine: Engine;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "varve-range-"));
  engine = createDuckDbEngine({ threads: 2, tempDirectory: folder });
});

afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Every key of a view, asked for at one instant: what the oracle says of those that have a value then. */
function valuesAt(view: ViewCase, at: bigint): Row[] {
  const names = view.oracle.joinKeys;
  const keys = new Map(view.rows.map((row) => [JSON.stringify(names.map((name) => String(row[name]))), row]));
  const spine = [...keys.values()].filter((row) => names.every((name) => row[name] !== null))
    .map((row) => ({ ...Object.fromEntries(names.map((name) => [name, row[name]])), ts: at }));
  const oracle = {
    ...view.oracle,
    joinKeyMap: {},
    features: view.oracle.features.map((feature) => ({ ...feature, as: feature.feature })),
  };
  return pointInTimeOracle(spine, [oracle], "effective").filter((row) => row[`${oracle.alias}__status`] === "PRESENT")
    .map((row) => Object.fromEntries([...names, "x", "s", "position", "until"].map((name) => [name, row[name]])));
}

const text = (row: Row) => JSON.stringify(row, (_, value) => typeof value === "bigint" ? `${value}n` : value);
const sorted = (rows: readonly Row[]) => rows.map(text).sort();

const runs = process.env["VARVE_DEEP"] ? 500 : 20;
const timeout = process.env["VARVE_DEEP"] ? 3_600_000 : 120_000;

async function written(view: ViewCase, name: string): Promise<ViewCase> {
  const session = await engine.session();
  try {
    return await inFile(session, view, folder, name);
  } finally {
    session.close();
  }
}

let number = 0;

describe("rangeRead()", () => {
  it(
    "holds at every instant the value that a spine row of that instant gets, and nothing else (S3, S4, S6)",
    async () => {
      await fc.assert(
        fc.asyncProperty(pointInTimeCase, async (test) => {
          const view = await written(test.views[0]!, `range${number++}`);
          const range = { start: origin + hour, end: origin + 9n * hour };
          const { session, relation } = await rangeRead(engine, view.read, undefined, range, { from: "source" });
          const rows = await session.rows(relation.sql);
          session.close();
          for (const { valid_from, valid_to } of rows) {
            expect((valid_from as Timestamp).micros).toBeGreaterThanOrEqual(range.start);
            expect((valid_to as Timestamp).micros).toBeLessThanOrEqual(range.end);
          }
          for (let at = range.start; at < range.end; at += hour / 2n) {
            for (const instant of [at, at + hour / 2n - 1n]) {
              const valid = rows.filter((row) =>
                (row["valid_from"] as Timestamp).micros <= instant && (row["valid_to"] as Timestamp).micros > instant
              )
                .map(({ valid_from: _from, valid_to: _to, ...row }) => row);
              expect(sorted(valid)).toEqual(sorted(valuesAt(view, instant)));
            }
          }
        }),
        { numRuns: runs },
      );
    },
    timeout,
  );
});

describe("preview()", () => {
  it("shows what each key would have, without publishing anything", async () => {
    await fc.assert(
      fc.asyncProperty(pointInTimeCase, async (test) => {
        const view = await written(test.views[0]!, `preview${number++}`);
        const at = test.spine[0]!["ts"] as bigint;
        const { session, relation } = await preview(engine, view.definition, { at });
        expect(sorted(await session.rows(relation.sql))).toEqual(sorted(valuesAt(view, at)));
        session.close();
      }),
      { numRuns: runs },
    );
  }, timeout);

  it("shows as many keys as asked for, and refuses to show none", async () => {
    const views = fc.sample(pointInTimeCase, { seed: 3, numRuns: 50 }).flatMap((test) => test.views);
    const at = origin + 20n * hour;
    const view = await written(views.find((item) => valuesAt(item, at).length > 2)!, "limit");
    const { session, relation } = await preview(engine, view.definition, { at, limit: 2 });
    expect(await session.rows(relation.sql)).toHaveLength(2);
    session.close();
    await expect(preview(engine, view.definition, { at, limit: 0 })).rejects.toThrow(
      /Cannot preview 0 keys .* limit is a whole number from 1 on/,
    );
  });
});
