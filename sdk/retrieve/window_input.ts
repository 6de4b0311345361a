/** Where the rows of a view of aggregates come from in a training read: its source, or its offline table. */
import { type EngineSession, quoteName } from "../engine/engine.ts";
import { VarveError } from "../errors.ts";
import type { DeltaSnapshot, DeltaTable } from "../storage/delta_format.ts";
import type { TimeRange } from "../time.ts";
import type { FeatureRead } from "./feature_read.ts";
import { coverageWarning, offlineRows, type Reach } from "./offline_rows.ts";
import type { AsOf } from "./point_in_time.ts";
import type { SpineTable } from "./spine_table.ts";
import type { PlannedWindows } from "./window_join.ts";
import { type WindowPlan, windowPlan, windowReach } from "./window_plan.ts";
import { sourceWindowRows, storedWindowRows } from "./window_rows.ts";

/** Windows over rows that are computed from the view's source. */
export async function sourceWindows(
  session: EngineSession,
  spine: SpineTable,
  plan: WindowPlan,
  signal?: AbortSignal,
): Promise<PlannedWindows> {
  return { plan, rows: sourceWindowRows(session, plan, await spineReach(session, spine, plan, signal)) };
}

/** Windows over what one version of the view's table holds. */
export async function storedWindows(
  session: EngineSession,
  spine: SpineTable,
  plan: WindowPlan,
  table: DeltaTable,
  snapshot: DeltaSnapshot,
  signal?: AbortSignal,
): Promise<PlannedWindows> {
  const range = await spineReach(session, spine, plan, signal);
  if (!range) return { plan, rows: storedWindowRows(session, plan, [], undefined) };
  const options = { statuses: false, effectiveTimestamps: false, signal };
  const { newest, expired } = reachOf(range);
  const { files } = await offlineRows(table, snapshot, { newest, expired: expired! - 1n }, options);
  return { plan, rows: storedWindowRows(session, plan, files, range) };
}

/** What is not materialized of what windows reach. */
export async function windowsWarning(
  session: EngineSession,
  spine: SpineTable,
  plan: WindowPlan,
  read: FeatureRead,
  snapshot: DeltaSnapshot,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const range = await spineReach(session, spine, plan, signal);
  return range && coverageWarning(read, snapshot, reachOf(range));
}

/** The plan of a read; UNSUPPORTED where tables do not hold what it needs. */
export function plannedRead(read: FeatureRead, asOf: AsOf, from: "offline" | "source"): WindowPlan | undefined {
  const view = read.definition;
  if (view.mode !== "aggregates") return undefined;
  if (from === "offline" && asOf === "event" && view.edge === "fresh") {
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot read view "${view.name}" by event time from: "offline": its windows end at any instant, and its table holds tiles of ${view.every}; give { from: "source" }`,
      { details: { view: view.name } },
    );
  }
  return windowPlan(view, read.features.map(({ feature }) => feature), asOf);
}

function reachOf({ start, end }: TimeRange): Reach {
  return { newest: end - 1n, expired: start };
}

async function spineReach(
  session: EngineSession,
  { table, eventTimestamp }: SpineTable,
  plan: WindowPlan,
  signal?: AbortSignal,
): Promise<TimeRange | undefined> {
  const time = quoteName(eventTimestamp);
  const [row] = await session.rows(
    `SELECT epoch_us(min(${time}))::VARCHAR AS first, epoch_us(max(${time}))::VARCHAR AS last FROM ${table}`,
    signal,
  );
  return windowReach(plan, BigInt(row!["first"]), BigInt(row!["last"]));
}
