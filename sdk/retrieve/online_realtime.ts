/** Online reads of services with realtime views: stored features are looked up, the others computed of them at the request. */
import type { RealtimeViewDefinition } from "../define/definitions.ts";
import { columnsOfFeature } from "../define/realtime_checks.ts";
import { requestTimeColumn } from "../frame/expr_node.ts";
import { rowValue, userValue } from "../engine/value_form.ts";
import { VarveError } from "../errors.ts";
import { type DataType, type Field, isListType, isStructType } from "../schema.ts";
import { type AnyRead, featureOf, type FeatureRead, isRealtime } from "./feature_read.ts";
import { type CompileOptions, compileService } from "./online.ts";
import type { FunctionRuns } from "../sandbox/runner_options.ts";
import type { ReadObserver, ReadStore } from "./observe.ts";
import { type RealtimeComputer, realtimeComputer } from "./realtime_compute.ts";
import { requestFieldsOfReads, requestRows } from "./request_fields.ts";
import type {
  Answer,
  ComputedInputs,
  FeatureRequest,
  FindState,
  ReadFeaturesOptions,
  ServedFeature,
  ServiceReader,
} from "./service_reader.ts";
import { type ComputedRead, splitReads } from "./stored_reads.ts";

/** What compiling reads needs. */
export interface CompileReadsOptions extends CompileOptions {
  /** Runs the functions of realtime views. */
  readonly functions: FunctionRuns;
}

/** Compiles the reads of a service into a reader. */
export function compileReads(
  service: string,
  reads: readonly AnyRead[],
  store: ReadStore,
  findState: FindState,
  options: CompileReadsOptions,
): ServiceReader {
  if (!reads.some(isRealtime)) {
    return compileService(service, reads as readonly FeatureRead[], store, findState, options);
  }
  const { stored, computed } = splitReads(reads);
  const inner = compileService(service, stored, store, findState, options);
  const { title = `service "${service}"` } = options;
  return new RealtimeReader(service, title, reads, inner, computed, options);
}

/** Expressions are given what they read, and no more: making rows would cost more than computing. */
function inputsUsed<T extends { readonly name: string }>(view: RealtimeViewDefinition, inputs: readonly T[]): T[] {
  const used = new Set(view.features.flatMap(({ name }) => columnsOfFeature(view, name)));
  return inputs.filter(({ name }) => used.has(name));
}

/** A realtime view as it is computed. */
interface Computation {
  readonly computer: RealtimeComputer;
  /** Where its inputs are among the stored features. */
  readonly inputs: readonly {
    readonly name: string;
    readonly place: number;
    readonly toRow: ((value: unknown) => unknown) | undefined;
  }[];
}

/** Where a feature of the answer comes from: a stored one, or a value of a computation. */
type Place =
  | { readonly stored: number }
  | {
    readonly computation: number;
    readonly value: number;
    readonly toUser: ((value: unknown) => unknown) | undefined;
  };

class RealtimeReader implements ServiceReader {
  readonly service: string;
  readonly features: readonly ServedFeature[];
  readonly joinKeys: readonly Field[];
  readonly requestFields: readonly Field[];
  readonly lookedUp: ServiceReader;
  readonly #title: string;
  readonly #computations: readonly Computation[];
  readonly #places: readonly Place[];
  /** The realtime view for which a look-up is made that the service did not ask for, by its alias. */
  readonly #owners: ReadonlyMap<string, string>;

