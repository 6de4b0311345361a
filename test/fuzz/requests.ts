/** Requests made of the API's description: right ones, nearly right ones, and hostile ones, for every operation. */
import fc from "fast-check";
import { dataFor, type Meanings, type Schema } from "./schema_data.ts";
import { hostile, nearly } from "./spoil.ts";

/** One request, as it goes over the wire. */
export interface FuzzRequest {
  /** The operation it was made for: `post /materialize`. */
  readonly operation: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** What is read of an OpenAPI document. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** See {@link OpenApi}. */
export interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}

const json = "application/json";
const contentTypes = [
  json,
  `${json}; charset=utf-8`,
  `${json}; charset=latin1`,
  "text/plain",
  "application/x-www-form-urlencoded",
  "application/xml",
  "multipart/form-data; boundary=x",
  `${json};;;`,
  "json",
  "",
];
const oddHeaders: readonly Readonly<Record<string, string>>[] = [
  { "x-request-id": "a b\u00e9" },
  { "content-encoding": "gzip" },
  { "accept": "text/html" },
  { "accept-encoding": "br;q=x" },
  { "cookie": "a=".repeat(2_000) },
  { "authorization": "Bearer nobody" },
  { "user-agent": "tecton-http-java-client x" },
  { "expect": "100-continue" },
  { "origin": "https://example.com", "access-control-request-method": "POST" },
];
const oddMethods = ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "PROPFIND"];

/** An arbitrary of requests of all operations, in all scenarios: sets of names and data that go together. */
export function requestsFor(api: OpenApi, scenarios: readonly Meanings[]): fc.Arbitrary<FuzzRequest> {
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) =>
      scenarios.map((meanings) => ({
        weight: operation.requestBody ? 5 : 1,
        arbitrary: requestsOf(path, method, operation, meanings),
      }))
    )
  );
  return fc.oneof(...operations);
}

function requestsOf(path: string, method: string, operation: Operation, meanings: Meanings): fc.Arbitrary<FuzzRequest> {
  const name = `${method} ${path}`;
  const parameters = operation.parameters ?? [];
  const named = (place: string, extra: fc.Arbitrary<unknown>): fc.Arbitrary<Readonly<Record<string, unknown>>> => {
    const arbitraries = Object.fromEntries(
      parameters.filter((each) => each.in === place).map((each) => [
        each.name,
        fc.oneof(
          { weight: 9, arbitrary: fc.constantFrom(...meanings[each.name] ?? [undefined]) },
          { weight: 3, arbitrary: dataFor(each.schema, meanings) },
          { weight: 1, arbitrary: extra },
        ),
      ]),
    );
    return place === "path" ? fc.record(arbitraries) : fc.record(arbitraries, { requiredKeys: [] });
  };
  const strange = fc.constantFrom("..", "%2e%2e%2f", "%00", "%", "a b", "\u00e9", "x".repeat(300), "");
  const url = fc.tuple(named("path", strange), named("query", strange)).map(([inPath, inQuery]) => {
    const filled = path.replace(/\{(\w+)\}/g, (_, key: string) => segment(inPath[key]));
    const query = Object.entries(inQuery).filter(([, value]) => value !== undefined)
      .map(([key, value]) => `${key}=${segment(value)}`).join("&");
    return query === "" ? filled : `${filled}?${query}`;
  });
  const schema = operation.requestBody?.content[json]?.schema;
  const data = schema === undefined ? fc.constant(undefined) : dataFor(schema, meanings);
  const text = (value: string) => new TextEncoder().encode(value);
  const body: fc.Arbitrary<Uint8Array | undefined> = data.chain((value) => {
    if (value === undefined) return fc.option(fc.constant(text("{}")), { nil: undefined, freq: 5 });
    return fc.oneof(
      { weight: 4, arbitrary: fc.constant(text(JSON.stringify(value))) },
      { weight: 5, arbitrary: nearly(value).map(text) },
      { weight: 2, arbitrary: hostile(value) },
      { weight: 1, arbitrary: fc.constant(undefined) },
    );
  });
  return fc.record({
    url,
    body,
    method: fc.oneof({ weight: 19, arbitrary: fc.constant(method.toUpperCase()) }, {
      weight: 1,
      arbitrary: fc.constantFrom(...oddMethods),
    }),
    type: fc.oneof({ weight: 19, arbitrary: fc.constant(json) }, {
      weight: 1,
      arbitrary: fc.constantFrom(...contentTypes),
    }),
    headers: fc.oneof({ weight: 19, arbitrary: fc.constant({}) }, {
      weight: 1,
      arbitrary: fc.constantFrom(...oddHeaders),
    }),
    suffix: fc.oneof({ weight: 29, arbitrary: fc.constant("") }, {
      weight: 1,
      arbitrary: fc.constantFrom("/", "/x", "?a=1&a=2", "?__proto__=1", "?=", "?%", ";a", "//"),
    }),
  }).map(({ url: address, body: sent, method: verb, type, headers, suffix }) => ({
    operation: name,
    method: verb,
    path: address + suffix,
    headers: { ...(sent !== undefined && type !== "" && { "content-type": type }), ...headers },
    ...(sent !== undefined && { body: sent }),
  }));
}

/** A part of a path or query; what is percent-encoded already stays as it is. */
function segment(value: unknown): string {
  const text = String(value);
  // A text may hold half a pair of surrogates, which is no text to encode.
  return /^[%\w.]+$/.test(text) ? text : encodeURIComponent(text.replace(/\p{Surrogate}/gu, "?"));
}
