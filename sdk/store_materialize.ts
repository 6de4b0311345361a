/** Computes slices of a version because somebody said so, not because they are due. */
import { VarveError } from "./errors.ts";
import { closedRange, dueSlices, sliceLength } from "./materialize/due_slices.ts";
import type { LoadOnlineJob, MaterializeJob } from "./queue/jobs.ts";
import type { ViewVersion } from "./registry/state.ts";
import { type AskedWork, runAsked } from "./store_jobs.ts";
import type { StoreParts } from "./store_parts.ts";
import type { DoneView } from "./store_tally.ts";
import type { MaterializeOptions } from "./store_types.ts";
import { alignDown, alignUp, formatRange, formatTimestamp, toMicros } from "./time.ts";

/** Of versions of a view: computes the slices of a range, loads what they gave online, and waits for both. */
export async function materializeByHand(
  parts: StoreParts,
  targets: readonly ViewVersion[],
  options: MaterializeOptions,
): Promise<DoneView[]> {
  return await runAsked(parts, await Promise.all(targets.map((target) => askedWork(parts, target, options))), options);
}

async function askedWork(parts: StoreParts, target: ViewVersion, options: MaterializeOptions): Promise<AskedWork> {
  const { definition, version } = target;
  const { name: view, online } = definition;
  const { workspace } = parts;
  const { overwrite = false } = options;
  const now = parts.clock.now();
  const range = slicesOf(definition, options, now);
  const compute: MaterializeJob = {
    name: "materialize",
    workspace,
    view,
    version,
    start: formatTimestamp(range.start),
    end: formatTimestamp(range.end),
    overwrite,
    reason: "manual",
  };
  const load: LoadOnlineJob = { name: "load-online", workspace, view, version, rebuild: false };
  const committed = overwrite ? new Map() : (await parts.table(view, version).snapshot()).slices;
  const due = dueSlices(definition, committed, now).filter(({ start }) => start >= range.start && start < range.end);
  const settings = { priority: 1 };
  return {
    target,
    slices: due.length,
    compute: { job: compute, options: settings },
    ...(online && { load: { job: load, options: settings } }),
  };
}

/** Whole slices that have closed. */
function slicesOf(
  definition: ViewVersion["definition"],
  options: MaterializeOptions,
  now: bigint,
): { start: bigint; end: bigint } {
  const closed = closedRange(definition, now);
  if (!closed) {
    throw new VarveError("INVALID_REQUEST", `Cannot materialize view "${definition.name}": no slice has closed yet`);
  }
  const length = sliceLength(definition);
  const wanted = {
    start: options.start === undefined ? closed.start : alignDown(toMicros(options.start), length),
    end: options.end === undefined ? closed.end : alignUp(toMicros(options.end), length),
  };
  const start = wanted.start > closed.start ? wanted.start : closed.start;
  const end = wanted.end < closed.end ? wanted.end : closed.end;
  if (end > start) return { start, end };
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot materialize view "${definition.name}" for ${formatRange(wanted)}: slices that have closed are ${
      formatRange(closed)
    }`,
  );
}
