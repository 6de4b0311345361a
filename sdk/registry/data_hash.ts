/** The hash of what shapes the stored data of a view. */
import type { ViewDefinition } from "../define/definitions.ts";
import { hashOf } from "../frame/hash.ts";

/**
 * Equal hashes: the stored data is the same and a change needs no new version. Not in it: description, owner, tags, defaults, ttl,
 * lookback and switches, which act on reading or on runs; start and end, which only add slices or leave some alone; the entity's name.
 */
export function dataHash(view: ViewDefinition): string {
  return hashOf({
    mode: view.mode,
    query: view.query,
    joinKeys: view.entity.joinKeys,
    eventTimestamp: view.eventTimestamp,
    writtenTimestamp: view.writtenTimestamp,
    features: view.features.map(({ name, type }) => ({ name, type })).sort((a, b) => a.name < b.name ? -1 : 1),
    schedule: view.schedule,
    dataDelay: view.dataDelay,
  });
}
