/** Rows of a view out of its offline table: which version, which files, and what is not there yet. */
import { type EngineSession, quoteName } from "../engine/engine.ts";
import { VarveError } from "../errors.ts";
import type { DeltaSnapshot, DeltaTable } from "../storage/delta_format.ts";
import { alignDown, alignUp, formatRange, type Micros, type TimeRange } from "../time.ts";
import { type FeatureRead, timing } from "./feature_read.ts";
import { cutoffSql, type PointInTimeOptions } from "./point_in_time.ts";
import type { FeatureFiles } from "./positions.ts";
import { sliceRange } from "./source_rows.ts";
import type { SpineTable } from "./spine_table.ts";

/** Event timestamps that a spine may see. */
export interface Reach {
  /** The newest that any of its rows may see. */
  readonly newest: Micros;
  /** What is at or before this has expired for all of its rows (S6); undefined when nothing expires. */
  readonly expired: Micros | undefined;
}

/** How far a spine reaches into a view. */
export async function reach(
  session: EngineSession,
  spine: SpineTable,
  read: FeatureRead,
  { asOf, signal }: Pick<PointInTimeOptions, "asOf" | "signal">,
): Promise<Reach> {
  const time = `s.${quoteName(spine.eventTimestamp)}`;
  const [row] = await session.rows(
    `SELECT max(${
      cutoffSql(read, time, asOf)
    })::VARCHAR AS newest, epoch_us(min(${time}))::VARCHAR AS first FROM ${spine.table} s`,
    signal,
  );
  const { ttl } = timing(read.definition);
  return { newest: BigInt(row!["newest"]), expired: ttl === undefined ? undefined : BigInt(row!["first"]) - ttl };
}

/** The newest version of a view's table, or the given one. */
export async function pinTable(
  table: DeltaTable,
  { definition, version }: FeatureRead,
  tableVersion?: number,
): Promise<DeltaSnapshot> {
  const snapshot = await table.snapshot(tableVersion);
  if (snapshot.version >= 0) return snapshot;
  throw new VarveError(
    "NOT_FOUND",
    `Cannot read view "${definition.name}" version ${version} offline: nothing of it is materialized yet; wait for its backfill, or give { from: "source" }`,
    { details: { view: definition.name, version } },
  );
}

/** The local files that hold rows within reach. Where statuses are wanted expired rows are read too, to be told from missing ones. */
export async function offlineRows(
  table: DeltaTable,
  snapshot: DeltaSnapshot,
  { newest, expired }: Reach,
  { statuses, effectiveTimestamps, signal }: Pick<PointInTimeOptions, "statuses" | "effectiveTimestamps" | "signal">,
): Promise<FeatureFiles> {
  const oldest = statuses || effectiveTimestamps ? undefined : expired;
  const files = snapshot.files.filter((file) =>
    file.minEventTimestamp <= newest && (oldest === undefined || file.maxEventTimestamp > oldest)
  );
  const paths = await table.localPaths(files, signal);
  return { kind: "files", files: files.map((file, i) => ({ ...file, path: paths[i]! })) };
}

/** What is not materialized of the slices that a spine reaches; undefined when all is there. */
export function coverageWarning(
  { alias, definition, version }: FeatureRead,
  snapshot: DeltaSnapshot,
  { newest, expired }: Reach,
): string | undefined {
  const asked = sliceRange(definition, newest + 1n);
  if (!asked) return undefined;
  const { schedule } = timing(definition);
  const start = expired !== undefined && expired > asked.start ? alignDown(expired, schedule) : asked.start;
  const missing = missingRanges(snapshot, { start, end: asked.end }, schedule);
  if (missing.length === 0) return undefined;
  const shown = missing.slice(0, 5).map(formatRange).join(", ");
  const more = missing.length > 5 ? ` and ${missing.length - 5} more` : "";
  return `View "${alias}" version ${version} is not materialized for ${shown}${more} of ${
    formatRange({ start, end: asked.end })
  }: ` +
    `its features ${
      definition.mode === "aggregates"
        ? "do not count the rows of those times"
        : "are null or older there than they should be"
    }; materialize it, or give { from: "source" }`;
}

/** Slices that were never committed, joined to ranges. */
export function missingRanges({ slices }: DeltaSnapshot, { start, end }: TimeRange, schedule: Micros): TimeRange[] {
  const missing: { start: Micros; end: Micros }[] = [];
  for (let slice = alignDown(start, schedule); slice < alignUp(end, schedule); slice += schedule) {
    if (slices.has(slice)) continue;
    const last = missing.at(-1);
    if (last?.end === slice) last.end = slice + schedule;
    else missing.push({ start: slice, end: slice + schedule });
  }
  return missing;
}
