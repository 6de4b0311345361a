/**
 * Online reads: the features of a service for keys, at the time of the request. Loads neither DuckDB nor Polars. A service
 * is compiled once; a request then costs one key per entity, one `getMany`, and the decoding of what came back.
 */
import type { FeatureDefinition } from "../define/definitions.ts";
import { VarveError } from "../errors.ts";
import { literalValue } from "../frame/expr_literal.ts";
import { type Field, formatType } from "../schema.ts";
import type { Micros } from "../time.ts";
import { encodeKey, rowLayout, tilesBehind, tilesKey } from "../storage/encoding.ts";
import type { Collection, ViewState } from "../storage/online_store.ts";
import { type FeatureRead, keyColumns } from "./feature_read.ts";
import { AttributeValues } from "./online_attributes.ts";
import type { LookupCounts, ReadObserver, ReadStore } from "./observe.ts";
import type { Found, ViewValues } from "./online_values.ts";
import { WindowValues } from "./online_windows.ts";
import { checkNoFields } from "./request_fields.ts";
import type {
  Answer,
  FeatureRequest,
  FindState,
  ReadFeaturesOptions,
  ServedFeature,
  ServiceReader,
} from "./service_reader.ts";
import type { FeatureStatus } from "./status.ts";
import { missing, nullKey, type RowView, rowViewsOf, StoredAnswer } from "./stored_answer.ts";

/** How a reader is made. */
export interface CompileOptions {
  /** What errors call what is read. @default `service "…"` */
  readonly title?: string;
  /** Told of look-ups in the store, and how long they took. */
  readonly observer?: ReadObserver | undefined;
}

