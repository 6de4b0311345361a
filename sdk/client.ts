/**
 * Reads features from a server over HTTP: with `fetch` alone, in Node, Deno and browsers. Requests and answers are typed by the
 * service's definition; nothing is generated.
 *
 * @example
 * ```ts
 * import { featureClient } from "varve/client";
 * const client = featureClient({ url: "http://localhost:6566", timeoutMs: 500 });
 * // With the definition, or its type alone, keys and features are typed: client.features<typeof model>("delay_model", …)
 * const ask = async (origin: string) => await client.features("delay_model", { origin });
 * console.log(typeof ask);
 * ```
 * @module
 */
import { decodeValue, encodeFields } from "./client/decode.ts";
import { type Post, transport, type TransportOptions } from "./client/transport.ts";
import { checkOptions, optionIssues, type OptionNames, throwIssues, VarveError } from "./errors.ts";
import type { DataType, Row } from "./schema.ts";
import { Timestamp, toMicros } from "./time.ts";

export { errorCodes, VarveError } from "./errors.ts";
export type { ErrorCode, VarveErrorOptions } from "./errors.ts";
export { Timestamp } from "./time.ts";
export type { Micros, TimestampLike } from "./time.ts";
export type { Row } from "./schema.ts";
export type { TransportOptions } from "./client/transport.ts";

/** A service as its definition types it: what `service()` of package varve gives. */
export interface ServiceLike {
  /** Its name on the server. */
  readonly name: string;
  /** What a request names and what is answered, and what realtime views ask of it beside keys; types only. */
  // deno-lint-ignore no-explicit-any
  readonly types: { readonly request: any; readonly features: any; readonly fields?: any };
}

/** What a request to a service names: its join keys. */
export type RequestOf<S extends ServiceLike> = S["types"]["request"];

/** What a service answers. */
export type FeaturesOf<S extends ServiceLike> = S["types"]["features"];

/** What realtime views of a service ask of a request beside join keys; any row where that is not known. */
export type FieldsOf<S extends ServiceLike> = S["types"] extends { readonly fields: infer Fields extends Row } ? Fields
  : Row;

/** The last argument of a call: it has to be there just where a realtime view asks for fields. */
export type CallArguments<S extends ServiceLike, Options, Given> = string extends keyof FieldsOf<S>
  ? [options?: Options]
  : [keyof FieldsOf<S>] extends [never] ? [options?: Options]
  : [options: Omit<Options, keyof Given> & Given];

/** How a client works. */
export interface ClientOptions extends TransportOptions {
  /** The workspace; the server's own when absent. */
  readonly workspace?: string;
  /**
   * Joins calls of the same moment into one request. `waitMs` is how long the first of them waits for others. Where a row of it
   * fails, each call is asked alone: only the one whose row it is fails.
   * @default every call is a request
   */
  readonly batch?: { readonly maxRows?: number; readonly waitMs?: number };
}

/** What may be said about one call. */
export interface CallOptions {
  /** What realtime views ask of the request, `{ amount: 12 }`: every field, null included. */
  readonly request?: Row;
  /** Stops it. */
  readonly signal?: AbortSignal;
}

/** What may be said about a call for many keys. */
export interface ManyCallOptions {
  /** What realtime views ask of the requests: one record holds for all keys, a list has one for each. */
  readonly request?: Row | readonly Row[];
  /** Stops it. */
  readonly signal?: AbortSignal;
}

/** One feature with all that is known of it. */
export interface FeatureDetail {
  /** Its name. */
  readonly name: string;
  /** The view it comes from. */
  readonly view: string;
  /** Its value in user form. */
  readonly value: unknown;
  /** `PRESENT`, `MISSING`, `EXPIRED`, `NULL_KEY` or `TIME_OUT`. */
  readonly status: string;
  /** When the value became effective. */
  readonly effective?: Timestamp;
}

/** A client of one server. Safe to share; it holds nothing but settings and what is waiting to be sent. */
export class FeatureClient {
  readonly #post: Post;
  readonly #options: ClientOptions;
  readonly #waiting = new Map<string, Waiting>();

