/** Writes staged slices as sorted Parquet parts and puts them into the table's folder. */
import { rm } from "node:fs/promises";
import type { DeltaFile, DeltaTable } from "../storage/delta_format.ts";
import type { Failpoint } from "./failpoint.ts";
import type { LocalPart, StagedSlice, StagedSlices } from "./staged.ts";

/** What writing parts needs. */
export interface WritePartsOptions {
  readonly table: DeltaTable;
  readonly runId: string;
  /** A folder of this attempt alone; the caller removes it. */
  readonly folder: string;
  readonly failpoint: Failpoint;
  readonly signal?: AbortSignal;
  /** Called when all parts of a slice are in the object store. */
  readonly onSlice: (rows: number, bytes: number) => void;
}

/** Parts that are being stored while the next one is written: enough to hide a remote store's latency. */
const uploadsAtOnce = 8;

/** Writes the parts of every staged slice, newest slice first; gives the files to commit. */
export async function writeParts(staged: StagedSlices, options: WritePartsOptions): Promise<DeltaFile[]> {
  const { folder, signal } = options;
  const files: DeltaFile[] = [];
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  try {
    for (const slice of [...staged.slices].reverse()) {
      const parts: LocalPart[] = [];
      for await (const part of staged.write(slice, { folder, ...(signal && { signal }) })) {
        parts.push(part);
      }
      while (running.size >= uploadsAtOnce) await Promise.race(running);
      if (failures.length > 0) break;
      const upload: Promise<void> = storeSlice(slice, parts, options)
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
  options.onSlice(files.reduce((sum, file) => sum + file.rows, 0), files.reduce((sum, file) => sum + file.size, 0));
  return files;
}