/** Compiles a service's reads into a reader. */
export function compileService(
  service: string,
  reads: readonly FeatureRead[],
  store: ReadStore,
  findState: FindState,
  { title = `service "${service}"`, observer }: CompileOptions = {},
): ServiceReader {
  const joinKeys: Field[] = [];
  const keySets = new Map<string, KeySet>();
  const uses = reads.map((read) => {
    if (!read.definition.online) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot serve ${title}: view "${read.definition.name}" is not kept online; publish it with online: true`,
        { details: { service, view: read.definition.name } },
      );
    }
    const fields = keyColumns(read);
    for (const field of fields) if (!joinKeys.some(({ name }) => name === field.name)) joinKeys.push(field);
    const signature = JSON.stringify(fields.map(({ name, type }) => [name, type]));
    const keys = keySets.get(signature) ?? { index: keySets.size, fields };
    keySets.set(signature, keys);
    return compileUse(read, keys);
  });
  const sets = [...keySets.values()];
  return new CompiledReader(service, Object.freeze(joinKeys), sets, uses, store, findState, title, observer);
}

/** Columns of a request that make one encoded key: views of one entity share it. */
interface KeySet {
  readonly index: number;
  readonly fields: readonly Field[];
}

/** One view of the service. */
interface ViewUse {
  readonly read: FeatureRead;
  readonly keys: KeySet;
  /** What is read, in order. */
  readonly features: readonly FeatureDefinition[];
  readonly values: ViewValues;
}

function compileUse(read: FeatureRead, keys: KeySet): ViewUse {
  const { definition } = read;
  const all: readonly FeatureDefinition[] = definition.features;
  const places = read.features.map(({ feature }) => all.findIndex(({ name }) => name === feature));
  const features = places.map((place) => all[place]!);
  const defaults = defaultsOf(features);
  const values = definition.mode === "attributes"
    ? new AttributeValues(definition, places, defaults)
    : new WindowValues(definition, places, defaults);
  return { read, keys, features, values };
}

/** What replaces null in each feature (S7), in user form: a layout's own coding turns literals into it. */
function defaultsOf(features: readonly FeatureDefinition[]): unknown[] {
  const layout = rowLayout(features);
  const literals = features.map(({ type, default: value }) =>
    value === undefined ? null : literalValue({ kind: "literal", type, value })
  );
  return layout.decodeUser(layout.encode({ eventTimestamp: 0n, sequence: 0n }, literals));
}

/** What was looked up for some requests. */
interface Lookups {
  /** The states of the views, and where each of the values is looked for. */
  readonly served: readonly ServedState[];
  readonly collections: Collection[];
  readonly keys: Uint8Array[];
  /** Where the value of request r and view v is found; -1 is a null key, for which nothing is looked up (S7). */
  readonly places: number[];
  found: (Uint8Array | undefined)[];
  readonly at: Micros;
  readonly times: boolean;
  /** Places of totals that are for other instants. */
  insufficient?: number[];
}

/** The state of a view version that is loaded. */
type ServedState = ViewState & { readonly collection: Collection };

const noFields: readonly Field[] = Object.freeze([]);

class CompiledReader implements ServiceReader {
  readonly service: string;
  readonly features: readonly ServedFeature[];
  readonly joinKeys: readonly Field[];
  readonly requestFields: readonly Field[] = noFields;
  readonly #keySets: readonly KeySet[];
  readonly #uses: readonly ViewUse[];
  readonly #store: ReadStore;
  readonly #findState: FindState;
  readonly #title: string;
  readonly #observer: ReadObserver | undefined;
  /** The views, where stored rows are all that values are made of. */
  readonly #rowViews: readonly RowView[] | undefined;
  /** Where the look-ups of each view are counted. */
  readonly #counts: readonly LookupCounts[] | undefined;

  constructor(
    service: string,
    joinKeys: readonly Field[],
    keySets: readonly KeySet[],
    uses: readonly ViewUse[],
    store: ReadStore,
    findState: FindState,
    title: string,
    observer: ReadObserver | undefined,
  ) {
    this.service = service;
    this.#title = title;
    this.joinKeys = joinKeys;
    this.#keySets = keySets;
    this.#uses = uses;
    this.#store = store;
    this.#findState = findState;
    this.#observer = observer;
    this.#rowViews = rowViewsOf(uses.map(({ values, features }) => ({ values, count: features.length })));
    this.#counts = observer && uses.map(({ read }) => observer.countsOf(read.definition.name));
    this.features = Object.freeze(
      uses.flatMap(({ read, features }) =>
        features.map(({ type, description }, i) => {
          const { tags } = read.definition;
          return Object.freeze({
            namespace: read.alias,
            name: read.features[i]!.as,
            view: read.definition.name,
            version: read.version,
            type,
            ...(description !== undefined && { description }),
            ...(tags !== undefined && { tags }),
          });
        })
      ),
    );
  }

  async read(
    requests: readonly FeatureRequest[],
    { at, context, times = true, signal }: ReadFeaturesOptions,
  ): Promise<Answer[]> {
    if (context) checkNoFields(this.#title, context);
    const lookups = this.#lookups(requests, at, times);
    const { collections, keys } = lookups;
    if (keys.length > 0) {
      const started = performance.now();
      try {
        lookups.found = await this.#store.getMany(collections, keys, signal);
      } finally {
        this.#tellOfLook(started);
      }
    }
    const answers = new Array<Answer | undefined>(requests.length);
    if (this.#rowViews) {
      for (let r = 0; r < requests.length; r++) answers[r] = this.#storedAnswer(lookups, r, this.#rowViews);
      return answers as Answer[];
    }
    for (let r = 0; r < requests.length; r++) answers[r] = this.#answer(lookups, r);
    if (lookups.insufficient) {
      await this.#fetchTiles(lookups.insufficient, lookups, signal);
      for (let r = 0; r < requests.length; r++) answers[r] ??= this.#whole(lookups, r);
    }
    if (this.#counts) this.#count(answers as Answer[], this.#counts);
    return answers as Answer[];
  }

  /** What has to be looked up. */
  #lookups(requests: readonly FeatureRequest[], at: Micros, times: boolean): Lookups {
    const uses = this.#uses;
    const count = uses.length;
    const served = new Array<ServedState>(count);
    for (let v = 0; v < count; v++) served[v] = this.#served(uses[v]!);
    const collections = new Array<Collection>(requests.length * count);
    const keys = new Array<Uint8Array>(requests.length * count);
    const places = new Array<number>(requests.length * count);
    const encoded = new Array<Uint8Array | null>(this.#keySets.length);
    let wanted = 0;
    for (let r = 0; r < requests.length; r++) {
      this.#encodeAll(requests, r, encoded);
      for (let v = 0; v < count; v++) {
        const key = encoded[uses[v]!.keys.index]!;
        if (key === null) {
          places[r * count + v] = -1;
          continue;
        }
        places[r * count + v] = wanted;
        collections[wanted] = served[v]!.collection;
        keys[wanted++] = key;
      }
    }
    // Not always: even to the length that it has, it is a call.
    if (wanted < keys.length) collections.length = keys.length = wanted;
    return { served, collections, keys, places, found: [], at, times };
  }

  #tellOfLook(started: number): void {
    this.#observer?.storeTook(performance.now() - started);
  }

  /** One look-up per view and request, as the features of a view are found or missing together. */
  #count(answers: readonly Answer[], counts: readonly LookupCounts[]): void {
    for (let r = 0; r < answers.length; r++) {
      const { statuses, cut } = answers[r]!;
      for (let v = 0, feature = 0; v < this.#uses.length; v++) {
        const { read, features } = this.#uses[v]!;
        const of = counts[v]!;
        const status = statuses[feature]!;
        of[status] = (of[status] ?? 0) + 1;
        if (cut?.includes(read.alias)) of.CUT = (of.CUT ?? 0) + 1;
        feature += features.length;
      }
    }
  }

  /**
   * Looks up the tiles behind totals that do not suffice, and puts them in their place. The totals are looked up again with them: a
   * load may have replaced both meanwhile.
   */
  async #fetchTiles(
    places: readonly number[],
    { found, collections, keys }: Lookups,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const wanted = places.map((place) => keys[place]!);
    const where = places.map((place) => collections[place]!);
    const started = performance.now();
    const values = await this.#store.getMany([...where, ...where], [...wanted, ...wanted.map(tilesKey)], signal)
      .finally(() => this.#tellOfLook(started));
    for (const [i, place] of places.entries()) {
      const totals = values[i] ?? found[place]!;
      found[place] = tilesBehind(totals, values[places.length + i]) ?? totals;
    }
  }

  #whole(lookups: Lookups, r: number): Answer {
    const answer = this.#answer(lookups, r);
    if (answer) return answer;
    throw new VarveError(
      "UNAVAILABLE",
      `Cannot read ${this.#title}: the values of an entity are only half written; try again, or load its view again`,
      { details: { service: this.service } },
    );
  }

  #served({ read }: ViewUse): ServedState {
    const state = this.#findState(read.definition.name, read.version);
    if (state?.collection !== undefined) return state as ServedState;
    throw new VarveError(
      "UNAVAILABLE",
      `Cannot read ${this.#title}: view "${read.definition.name}" version ${read.version} is not loaded online yet; wait for its first load`,
      { details: { service: this.service, view: read.definition.name, version: read.version } },
    );
  }

  /** Writes a request's keys into `encoded`, by key set. */
  #encodeAll(requests: readonly FeatureRequest[], r: number, encoded: (Uint8Array | null)[]): void {
    try {
      for (let k = 0; k < this.#keySets.length; k++) encoded[k] = this.#encode(this.#keySets[k]!.fields, requests[r]!);
    } catch (error) {
      if (requests.length === 1 || !(error instanceof VarveError)) throw error;
      const details = { ...error.details, row: r };
      throw new VarveError(error.code, `${error.message} (row ${r} of ${requests.length}, from 0)`, { details });
    }
  }

  #encode(fields: readonly Field[], request: FeatureRequest): Uint8Array | null {
    const values = new Array<unknown>(fields.length);
    for (let i = 0; i < fields.length; i++) {
      const { name } = fields[i]!;
      const value = Object.hasOwn(request, name) ? request[name] : undefined;
      if (value === undefined) throw this.#missing(request);
      values[i] = value;
    }
    return encodeKey(fields, values);
  }

  #missing(request: FeatureRequest): VarveError {
    const missing = this.joinKeys.filter(({ name }) => !Object.hasOwn(request, name) || request[name] === undefined);
    return new VarveError(
      "INVALID_REQUEST",
      `Cannot read ${this.#title}: ${missing.length === 1 ? "join key" : "join keys"} ${
        missing.map(({ name }) => `"${name}"`).join(", ")
      } ${missing.length === 1 ? "is" : "are"} missing; join keys are ${
        this.joinKeys.map(({ name, type }) => `${name} ${formatType(type)}`).join(", ")
      } (null where there is none); given are ${Object.keys(request).join(", ") || "none"}`,
      { details: { service: this.service, missing: missing.map(({ name }) => name) } },
    );
  }

  /** Undefined where more has to be looked up, which is noted. */
  #answer(lookups: Lookups, r: number): Answer | undefined {
    const { found, places, served, at, times } = lookups;
    const first = r * served.length;
    let isWhole = true;
    const count = this.features.length;
    const values = new Array<unknown>(count);
    const statuses = new Array<FeatureStatus>(count);
    const effectiveTimes: (Micros | undefined)[] = [];
    const eventTimes: (Micros | undefined)[] = [];
    let storedBytes = 0;
    let cut: string[] | undefined;
    let feature = 0;
    for (let v = 0; v < this.#uses.length; v++) {
      const { values: view, features } = this.#uses[v]!;
      const place = places[first + v]!;
      const bytes = place < 0 ? undefined : found[place];
      let one = place < 0 ? nullKey : missing;
      if (bytes) {
        const read = view.read(bytes, at, served[v]!, values, feature);
        if (!read) {
          (lookups.insufficient ??= []).push(place);
          isWhole = false;
          continue;
        }
        one = read;
        storedBytes += bytes.length;
        if (one.isCut) (cut ??= []).push(this.#uses[v]!.read.alias);
      } else view.none(values, feature);
      const end = feature + features.length;
      if (times) {
        const { effectiveTime, eventTime } = one;
        for (let i = feature; i < end; i++) {
          effectiveTimes.push(effectiveTime);
          eventTimes.push(eventTime);
        }
      }
      for (; feature < end; feature++) statuses[feature] = one.status;
    }
    if (!isWhole) return undefined;
    const answer = { values, statuses, effectiveTimes, eventTimes, storedBytes };
    return cut ? { ...answer, cut } : answer;
  }

  #storedAnswer({ found, places, at, times }: Lookups, r: number, views: readonly RowView[]): StoredAnswer {
    const count = views.length;
    const rows = new Array<Uint8Array | undefined>(count);
    const looked = new Array<Found>(count);
    let storedBytes = 0;
    for (let v = 0; v < count; v++) {
      const place = places[r * count + v]!;
      const bytes = place < 0 ? undefined : found[place];
      if (bytes) storedBytes += bytes.length;
      const one = bytes ? views[v]!.values.found(bytes, at) : place < 0 ? nullKey : missing;
      looked[v] = one;
      const { status } = one;
      rows[v] = status === "PRESENT" ? bytes : undefined;
      const counts = this.#counts?.[v];
      if (counts) counts[status] = (counts[status] ?? 0) + 1;
    }
    return new StoredAnswer(views, rows, looked, storedBytes, times);
  }
}