  constructor(
    service: string,
    title: string,
    reads: readonly AnyRead[],
    inner: ServiceReader,
    computed: readonly ComputedRead[],
    { functions, observer }: CompileReadsOptions,
  ) {
    this.service = service;
    this.#title = title;
    this.lookedUp = inner;
    this.joinKeys = inner.joinKeys;
    this.requestFields = requestFieldsOfReads(reads);
    const storedPlaces = new Map(inner.features.map(({ name }, i) => [name, i]));
    this.#computations = computed.map(({ read, inputs }) => ({
      computer: timedComputer(realtimeComputer(read.definition, functions), read.definition, observer),
      inputs: inputsUsed(read.definition, inputs).map(({ name, type, column }) => ({
        name,
        place: storedPlaces.get(column)!,
        toRow: isSameInBothForms(type) ? undefined : (value: unknown) => rowValue(value, type),
      })),
    }));
    const own = new Set(reads.map(({ alias }) => alias));
    this.#owners = new Map(
      computed.flatMap(({ read, inputs }) =>
        inputs.map(({ column }) => [inner.features[storedPlaces.get(column)!]!.namespace, read.alias] as const)
      ).filter(([namespace]) => !own.has(namespace)),
    );
    const features: ServedFeature[] = [];
    const places: Place[] = [];
    for (const read of reads) {
      for (const { feature, as } of read.features) {
        if (!isRealtime(read)) {
          const stored = storedPlaces.get(as)!;
          places.push({ stored });
          features.push(inner.features[stored]!);
          continue;
        }
        const { type, description } = featureOf(read, feature);
        const { tags } = read.definition;
        places.push({
          computation: computed.findIndex((each) => each.read === read),
          value: read.definition.features.findIndex(({ name }) => name === feature),
          toUser: isSameInBothForms(type) ? undefined : (value: unknown) => userValue(value, type),
        });
        features.push(Object.freeze({
          namespace: read.alias,
          name: as,
          view: read.definition.name,
          version: read.version,
          type,
          isComputed: true,
          ...(description !== undefined && { description }),
          ...(tags !== undefined && { tags }),
        }));
      }
    }
    this.features = Object.freeze(features);
    this.#places = places;
  }

  async read(requests: readonly FeatureRequest[], options: ReadFeaturesOptions): Promise<Answer[]> {
    const fields = requestRows(this.#title, this.requestFields, options.context ?? [], requests.length);
    const { at, signal, times = true } = options;
    const stored = await this.lookedUp.read(requests, { at, signal, times });
    const computed: (unknown[][] | undefined)[] = [];
    const title = (row: number) => requests.length === 1 ? "the request" : `row ${row} of ${requests.length}, from 0`;
    for (const { computer, inputs } of this.#computations) {
      const rows = stored.map(({ values }, r) => {
        const row: Record<string, unknown> = { ...fields[r], [requestTimeColumn]: at };
        for (const { name, place, toRow } of inputs) row[name] = toRow ? toRow(values[place]) : values[place];
        return row;
      });
      try {
        computed.push(await computer.compute(rows, title, signal));
      } catch (error) {
        if (!options.partial || !isLate(error)) throw cannotServe(this.#title, error);
        computed.push(undefined);
      }
    }
    return stored.map((lookedUp, r) => this.#answer({ lookedUp, fields: fields[r]! }, computed, r, at, times));
  }

  #answer(
    inputs: ComputedInputs,
    computed: readonly (unknown[][] | undefined)[],
    r: number,
    at: bigint,
    times: boolean,
  ): Answer {
    const stored = inputs.lookedUp;
    const count = this.#places.length;
    const values = new Array<unknown>(count);
    const statuses: Answer["statuses"] = new Array(count);
    const effectiveTimes: Answer["effectiveTimes"] = [];
    const eventTimes: Answer["eventTimes"] = [];
    for (let i = 0; i < count; i++) {
      const place = this.#places[i]!;
      if ("stored" in place) {
        values[i] = stored.values[place.stored];
        statuses[i] = stored.statuses[place.stored]!;
        if (times) {
          effectiveTimes.push(stored.effectiveTimes[place.stored]);
          eventTimes.push(stored.eventTimes[place.stored]);
        }
        continue;
      }
      const results = computed[place.computation];
      if (results === undefined) {
        values[i] = null;
        statuses[i] = "TIME_OUT";
        if (times) {
          effectiveTimes.push(undefined);
          eventTimes.push(undefined);
        }
        continue;
      }
      const value = results[r]![place.value];
      values[i] = place.toUser ? place.toUser(value) : value;
      // Computed now, of whatever there is (S4).
      statuses[i] = "PRESENT";
      if (times) {
        effectiveTimes.push(at);
        eventTimes.push(at);
      }
    }
    const { storedBytes, cut } = stored;
    const answer = { values, statuses, effectiveTimes, eventTimes, storedBytes, inputs };
    return cut ? { ...answer, cut: [...new Set(cut.map((alias) => this.#owners.get(alias) ?? alias))] } : answer;
  }
}

/** Tells how long a function takes; expressions are no more than a part of the request. */
function timedComputer(
  computer: RealtimeComputer,
  { name, compute }: RealtimeViewDefinition,
  observer: ReadObserver | undefined,
): RealtimeComputer {
  if (!observer || compute.kind !== "function") return computer;
  return {
    async compute(...args) {
      const started = performance.now();
      let failure: string | undefined;
      try {
        return await computer.compute(...args);
      } catch (error) {
        failure = error instanceof VarveError ? error.code : "INTERNAL";
        throw error;
      } finally {
        observer.functionTook(name, performance.now() - started, failure);
      }
    },
  };
}

function isLate(error: unknown): boolean {
  return error instanceof VarveError && error.code === "TIMEOUT";
}

/** What this process lacks to compute a view, another may have, or this one later: no reason to doubt the request. */
function cannotServe(title: string, error: unknown): unknown {
  if (!(error instanceof VarveError) || error.code !== "UNSUPPORTED") return error;
  return new VarveError("UNAVAILABLE", `Cannot read ${title}: ${error.message}`, { cause: error });
}

/** Whether values of a type are the same for executors and for users: no times in them. */
function isSameInBothForms(type: DataType): boolean {
  if (isListType(type)) return isSameInBothForms(type.list);
  if (isStructType(type)) return type.struct.every((part) => isSameInBothForms(part.type));
  return type !== "timestamp" && type !== "date";
}
