/** Computes slices of one view version and commits them at once. Safe to repeat, in any order, by anyone. */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import type { ViewDefinition } from "../define/definitions.ts";
import type { Engine, EngineSession } from "../engine/engine.ts";
import { VarveError } from "../errors.ts";
import type { DeltaFile, DeltaSnapshot, DeltaTable } from "../storage/delta_format.ts";
import { type Clock, formatRange, formatTimestamp, type TimeRange } from "../time.ts";
import { makeAttemptFolder } from "./attempt_folder.ts";
import { closedRange, sliceLength, slicesIn } from "./due_slices.ts";
import { type Failpoint, noFailpoint } from "./failpoint.ts";
import type { Progress } from "./progress.ts";
import { countNullTimestamps, inView, stageSlices, storedSchema } from "./stage_slices.ts";
import type { DroppedRows } from "./staged.ts";
import { writeParts } from "./write_parts.ts";

/** What to materialize. */
export interface MaterializeRequest {
  readonly definition: ViewDefinition;
  readonly version: number;
  /** Whole slices that have closed. */
  readonly range: TimeRange;
  /** Compute again what is already committed. */
  readonly overwrite: boolean;
  /** Free facts for the commit: author, reason, job. */
  readonly info?: Readonly<Record<string, string | number>>;
}

/** What to do it with. */
export interface MaterializeContext {
  readonly engine: Engine;
  readonly table: DeltaTable;
  readonly clock: Clock;
  /** Where parts are written before they are stored; a folder is made in it and always removed. */
  readonly tempDir: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly failpoint?: Failpoint;
  /** A slice with more rows becomes several files. @default 4_000_000 */
  readonly maxRowsPerPart?: number;
}

/** What a materialization did. */
export interface MaterializeResult {
  /** `"already"`: every slice had been committed, before this run or while it ran. */
  readonly outcome: "committed" | "already";
  /** The table version that holds the slices. */
  readonly tableVersion: number;
  /** Slices that this run committed, and those that it found committed. */
  readonly slices: number;
  readonly skipped: number;
  readonly rows: number;
  readonly bytes: number;
  readonly dropped: DroppedRows;
}

/** How often an overwrite starts again because somebody else committed one of its slices meanwhile. */
const maxAttempts = 5;
/** Rows of the slices that are computed by one query, at best: what DuckDB sorts well within its memory limit. */
const rowsPerQuery = 4_000_000;
const firstSlicesPerQuery = 4;
const maxSlicesPerQuery = 4_096;

/** Materializes a range of one view version. */
export async function materialize(
  request: MaterializeRequest,
  context: MaterializeContext,
): Promise<MaterializeResult> {
  const { definition, version } = request;
  checkClosed(request, context.clock.now());
  try {
    const at = Number(context.clock.now() / 1000n);
    await context.table.create(storedSchema(definition), { description: definition.description ?? "", at });
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      const result = await attemptSlices(request, context);
      if (result) return result;
    }
  } catch (error) {
    if (context.signal?.aborted) throw cancelled(request, context.signal.reason);
    throw inView(definition, version, error);
  }
  throw new VarveError(
    "CONFLICT",
    `Cannot materialize view "${definition.name}" version ${version} for ${
      formatRange(request.range)
    }: others committed these slices ` +
      `${maxAttempts} times meanwhile; run it again`,
  );
}

