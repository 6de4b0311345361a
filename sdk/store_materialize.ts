/** Computes slices of a version because somebody said so, not because they are due. */
import { VarveError } from "./errors.ts";
import { closedRange, sliceLength } from "./materialize/due_slices.ts";
import type { LoadOnlineJob, MaterializeJob } from "./queue/jobs.ts";
import type { ViewVersion } from "./registry/state.ts";
import { type DoneView, runJobs } from "./store_jobs.ts";
import type { StoreParts } from "./store_parts.ts";
import type { MaterializeOptions } from "./store_types.ts";
import { alignDown, alignUp, formatRange, formatTimestamp, toMicros } from "./time.ts";

type DefinedVersion = Pick<ViewVersion, "definition" | "version">;

/** Computes the slices of a range, loads what they gave online, and waits for both. */
export async function materializeByHand(
  parts: StoreParts,
  { definition, version }: DefinedVersion,
  options: MaterializeOptions,
): Promise<DoneView> {
  const { name: view, online } = definition;
  const { workspace } = parts;
  const { start, end } = slicesOf(definition, options, parts.clock.now());
  const job: MaterializeJob = {
    name: "materialize",
    workspace,
    view,
    version,
    start: formatTimestamp(start),
    end: formatTimestamp(end),
    overwrite: options.overwrite ?? false,
    reason: "manual",
  };
  const [computed] = await runJobs(parts, [{ job, options: { priority: 1 } }], options);
  const counts = computed?.result as { slices?: number; rows?: number; bytes?: number } | undefined;
  const { slices = 0, rows = 0, bytes = 0 } = counts ?? {};
  let onlineRows = 0;
  if (online) {
    const load: LoadOnlineJob = { name: "load-online", workspace, view, version, rebuild: false };
    const [loaded] = await runJobs(parts, [{ job: load, options: { priority: 1 } }], options);
    onlineRows = (loaded?.result as { rows?: number } | undefined)?.rows ?? 0;
  }
  return { view, version, slices, rows, bytes, onlineRows };
}

/** Whole slices that have closed. */
function slicesOf(
  definition: DefinedVersion["definition"],
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
