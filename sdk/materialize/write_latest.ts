/** Writes the newest row of every key in some files of a table to the online store, in bounded memory. */
import type { ViewDefinition } from "../define/definitions.ts";
import type { EngineSession } from "../engine/engine.ts";
import type { DeltaFile, DeltaTable } from "../storage/delta_format.ts";
import { packBatch, type PackPlan, rowLayout } from "../storage/encoding.ts";
import type { PackedBatch } from "../storage/online_store.ts";
import { type Failpoint, noFailpoint } from "./failpoint.ts";
import { latestRows, oldestValid, ttlMicros } from "./latest_rows.ts";

/** What to write, and how. */
export interface WriteLatestOptions {
  readonly session: EngineSession;
  readonly definition: ViewDefinition;
  readonly table: DeltaTable;
  readonly files: readonly DeltaFile[];
  /** Of equal event times the value with the greater sequence wins. */
  readonly sequence: bigint;
  readonly now: bigint;
  /** Writes a batch; gives how many values were taken. */
  readonly write: (batch: PackedBatch) => Promise<number>;
  readonly onRows: (rows: number) => void;
  /** Tell the store when values have passed their ttl, so that it drops them. */
  readonly expires: boolean;
  readonly failpoint?: Failpoint;
  readonly signal?: AbortSignal;
}

/** Writes under way while the next batch is packed: enough to keep the store busy, and a bound on memory. */
const writesAtOnce = 4;

/** Gives how many values were taken. */
export async function writeLatest(options: WriteLatestOptions): Promise<number> {
  const { session, definition, table, now, write, signal, failpoint = noFailpoint } = options;
  const files = filesWithin(definition, options.files, now);
  options.onRows(0);
  if (files.length === 0) return 0;
  const paths = await table.localPaths(files, signal);
  const { sql, schema } = latestRows(definition, paths, oldestValid(definition, now));
  const plan = packPlan(definition, options.expires);
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let rows = 0;
  try {
    for await (const batch of session.batches(sql, schema, signal)) {
      while (running.size >= writesAtOnce) await Promise.race(running);
      if (failures.length > 0) break;
      signal?.throwIfAborted();
      const writing: Promise<void> = write(packBatch(plan, batch, options.sequence))
        .then((count) => options.onRows(rows += count))
        .catch((error: unknown) => void failures.push(error))
        .finally(() => running.delete(writing));
      running.add(writing);
      await failpoint("mid-online");
    }
  } finally {
    await Promise.all(running);
  }
  if (failures.length > 0) throw failures[0];
  return rows;
}

/** Files that may hold rows within the ttl. */
export function filesWithin(definition: ViewDefinition, files: readonly DeltaFile[], now: bigint): DeltaFile[] {
  const oldest = oldestValid(definition, now);
  return files.filter((file) => file.rows > 0 && (oldest === undefined || file.maxEventTimestamp > oldest));
}

function packPlan(definition: ViewDefinition, expires: boolean): PackPlan {
  const { joinKeys } = definition.entity;
  const ttl = expires ? ttlMicros(definition) : undefined;
  return {
    joinKeys,
    layout: rowLayout(definition.features),
    columns: {
      joinKeys: joinKeys.map((_, i) => i),
      eventTimestamp: joinKeys.length,
      features: definition.features.map((_, i) => joinKeys.length + 1 + i),
    },
    ...(ttl !== undefined && { ttl }),
  };
}
