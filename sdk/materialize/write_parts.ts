/** Writes staged slices as sorted Parquet parts and puts them into the table's folder. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { ViewDefinition } from "../define/definitions.ts";
import type { EngineSession } from "../engine/engine.ts";
import type { DeltaFile, DeltaTable } from "../storage/delta_format.ts";
import type { Failpoint } from "./failpoint.ts";
import { sliceSql, type StagedSlice, type StagedSlices } from "./stage_slices.ts";

/** What writing parts needs. */
export interface WritePartsOptions {
  readonly table: DeltaTable;
  readonly definition: ViewDefinition;
  readonly runId: string;
  /** A folder of this attempt alone; the caller removes it. */
  readonly folder: string;
  /** A slice with more rows becomes several parts. @default 4_000_000 */
  readonly maxRowsPerPart?: number;
  readonly failpoint: Failpoint;
  readonly signal?: AbortSignal;
  /** Called when all parts of a slice are in the object store. */
  readonly onSlice: (rows: number, bytes: number) => void;
}

/** Parts that are being stored while the next one is written: enough to hide a remote store's latency. */
const uploadsAtOnce = 8;

/** Writes the parts of every staged slice, newest slice first; gives the files to commit. */
export async function writeParts(
  session: EngineSession,
  staged: StagedSlices,
  options: WritePartsOptions,
): Promise<DeltaFile[]> {
  const files: DeltaFile[] = [];
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  try {
    for (const slice of [...staged.slices].reverse()) {
      const paths = await writeSlice(session, slice, options);
      while (running.size >= uploadsAtOnce) await Promise.race(running);
      if (failures.length > 0) break;
      const upload: Promise<void> = storeSlice(slice, paths, options)
        .then((stored) => void files.push(...stored))
        .catch((error: unknown) => void failures.push(error))
        .finally(() => running.delete(upload));
      running.add(upload);
    }
  } finally {
    // Nothing may be using the folder when the caller removes it.
    await Promise.all(running);
  }
  if (failures.length > 0) throw failures[0];
  return files;
}

interface LocalPart {
  readonly path: string;
  readonly rows: number;
}

async function writeSlice(
  session: EngineSession,
  slice: StagedSlice,
  options: WritePartsOptions,
): Promise<LocalPart[]> {
  const count = Math.ceil(slice.rows / (options.maxRowsPerPart ?? 4_000_000));
  const parts: LocalPart[] = [];
  for (let part = 0; part < count; part++) {
    options.signal?.throwIfAborted();
    const path = join(options.folder, `${slice.range.start}-${part}.parquet`);
    const sql = sliceSql(options.definition, slice.range, part, count);
    const written = await session.writeParquet(sql, path, { compression: "zstd" }, options.signal);
    if (written.rows > 0) parts.push({ path, rows: written.rows });
    else await rm(path, { force: true });
  }
  return parts;
}

async function storeSlice(
  slice: StagedSlice,
  parts: readonly LocalPart[],
  options: WritePartsOptions,
): Promise<DeltaFile[]> {
  const files: DeltaFile[] = [];
  for (const { path, rows } of parts) {
    options.signal?.throwIfAborted();
    // Bounds of the slice hold for each of its parts: readers only use them to leave files out.
    const { range, minEventTimestamp, maxEventTimestamp } = slice;
    files.push(
      await options.table.addPart(path, { rows, slice: range, minEventTimestamp, maxEventTimestamp }, options.runId),
    );
    await options.failpoint("after-part-write");
    await rm(path, { force: true });
  }
  options.onSlice(slice.rows, files.reduce((sum, file) => sum + file.size, 0));
  return files;
}
