/** Reads of one view: its history, a preview, a profile. */
import { RealtimeView } from "./define/realtime_view.ts";
import { FeatureView } from "./define/view.ts";
import { rememberProfile } from "./define/view_facts.ts";
import type { ProfileOptions, ViewProfile } from "./define/view_profile.ts";
import { checkOptions, VarveError } from "./errors.ts";
import { readStopped, stoppable } from "./interrupt.ts";
import type { RegistryState } from "./registry/state.ts";
import type { DefinedView } from "./retrieve/feature_read.ts";
import { preview, rangeRead } from "./retrieve/range.ts";
import { viewProfile } from "./retrieve/view_profile.ts";
import type { StoreParts } from "./store_parts.ts";
import { nameOf, newestRealtimeView, newestView, requireView } from "./store_reads.ts";
import { ReadResult } from "./store_result.ts";
import { previewOptions, type PreviewStoreOptions, rangeOptions, type ReadRangeOptions } from "./store_types.ts";
import { namesLike } from "./text.ts";
import { formatRange, toMicros } from "./time.ts";

/** Every value of a view in a range of time. */
export function readRange(parts: StoreParts, view: string | FeatureView, options: ReadRangeOptions): ReadResult {
  checkOptions(`Cannot read the range of view "${nameOf(view)}"`, options, rangeOptions);
  const { from = "offline" } = options;
  const range = { start: toMicros(options.start), end: toMicros(options.end) };
  if (range.end <= range.start) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot read the range ${formatRange(range)} of view "${
        nameOf(view)
      }": it is empty; its end comes after its start`,
    );
  }
  return new ReadResult(async (signal) => {
    const defined = await definedView(parts, view, from);
    const table = from === "source" ? undefined : parts.table(defined.definition.name, defined.version);
    return await rangeRead(await parts.engine(), defined, table, range, { from, signal });
  }, options.signal);
}

/** What each key of a view would have at an instant, from the source. */
export function readPreview(parts: StoreParts, view: string | FeatureView, options: PreviewStoreOptions): ReadResult {
  checkOptions(`Cannot preview view "${nameOf(view)}"`, options, previewOptions);
  const { limit } = options;
  const at = options.at === undefined ? parts.clock.now() : toMicros(options.at);
  return new ReadResult(async (signal) => {
    const { definition } = await definedView(parts, view, "source");
    return await preview(await parts.engine(), definition, { at, signal, ...(limit !== undefined && { limit }) });
  }, options.signal);
}

/** What a view holds: from the stored history unless told otherwise, or from the source while nothing of it serves. */
export async function readProfile<N extends string>(
  parts: StoreParts,
  view: string | FeatureView,
  options: ProfileOptions<N> & { readonly from?: "offline" | "source" },
): Promise<ViewProfile<N>> {
  const { from, ...rest } = options;
  const { views } = await parts.registry.state();
  const name = nameOf(view);
  const isServed = Object.hasOwn(views, name) && views[name]!.serving !== undefined;
  const chosen = from ?? (isServed ? "offline" : "source");
  const defined = await definedView(parts, view, chosen);
  const table = chosen === "source" ? undefined : parts.table(defined.definition.name, defined.version);
  const engine = await parts.engine();
  const found = await stoppable(
    rest,
    readStopped,
    (stopped) => viewProfile(engine, defined, table, { ...stopped, now: parts.clock.now() }),
  );
  if (view instanceof FeatureView && rest.features === undefined) rememberProfile(view.definition, found);
  return found as ViewProfile<N>;
}

async function definedView(
  parts: StoreParts,
  view: string | FeatureView,
  from: "offline" | "source",
): Promise<DefinedView> {
  if (view instanceof RealtimeView) throw computed(view.name);
  if (from === "source" && view instanceof FeatureView) return { definition: view.definition, version: 0 };
  const state = await parts.registry.state();
  return from === "source" ? newestDefined(state, nameOf(view)) : requireView(state, nameOf(view));
}

/** The version of a view that was published last; says why there is none. */
export function newestDefined(state: RegistryState, name: string): DefinedView {
  const found = newestView(state, name);
  if (found) return found;
  if (newestRealtimeView(state, name)) throw computed(name);
  const names = namesLike(name, Object.keys(state.views));
  throw new VarveError("NOT_FOUND", `Cannot find view "${name}": views are ${names}`, { details: { view: name } });
}

/** Of a realtime view there are no rows: it needs what a request says. */
function computed(name: string): VarveError {
  return new VarveError(
    "INVALID_REQUEST",
    `Cannot read rows of realtime view "${name}": it is computed at the request; give train its keys, request fields and times, ` +
      'as in store.train(view, rows, { from: "source" })',
    { details: { view: name } },
  );
}
