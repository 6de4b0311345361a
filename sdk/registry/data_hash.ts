/** The hash of what shapes the stored data of a view, and whether what is stored online suffices for a change. */
import type { AggregateView, ViewDefinition } from "../define/definitions.ts";
import { hashOf } from "../frame/hash.ts";
import { windowEdges } from "../window/edges.ts";

/**
 * Equal hashes: the stored data is the same and a change needs no new version. Not in it: description, owner, tags, defaults, ttl,
 * lookback and switches, which act on reading or on runs; start and end, which only add slices or leave some alone; the entity's name.
 * Neither are windows and their boundary: the same tiles serve any windows that they divide, see {@link holdsOnline}.
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
 * Whether values online that were loaded for one definition answer another of the same data: those of aggregates reach as far back
 * as windows did, in tiles that the windows' edges were multiples of, and hold as many rows as were wanted. Where they do not, a new
 * version is loaded beside the one that serves.
 */
export function holdsOnline(from: ViewDefinition, to: ViewDefinition): boolean {
  if (from.mode !== "aggregates" || to.mode !== "aggregates" || !from.online || !to.online) return true;
  const [before, after] = [windowEdges(from), windowEdges(to)];
  const isLifetime = (view: AggregateView) => view.features.some(({ window }) => window.kind === "lifetime");
  return after.depth <= before.depth && after.grain % before.grain === 0 &&
    (isLifetime(from) || !isLifetime(to)) && (to.maxRows ?? 0) <= (from.maxRows ?? 0);
}
