/** What must be stored of a view, as plain loops over all source rows: one row per key and event time of every closed slice. */
import type { OracleRow } from "./point_in_time.ts";

/** A view over rows that have `at` and `written`, in source order. Instants and lengths are micros. */
export interface StoredView {
  readonly name: string;
  readonly joinKeys: readonly string[];
  readonly schedule: bigint;
  readonly dataDelay: bigint;
  readonly start: bigint;
  readonly ttl?: bigint;
  /** The features of a source row. */
  readonly features: (row: OracleRow) => Readonly<Record<string, unknown>>;
}

/** The stored rows at `now`, in no order; of equal key and event time the last written, then the last in the source (S3). */
export function storedRows(view: StoredView, rows: readonly OracleRow[], now: bigint): OracleRow[] {
  const kept = new Map<string, OracleRow>();
  for (const row of rows) {
    const at = row["at"] as bigint | null;
    if (at === null || at < view.start || view.joinKeys.some((key) => row[key] === null)) continue; // S7
    const end = at - at % view.schedule + view.schedule;
    if (end + view.dataDelay > now) continue; // the slice has not closed (S4)
    const id = view.joinKeys.map((key) => `${String(row[key]).length}:${row[key]}`).join("") + at;
    const before = kept.get(id);
    if (before && (before["written_timestamp"] as bigint) > (row["written"] as bigint)) continue;
    kept.set(id, {
      ...Object.fromEntries(view.joinKeys.map((key) => [key, row[key]])),
      event_timestamp: at,
      effective_timestamp: end + view.dataDelay,
      written_timestamp: row["written"],
      ...view.features(row),
    });
  }
  return [...kept.values()];
}
