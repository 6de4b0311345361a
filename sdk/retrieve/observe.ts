/** Counts and times online reads, for metrics. */
import type { OnlineStore } from "../storage/online_store.ts";
import type { ServiceReader } from "./online.ts";
import type { FeatureStatus } from "./status.ts";

/** How many look-ups became what; `CUT` counts those that left out rows, since more are in reach than are kept online. */
export type LookupCounts = Partial<Record<FeatureStatus | "CUT", number>>;

/** Told of online reads. They are called at every request: they must cost next to nothing, and never throw. */
export interface ReadObserver {
  /** Where the look-ups of a view are counted; asked once per view and reader. */
  countsOf(view: string): LookupCounts;
  /** The online store took this long for the keys of one read, failed reads included. */
  storeTook(milliseconds: number): void;
  /** The function of a realtime view took this long for the rows of one read; `failure` is the code of the error it ended with. */
  functionTook(view: string, milliseconds: number, failure: string | undefined): void;
}

/** What readers need of a store. */
export type ReadStore = Pick<OnlineStore, "getMany">;

/** A store whose reads are timed. */
export function timedStore(store: ReadStore, observer: ReadObserver): ReadStore {
  return {
    getMany(collections, keys, signal) {
      const started = performance.now();
      return store.getMany(collections, keys, signal).then((values) => {
        observer.storeTook(performance.now() - started);
        return values;
      }, (error) => {
        observer.storeTook(performance.now() - started);
        throw error;
      });
    },
  };
}

/** A reader whose look-ups are counted: one per view and request, as the features of a view are found or missing together. */
export function countedReader(reader: ServiceReader, observer: ReadObserver): ServiceReader {
  const seen = new Set<string>();
  const views = reader.features.flatMap(({ namespace, view }, feature) => {
    if (seen.has(namespace)) return [];
    seen.add(namespace);
    return [{ namespace, feature, counts: observer.countsOf(view) }];
  });
  return {
    service: reader.service,
    features: reader.features,
    joinKeys: reader.joinKeys,
    requestFields: reader.requestFields,
    read(requests, options) {
      return reader.read(requests, options).then((answers) => {
        for (const { statuses, cut } of answers) {
          for (const { namespace, feature, counts } of views) {
            const status = statuses[feature]!;
            counts[status] = (counts[status] ?? 0) + 1;
            if (cut?.includes(namespace)) counts.CUT = (counts.CUT ?? 0) + 1;
          }
        }
        return answers;
      });
    },
  };
}
