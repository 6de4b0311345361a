/** Compares what a cluster has stored and serves with plain loops over all source rows. */
import { expect } from "vitest";
import type { OnlineDetails } from "../../sdk/store_types.ts";
import { Timestamp } from "../../sdk/time.ts";
import { type OracleRow, pointInTimeOracle } from "../oracle/point_in_time.ts";
import { storedRows } from "../oracle/stored_rows.ts";
import type { ChaosCluster, Serving } from "./chaos_cluster.ts";
import { type Chance, type ChaosRow, drivers, minute, origin, stable, zones } from "./chaos_source.ts";
import { type Factors, joinedView, storedView, type ViewName, viewNames } from "./chaos_views.ts";

/** What is to be true. */
export interface Expected {
  readonly rows: readonly ChaosRow[];
  /** Of the versions that serve. */
  readonly factors: Factors;
  readonly serving: Serving;
}

/** The tables: each closed slice once, and in it what the source says (S3, S4). */
export async function checkStored(cluster: ChaosCluster, expected: Expected): Promise<void> {
  for (const name of viewNames) {
    const view = storedView(name, expected.factors[name]);
    const now = cluster.clock.now();
    const table = cluster.parts.table(name, expected.serving[name]!);
    const snapshot = await table.snapshot();
    const closed = (now - view.dataDelay) / view.schedule - view.start / view.schedule;
    expect(snapshot.slices.size, `slices of ${name}`).toBe(Number(closed));
    const paths = await table.localPaths(snapshot.files);
    const session = await (await cluster.parts.engine()).session();
    try {
      const found = await session.rows(`SELECT * FROM read_parquet([${paths.map((path) => `'${path}'`).join(", ")}])`);
      const wanted = storedRows(view, expected.rows as unknown as OracleRow[], now);
      expect(found.map(plain).sort(), `rows of ${name}`).toEqual(wanted.map(plain).sort());
    } finally {
      session.close();
    }
  }
}

/** Training sets, values online, and the server's answers: the same as the oracle's, and so the same as each other. */
export async function checkServed(cluster: ChaosCluster, expected: Expected, chance: Chance): Promise<void> {
  const now = cluster.clock.now();
  const views = viewNames.map((name) => joinedView(name, expected.factors[name], expected.rows, now));
  const keys = [...drivers, stable.driver, "nobody", null].flatMap((driver) =>
    [...zones, stable.zone, null].map((zone) => ({ driver, zone }))
  );
  const at = () => origin + BigInt(chance.whole(0, Number((now - origin) / minute))) * minute;
  const spine = keys.flatMap((key) => [{ ...key, ts: at() }, { ...key, ts: at() }, { ...key, ts: now }]);
  const wanted = pointInTimeOracle(spine, views, "effective");
  const trained =
    await (await cluster.store.train("model", spine.map((row) => ({ ...row, ts: new Timestamp(row.ts) })), {
      statuses: true,
      effectiveTimestamps: true,
      schema: { driver: "string", zone: "int64", ts: "timestamp" },
    })).rows();
  expect(trained.map(plain)).toEqual(wanted.map(plain));

  const served = pointInTimeOracle(keys.map((key) => ({ ...key, ts: now })), views, "effective").map(onlineForm);
  expect(onlineRows(await cluster.store.onlineDetails("model", keys, { at: new Timestamp(now) }))).toEqual(served);
  // A server looks for new loads a few times a second.
  await expect.poll(() => askAll(cluster, keys)).toEqual(served);
}

async function askAll(cluster: ChaosCluster, keys: readonly { driver: string | null; zone: bigint | null }[]) {
  const answers = [];
  for (const { driver, zone } of keys) {
    const answer = await cluster.ask({ driver, zone: zone === null ? null : String(zone) });
    answers.push({ ...answer, statuses: answer.statuses?.map(onlineStatus) });
  }
  return answers;
}

function onlineRows({ answers }: OnlineDetails): unknown[] {
  return answers.map(({ values, statuses }) => ({
    status: 200,
    features: values,
    statuses: statuses.map(onlineStatus),
  }));
}

function onlineForm(row: OracleRow): unknown {
  const [daily, hourly] = [onlineStatus(row["daily__status"]), onlineStatus(row["hourly__status"])];
  return {
    status: 200,
    features: [row["day_amount"], row["day_note"], row["hour_amount"]],
    statuses: [daily, daily, hourly],
  };
}

/** Values past their ttl may or may not have been loaded (S6): online they are gone either way. */
function onlineStatus(status: unknown): unknown {
  return status === "EXPIRED" ? "MISSING" : status;
}

/** One text per row, whatever the form of its instants and whole numbers. */
function plain(row: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(row).map(([name, value]) => {
    if (value === null || value === undefined) return [name, null];
    if (value instanceof Timestamp) return [name, String(value.micros)];
    return [name, typeof value === "bigint" ? String(value) : value];
  });
  return JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => String(a) < String(b) ? -1 : 1)));
}

/** Which view an event time touches, and where its slice starts. */
export function sliceStart(name: ViewName, at: bigint): bigint {
  return at - at % storedView(name, 1).schedule;
}
