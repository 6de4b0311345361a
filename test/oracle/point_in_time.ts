/** The point-in-time join as plain loops over all rows: slow, and obvious enough to be trusted. */

/** A row in row form: instants as bigint micros. */
export type OracleRow = Readonly<Record<string, unknown>>;

/** A view as the oracle reads it: its source rows, in any order, ties and all. */
export interface OracleView {
  readonly alias: string;
  readonly rows: readonly OracleRow[];
  readonly joinKeys: readonly string[];
  readonly joinKeyMap: Readonly<Record<string, string>>;
  readonly features: readonly { readonly feature: string; readonly as: string; readonly default?: unknown }[];
  /** All features of the view in order: they settle ties that the written time leaves open. */
  readonly tieOrder: readonly string[];
  readonly schedule: bigint;
  readonly dataDelay: bigint;
  readonly start: bigint;
  readonly ttl?: bigint;
}

/** One output row per spine row (S2): its columns, then per view the features, `<alias>__status` and `<alias>__effective_timestamp`. */
export function pointInTimeOracle(
  spine: readonly OracleRow[],
  views: readonly OracleView[],
  asOf: "effective" | "event",
): OracleRow[] {
  return spine.map((row) => {
    const out: Record<string, unknown> = { ...row };
    for (const view of views) {
      const t = row["ts"] as bigint;
      const keys = view.joinKeys.map((key) => row[view.joinKeyMap[key] ?? key]);
      let best: OracleRow | undefined;
      for (const candidate of view.rows) {
        if (keys.includes(null) || !view.joinKeys.every((key, i) => candidate[key] === keys[i])) continue; // S7, S8
        const event = candidate["event_timestamp"] as bigint;
        if (event < view.start) continue;
        if ((asOf === "event" ? event : effective(view, event)) > t) continue; // S3, S4
        if (best === undefined || newer(view, candidate, best)) best = candidate;
      }
      const expired = best !== undefined && view.ttl !== undefined &&
        (best["event_timestamp"] as bigint) <= t - view.ttl; // S6
      for (const { feature, as, default: fallback } of view.features) {
        out[as] = (best && !expired ? best[feature] : null) ?? fallback ?? null; // S7
      }
      out[`${view.alias}__status`] = keys.includes(null)
        ? "NULL_KEY"
        : !best
        ? "MISSING"
        : expired
        ? "EXPIRED"
        : "PRESENT";
      out[`${view.alias}__effective_timestamp`] = best ? effective(view, best["event_timestamp"] as bigint) : null;
    }
    return out;
  });
}

/** S4: the end of the schedule interval that holds the row, plus the data delay. */
function effective(view: OracleView, event: bigint): bigint {
  const into = ((event % view.schedule) + view.schedule) % view.schedule;
  return event - into + view.schedule + view.dataDelay;
}

/** S3: the newer event; of equal ones the last written; of equal ones the greater values, null being least. */
function newer(view: OracleView, a: OracleRow, b: OracleRow): boolean {
  for (const column of ["event_timestamp", "written", ...view.tieOrder]) {
    const x = a[column] ?? null;
    const y = b[column] ?? null;
    if (x === y) continue;
    if (x === null || y === null) return y === null;
    return x > y;
  }
  return false;
}
