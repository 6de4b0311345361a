/** The hash of what shapes the stored data of a view, and whether it can serve a changed definition. */
import type { AggregateView, ViewDefinition } from "../define/definitions.ts";
import { hashOf } from "../frame/hash.ts";
import { type Micros, toMicros } from "../time.ts";
import { windowEdges } from "../window/edges.ts";
import { closedSlices } from "./plan_backfill.ts";

/**
 * Equal hashes: the stored data is the same and a change needs no new version. Not in it: description, owner, tags, defaults, ttl,
 * lookback and switches, which act on reading or on runs; start and end, which only add slices or leave some alone; the entity's name.
 * Neither are windows and their boundary: the same tiles serve any windows that they divide, see {@link unfit}.
 */
export function dataHash(view: ViewDefinition): string {
  return hashOf({
    mode: view.mode,
    query: view.query,
    joinKeys: view.entity.joinKeys,
    eventTimestamp: view.eventTimestamp,
    writtenTimestamp: view.writtenTimestamp,
    schedule: view.schedule,
    dataDelay: view.dataDelay,
    ...(view.mode === "aggregates" ? tableShape(view) : {
      features: view.features.map(({ name, type }) => ({ name, type })).sort((a, b) => a.name < b.name ? -1 : 1),
    }),
  });
}

/** A user's own function has its version in its name. */
function tableShape({ edge, every, secondaryKey, aggregations }: AggregateView) {
  return { edge, ...(edge === "exact" ? {} : { every }), secondaryKey, aggregations };
}

/**
 * Why data that was stored for one definition cannot serve another of equal hash; undefined when it can. Windows count all rows that
 * are stored: there may be none before the start or from the end on. Values online reach as far back as windows did, in tiles that
 * their edges were multiples of, with as many rows as were wanted. Otherwise a new version is built beside the one that serves.
 */
export function unfit(from: ViewDefinition, to: ViewDefinition, now: Micros): string | undefined {
  if (from.mode !== "aggregates" || to.mode !== "aggregates") return undefined;
  const stored = from.online || from.offline ? closedSlices(from, now) : undefined;
  if (stored && (stored.start < toMicros(to.start) || (to.end !== undefined && stored.end > toMicros(to.end)))) {
    return "windows count all rows that are stored, which have to be without those before the start and from the end on";
  }
  if (!from.online || !to.online) return undefined;
  const [before, after] = [windowEdges(from), windowEdges(to)];
  const isLifetime = (view: AggregateView) => view.features.some(({ window }) => window.kind === "lifetime");
  const isKept = after.depth <= before.depth && after.grain % before.grain === 0 &&
    (isLifetime(from) || !isLifetime(to)) && (to.maxRows ?? 0) <= (from.maxRows ?? 0);
  return isKept ? undefined : "windows need more than is kept for requests";
}
