/** What publishing does with sources: rows of this process are stored first; files are looked at for the plan. */
import { statSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Definition, ViewDefinition } from "./define/definitions.ts";
import { quoteName } from "./engine/engine.ts";
import { expandPaths, isRemote } from "./engine/files.ts";
import { VarveError } from "./errors.ts";
import type { Query, ScanStep } from "./frame/query.ts";
import { drivingScans } from "./materialize/stage_slices.ts";
import { scratchFolder } from "./places.ts";
import type { SourceEstimate } from "./registry/plan_backfill.ts";
import type { StoreParts } from "./store_parts.ts";
import { formatTimestamp, timestampLimits } from "./time.ts";

/** Looking at a source must not take longer: a plan without an estimate is better than none. */
const lookLimitMs = 5_000;

/** Stores rows that live in this process, so that jobs find them without it. */
export async function storeMemorySources(
  parts: StoreParts,
  definitions: readonly Definition[],
  signal?: AbortSignal,
): Promise<void> {
  const scans = new Map<string, ScanStep>();
  for (const definition of definitions) {
    if (definition.kind !== "view") continue;
    for (const scan of scansOf(definition.query)) if (scan.source.kind === "memory") scans.set(scan.source.id, scan);
  }
  for (const [id, scan] of scans) {
    const key = memoryKey(parts, id);
    if (await parts.objects.head(key, signal)) continue;
    const folder = scratchFolder(parts.options);
    await mkdir(folder, { recursive: true });
    const own = await mkdtemp(join(folder, "source-"));
    const session = await (await parts.engine()).session();
    try {
      const { sql } = await session.compile(scan);
      const path = join(own, "rows.parquet");
      await session.writeParquet(sql, path, {}, signal);
      // Named by content: whoever stores the same rows stores the same file.
      await parts.objects.putFile(key, path, { move: true, ...(signal && { signal }) });
    } finally {
      session.close();
      await rm(own, { recursive: true, force: true });
    }
  }
}

/** The local file of rows that publishing stored. */
export async function storedMemory(parts: StoreParts, id: string): Promise<string> {
  return await parts.objects.localPath(memoryKey(parts, id));
}

function memoryKey(parts: StoreParts, id: string): string {
  return `${parts.workspace}/sources/${id}.parquet`;
}

/** Every scan of a query, right sides of joins too. */
function scansOf(query: Query): ScanStep[] {
  switch (query.kind) {
    case "scan":
      return [query];
    case "sql":
      return Object.values(query.inputs).flatMap(scansOf);
    case "union":
      return query.inputs.flatMap(scansOf);
    case "join":
    case "asOfJoin":
      return [...scansOf(query.input), ...scansOf(query.right)];
    default:
      return scansOf(query.input);
  }
}

/** Rows, bytes and times of a view's sources, read from the event timestamp's column alone. */
export async function estimateSources(parts: StoreParts, view: ViewDefinition): Promise<SourceEstimate> {
  const estimates: SourceEstimate[] = [];
  for (const scan of drivingScans(view.query)) estimates.push(await estimateScan(parts, scan));
  return estimates.reduce(together, {});
}

async function estimateScan(parts: StoreParts, scan: ScanStep): Promise<SourceEstimate> {
  const { eventTimestamp: time, writtenTimestamp: written } = scan.source;
  const bytes = bytesOf(scan);
  const session = await (await parts.engine()).session();
  try {
    // A scan has the columns that its source names; only the event timestamp is read.
    const schema = scan.schema.filter(({ name }) => name === time || name === written);
    const { sql } = await session.compile({ ...scan, schema });
    const at = `${quoteName(time ?? "")}::TIMESTAMPTZ`;
    // An infinite time is none: it is in no slice either.
    const finite = `FILTER (isfinite(${at}))`;
    const [row] = await session.rows(
      `SELECT count(*)::BIGINT AS n, (count(*) - count(*) ${finite})::BIGINT AS nulls, ` +
        `epoch_us(min(${at}) ${finite}) AS first, epoch_us(max(${at}) ${finite}) AS last FROM (${sql})`,
      AbortSignal.timeout(lookLimitMs),
    );
    const { min, max } = timestampLimits;
    const instant = (value: unknown) =>
      typeof value === "bigint" ? formatTimestamp(value < min ? min : value > max ? max : value) : undefined;
    const first = instant(row?.["first"]);
    const last = instant(row?.["last"]);
    return {
      rows: Number(row?.["n"]),
      nullTimestamps: Number(row?.["nulls"]),
      ...(bytes !== undefined && { bytes }),
      ...(first !== undefined && { first }),
      ...(last !== undefined && { last }),
    };
  } catch (error) {
    if (!(error instanceof VarveError) || (error.code !== "CANCELLED" && error.code !== "TIMEOUT")) throw error;
    const warnings = [
      `the source is too large to look at within ${lookLimitMs / 1000} s: its rows and times are not known`,
    ];
    return { warnings, ...(bytes !== undefined && { bytes }) };
  } finally {
    session.close();
  }
}

function bytesOf({ source }: ScanStep): number | undefined {
  if (source.kind === "memory" || source.paths.some(isRemote)) return undefined;
  return expandPaths(source.paths).reduce((sum, path) => sum + statSync(path).size, 0);
}

function together(a: SourceEstimate, b: SourceEstimate): SourceEstimate {
  const sum = (x?: number, y?: number) => x === undefined ? y : y === undefined ? x : x + y;
  const rows = sum(a.rows, b.rows);
  const bytes = sum(a.bytes, b.bytes);
  const nullTimestamps = sum(a.nullTimestamps, b.nullTimestamps);
  const first = [a.first, b.first].filter((time) => time !== undefined).sort()[0];
  const last = [a.last, b.last].filter((time) => time !== undefined).sort().at(-1);
  const warnings = [...a.warnings ?? [], ...b.warnings ?? []];
  return {
    ...(rows !== undefined && { rows }),
    ...(bytes !== undefined && { bytes }),
    ...(nullTimestamps !== undefined && { nullTimestamps }),
    ...(first !== undefined && { first }),
    ...(last !== undefined && { last }),
    ...(warnings.length > 0 && { warnings }),
  };
}