function checkClosed({ definition, range }: MaterializeRequest, now: bigint): void {
  const closed = closedRange(definition, now);
  if (closed && range.start >= closed.start && range.end <= closed.end) return;
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot materialize view "${definition.name}" for ${formatRange(range)}: ` +
      (closed ? `slices that have closed are ${formatRange(closed)}` : "no slice has closed yet"),
  );
}

function cancelled({ definition, version }: MaterializeRequest, reason: unknown): VarveError {
  const why = reason instanceof Error ? reason.message : String(reason);
  return new VarveError(
    "CANCELLED",
    `Cannot materialize view "${definition.name}" version ${version}: it was cancelled: ${why}`,
    {
      cause: reason,
    },
  );
}

/** Undefined when the commit was refused and has to be tried again from a newer version. */
async function attemptSlices(
  request: MaterializeRequest,
  context: MaterializeContext,
): Promise<MaterializeResult | undefined> {
  const all = slicesIn(request.range, sliceLength(request.definition));
  const readAt = context.clock.now();
  // The fence: inputs are read after this version, so whoever commits one of our slices after it may know better.
  const snapshot = await context.table.snapshot();
  const todo = request.overwrite ? all : all.filter((slice) => !snapshot.slices.has(slice.start));
  if (todo.length === 0) return nothing(snapshot, all.length);
  const runId = randomUUID();
  const folder = await makeAttemptFolder(context.tempDir);
  const session = await context.engine.session();
  try {
    const computed = await computeSlices(session, request, context, { todo, runId, folder });
    return await commitSlices(request, context, {
      all,
      todo,
      runId,
      readAt,
      readVersion: snapshot.version,
      ...computed,
    });
  } finally {
    session.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function nothing(snapshot: DeltaSnapshot, skipped: number): MaterializeResult {
  const dropped = { nullTimestamp: 0, nullKey: 0 };
  return { outcome: "already", tableVersion: snapshot.version, slices: 0, skipped, rows: 0, bytes: 0, dropped };
}

interface Computed {
  readonly files: readonly DeltaFile[];
  readonly dropped: DroppedRows;
}

interface Work {
  readonly todo: readonly TimeRange[];
  readonly runId: string;
  readonly folder: string;
}

async function computeSlices(
  session: EngineSession,
  request: MaterializeRequest,
  context: MaterializeContext,
  { todo, runId, folder }: Work,
): Promise<Computed> {
  const { definition, version } = request;
  const { table, signal, failpoint = noFailpoint } = context;
  const files: DeltaFile[] = [];
  const dropped = { nullTimestamp: await countNullTimestamps(session, definition.query, signal), nullKey: 0 };
  const done = { slicesDone: 0, rows: 0, bytes: 0 };
  const report = () =>
    context.onProgress?.({
      view: definition.name,
      version,
      phase: "slices",
      ...done,
      slicesTotal: todo.length,
      onlineRows: 0,
    });
  report();
  const onSlice = (rows: number, bytes: number) => {
    done.slicesDone++;
    done.rows += rows;
    done.bytes += bytes;
    report();
  };
  const length = sliceLength(definition);
  let size = firstSlicesPerQuery;
  for (let rest = todo; rest.length > 0;) {
    signal?.throwIfAborted();
    const chunk = newestRun(rest, size);
    rest = rest.slice(0, rest.length - chunk.length);
    const range = { start: chunk[0]!.start, end: chunk.at(-1)!.end };
    const staged = await stageSlices(session, definition, range, {
      now: context.clock.now(),
      maxRowsPerPart: context.maxRowsPerPart ?? 4_000_000,
      ...(signal && { signal }),
    });
    dropped.nullTimestamp += staged.dropped.nullTimestamp;
    dropped.nullKey += staged.dropped.nullKey;
    files.push(
      ...await writeParts(staged, {
        table,
        runId,
        folder,
        failpoint,
        onSlice,
        ...(signal && { signal }),
      }),
    );
    await staged.drop();
    const rowsPerSlice = Math.max(1, staged.rows / Number((range.end - range.start) / length));
    size = Math.min(maxSlicesPerQuery, Math.max(1, Math.floor(rowsPerQuery / rowsPerSlice)));
  }
  return { files, dropped };
}

/** The last slices of a list in time order that follow each other without a gap, at most `size`. */
function newestRun(slices: readonly TimeRange[], size: number): readonly TimeRange[] {
  let from = slices.length - 1;
  while (from > 0 && slices.length - from < size && slices[from - 1]!.end === slices[from]!.start) from--;
  return slices.slice(from);
}

interface Attempt extends Computed {
  /** Rows that are written from then on may not be in it. */
  readonly readAt: bigint;
  readonly all: readonly TimeRange[];
  readonly todo: readonly TimeRange[];
  readonly runId: string;
  readonly readVersion: number;
}

async function commitSlices(
  request: MaterializeRequest,
  context: MaterializeContext,
  attempt: Attempt,
): Promise<MaterializeResult | undefined> {
  const { table, failpoint = noFailpoint } = context;
  const { runId, readVersion, dropped } = attempt;
  let { todo, files } = attempt;
  await failpoint("before-commit");
  for (;;) {
    context.signal?.throwIfAborted();
    const rows = files.reduce((sum, file) => sum + file.rows, 0);
    const bytes = files.reduce((sum, file) => sum + file.size, 0);
    const info = {
      ...request.info,
      operation: "materialize",
      readAt: formatTimestamp(attempt.readAt),
      overwrite: String(request.overwrite),
      rows,
      droppedNullTimestamp: dropped.nullTimestamp,
      droppedNullKey: dropped.nullKey,
    };
    const result = await table.commit({ runId, readVersion, slices: todo, files, info });
    if (result.outcome !== "fenced") {
      await failpoint("after-commit");
      const counts = { slices: todo.length, skipped: attempt.all.length - todo.length, rows, bytes, dropped };
      return { outcome: "committed", tableVersion: result.version, ...counts };
    }
    if (request.overwrite) return undefined;
    // Somebody was faster with some slices: theirs are as good as ours, so only what is missing is committed.
    const taken = new Set(result.slices);
    if (!todo.some((slice) => taken.has(slice.start))) return undefined;
    todo = todo.filter((slice) => !taken.has(slice.start));
    files = files.filter((file) => !taken.has(file.slice.start));
    if (todo.length === 0) return { ...nothing(await table.snapshot(), attempt.all.length), dropped };
  }
}
