/** Writes the newest row of every key in some files of a table to the online store, in bounded memory. */
import type { ViewDefinition } from "../define/definitions.ts";
import type { ColumnBatch, EngineSession } from "../engine/engine.ts";
import type { DeltaFile, DeltaTable } from "../storage/delta_format.ts";
import { packBatch, type PackPlan, rowLayout } from "../storage/encoding.ts";
import type { Collection, OnlineStore, PackedBatch } from "../storage/online_store.ts";
import { writeBatches } from "../storage/online_write.ts";
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
  readonly online: OnlineStore;
  readonly collection: Collection;
  /** Whether newer wins; a fresh collection needs no comparing. */
  readonly merge: boolean;
  readonly onRows: (rows: number) => void;
  /** Tell the store when values have passed their ttl, so that it drops them. */
  readonly expires: boolean;
  readonly failpoint?: Failpoint;
  readonly signal?: AbortSignal;
}

/** Gives how many values were taken. */
export async function writeLatest(options: WriteLatestOptions): Promise<number> {
  const { definition, table, now, signal } = options;
  const files = filesWithin(definition, options.files, now);
  options.onRows(0);
  if (files.length === 0) return 0;
  const paths = await table.localPaths(files, signal);
  const rows = latestRows({
    session: options.session,
    definition,
    files: files.map(({ slice }, i) => ({ path: paths[i]!, slice })),
    after: oldestValid(definition, now),
    signal,
  });
  const { taken } = await writeBatches(options.online, options.collection, packedRows(options, rows), {
    merge: options.merge,
    signal,
    onProgress: options.onRows,
  });
  return taken;
}

async function* packedRows(
  options: WriteLatestOptions,
  batches: AsyncIterable<ColumnBatch>,
): AsyncIterable<PackedBatch> {
  const { definition, sequence, signal, failpoint = noFailpoint } = options;
  const plan = packPlan(definition, options.expires);
  for await (const batch of batches) {
    signal?.throwIfAborted();
    yield packBatch(plan, batch, sequence);
    await failpoint("mid-online");
  }
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
