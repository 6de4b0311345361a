/** Reads the audit log of a service back: its parts, and the rows in them. */
import { type EngineSession, quoteText, timestampSql } from "../engine/engine.ts";
import type { Row } from "../schema.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import type { TimeRange, Timestamp } from "../time.ts";
import { type AuditPart, dayOf, partOf, partsPrefix } from "./layout.ts";
import { type AuditShape, shapeName } from "./served_rows.ts";

/** A row as it was logged; values in user form. */
export interface LoggedRow {
  readonly request_time: Timestamp;
  readonly key_hash: string;
  /** Absent where keys are hashed, and where there are none. */
  readonly keys?: Row;
  readonly views: Readonly<Record<string, LoggedView>>;
  /** What was looked up. */
  readonly features: Row;
  /** What the request gave beside keys; absent where keys are hashed. */
  readonly request?: Row;
  /** What was computed. */
  readonly computed?: Row;
}

/** What a row says of one view. */
export interface LoggedView {
  /** Version of the offline table that was loaded. */
  readonly table_version: bigint | null;
  readonly watermark: Timestamp | null;
  readonly status: string;
  readonly cut: boolean;
}

/** Rows of one shape. */
export interface LoggedRows {
  readonly shape: AuditShape;
  readonly rows: readonly LoggedRow[];
}

/** Parts of a service that may hold requests of the range, by shape. */
export async function auditParts(
  store: ObjectStore,
  { workspace, service, range }: {
    readonly workspace: string;
    readonly service: string;
    readonly range: TimeRange;
  },
  signal?: AbortSignal,
): Promise<Map<string, AuditPart[]>> {
  const prefix = partsPrefix(workspace);
  const last = dayOf(range.end - 1n);
  const found = new Map<string, AuditPart[]>();
  const options = { after: `${prefix}${dayOf(range.start)}`, ...(signal && { signal }) };
  for await (const { key } of store.list(prefix, options)) {
    const part = partOf(workspace, key);
    if (!part) continue;
    if (part.day > last) break;
    if (part.service !== service) continue;
    const same = found.get(part.shape);
    if (same) same.push(part);
    else found.set(part.shape, [part]);
  }
  return found;
}

/** The rows of parts of one shape, the newest first, as many as are wanted at most. */
export async function auditRows(
  session: EngineSession,
  store: ObjectStore,
  parts: readonly AuditPart[],
  { range, limit }: { readonly range: TimeRange; readonly limit: number },
  signal?: AbortSignal,
): Promise<LoggedRows | undefined> {
  const paths: string[] = [];
  for (const { key } of parts) paths.push(await store.localPath(key, undefined, signal));
  const files = `read_parquet([${paths.map(quoteText).join(", ")}])`;
  const time = "request_time::TIMESTAMPTZ";
  const rows = await session.rows(
    `SELECT * FROM ${files} WHERE ${time} >= ${timestampSql(range.start)} ` +
      `AND ${time} < ${timestampSql(range.end)} ORDER BY request_time DESC, key_hash LIMIT ${limit}`,
    signal,
  );
  if (rows.length === 0) return undefined;
  const [about] = await session.rows(
    `SELECT decode(value) AS shape FROM parquet_kv_metadata(${quoteText(paths[0]!)}) WHERE decode(key) = ${
      quoteText(shapeName)
    }`,
    signal,
  );
  return { shape: JSON.parse(String(about!["shape"])) as AuditShape, rows: rows as unknown as LoggedRow[] };
}