  /** Made by {@link featureClient}. */
  constructor(options: ClientOptions) {
    const issues = optionIssues(options.batch, batchOptions).map(({ path, message }) => ({
      path: `batch.${path}`,
      message,
    }));
    throwIssues("Cannot make a client", [...optionIssues(options, clientOptions), ...issues], "INVALID_CONFIG");
    this.#options = options;
    this.#post = transport(options);
  }

  /** The features of one key. */
  async features<S extends ServiceLike = ServiceLike>(
    service: S | string,
    keys: RequestOf<S>,
    ...[options = {}]: CallArguments<S, CallOptions, { readonly request: FieldsOf<S> }>
  ): Promise<FeaturesOf<S>> {
    checkCall(service, options);
    const row = rowOf(keys as object, options.request);
    if (this.#options.batch && !options.signal) return await this.#join(nameOf(service), row) as FeaturesOf<S>;
    const answer = await this.#call(nameOf(service), "get-features", row, {
      includeNames: true,
      includeExactTypes: true,
    }, options);
    const { result, metadata } = answer as OneAnswer;
    return record(result.features, metadata.features) as FeaturesOf<S>;
  }

  /** The features of many keys, in their order; one request for each thousand. */
  async featuresOf<S extends ServiceLike = ServiceLike>(
    service: S | string,
    keys: readonly RequestOf<S>[],
    ...[options = {}]: CallArguments<S, ManyCallOptions, { readonly request: FieldsOf<S> | readonly FieldsOf<S>[] }>
  ): Promise<FeaturesOf<S>[]> {
    checkCall(service, options);
    const request: Row | readonly Row[] | undefined = options.request;
    if (isList(request) && request.length !== keys.length) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot read features: there are ${keys.length} keys and ${request.length} requests; give one for each, or one for all`,
      );
    }
    const rows = keys.map((each, i) => rowOf(each as object, isList(request) ? request[i] : request));
    const parts: Promise<Row[]>[] = [];
    for (let i = 0; i < rows.length; i += maxRows) {
      parts.push(this.#batch(nameOf(service), rows.slice(i, i + maxRows), options.signal));
    }
    return (await Promise.all(parts)).flat() as FeaturesOf<S>[];
  }

  /** The features of one key with status, effective time and view of each. */
  async details<S extends ServiceLike = ServiceLike>(
    service: S | string,
    keys: RequestOf<S>,
    ...[options = {}]: CallArguments<S, CallOptions, { readonly request: FieldsOf<S> }>
  ): Promise<FeatureDetail[]> {
    checkCall(service, options);
    const wanted = {
      includeNames: true,
      includeExactTypes: true,
      includeServingStatus: true,
      includeEffectiveTimes: true,
    };
    const row = rowOf(keys as object, options.request);
    const { result, metadata } = await this.#call(nameOf(service), "get-features", row, wanted, options) as OneAnswer;
    return metadata.features.map(({ name, exactType, status, reason, effectiveTime }, i) => ({
      name: name.slice(name.indexOf(".") + 1),
      view: name.slice(0, name.indexOf(".")),
      value: decodeValue(result.features[i], exactType),
      status: reason ?? status ?? "PRESENT",
      ...(typeof effectiveTime === "string" && { effective: new Timestamp(toMicros(effectiveTime)) }),
    }));
  }

  async #call(
    service: string,
    path: string,
    params: object,
    metadataOptions: Readonly<Record<string, boolean>>,
    { signal }: Pick<CallOptions, "signal">,
  ): Promise<unknown> {
    const { workspace } = this.#options;
    const names = { featureServiceName: service, ...(workspace !== undefined && { workspaceName: workspace }) };
    return await this.#post(
      `/api/v1/feature-service/${path}`,
      { params: { ...names, ...params, metadataOptions } },
      signal,
    );
  }

  async #batch(service: string, requestData: readonly object[], signal?: AbortSignal): Promise<Row[]> {
    const wanted = { includeNames: true, includeExactTypes: true };
    const options = signal ? { signal } : {};
    const answer = await this.#call(service, "get-features-batch", { requestData }, wanted, options) as ManyAnswer;
    return answer.result.map(({ features }) => record(features, answer.metadata.features));
  }

  #join(service: string, row: object): Promise<Row> {
    const { maxRows: most = 100, waitMs = 0 } = this.#options.batch!;
    return new Promise((resolve, reject) => {
      let waiting = this.#waiting.get(service);
      if (!waiting) {
        this.#waiting.set(service, waiting = []);
        const mine = waiting;
        setTimeout(() => this.#flush(service, mine), waitMs);
      }
      waiting.push({ row, resolve, reject });
      if (waiting.length >= Math.min(most, maxRows)) this.#flush(service, waiting);
    });
  }

  #flush(service: string, calls: Waiting): void {
    if (this.#waiting.get(service) !== calls) return; // it was full, and sent
    this.#waiting.delete(service);
    void this.#send(service, calls);
  }

  async #send(service: string, calls: Waiting): Promise<void> {
    try {
      const answers = await this.#batch(service, calls.map(({ row }) => row));
      for (const [i, { resolve }] of calls.entries()) resolve(answers[i]!);
    } catch (error) {
      // One caller's mistake is not another's, nor is the row that failed for it: each is asked alone.
      const alone = calls.length > 1 && isOfOneRow(error);
      for (const call of calls) {
        if (alone) void this.#send(service, [call]);
        else call.reject(error);
      }
    }
  }
}

type Waiting = {
  readonly row: object;
  readonly resolve: (row: Row) => void;
  readonly reject: (error: unknown) => void;
}[];

interface Described {
  readonly name: string;
  readonly exactType: DataType;
  readonly status?: string;
  readonly reason?: string;
  readonly effectiveTime?: string | null;
}

interface OneAnswer {
  readonly result: { readonly features: readonly unknown[] };
  readonly metadata: { readonly features: readonly Described[] };
}

interface ManyAnswer {
  readonly result: readonly { readonly features: readonly unknown[] }[];
  readonly metadata: { readonly features: readonly Described[] };
}

/** What servers take in one request. */
const maxRows = 1_000;

const clientOptions: OptionNames<ClientOptions> = {
  url: true,
  key: true,
  workspace: true,
  timeoutMs: true,
  retries: true,
  hedgeAfterMs: true,
  batch: true,
  fetch: true,
};

const batchOptions: OptionNames<NonNullable<ClientOptions["batch"]>> = { maxRows: true, waitMs: true };

const callOptions: OptionNames<CallOptions & ManyCallOptions> = { request: true, signal: true };

/** A client of a server. */
export function featureClient(options: ClientOptions): FeatureClient {
  return new FeatureClient(options);
}

/** Whether a request may be refused for one of its rows, so that the others have answers. */
function isOfOneRow(error: unknown): boolean {
  return error instanceof VarveError && (error.code === "INVALID_REQUEST" || typeof error.details["row"] === "number");
}

function checkCall(service: ServiceLike | string, options: CallOptions | ManyCallOptions): void {
  checkOptions(`Cannot read "${nameOf(service)}"`, options, callOptions);
}

function isList(request: Row | readonly Row[] | undefined): request is readonly Row[] {
  return Array.isArray(request);
}

function nameOf(service: ServiceLike | string): string {
  return typeof service === "string" ? service : service.name;
}

function rowOf(keys: object, request: Row | undefined): object {
  return { joinKeyMap: encodeFields(keys), ...(request && { requestContextMap: encodeFields(request) }) };
}

/** Features by name; two of one name are two views', and are told apart by the view's. */
function record(values: readonly unknown[], features: readonly Described[]): Row {
  const row: Record<string, unknown> = {};
  for (const [i, { name, exactType }] of features.entries()) {
    const short = name.slice(name.indexOf(".") + 1);
    row[Object.hasOwn(row, short) ? name : short] = decodeValue(values[i], exactType);
  }
  return row;
}
