/** How large the parts of a request's body may be, whatever its route makes of it. */
import { VarveError } from "varve";

/** See the server's configuration. */
export interface JsonLimits {
  readonly maxTextLength: number;
  readonly maxListLength: number;
  readonly maxJsonDepth: number;
}

/** Throws INVALID_REQUEST that names the limit and the variable that moves it. Parsed JSON only: it has no cycles. */
export function checkSizes(value: unknown, limits: JsonLimits): void {
  check(value, limits, 0);
}

function check(value: unknown, limits: JsonLimits, depth: number): void {
  if (typeof value === "string") {
    if (value.length <= limits.maxTextLength) return;
    throw over(`a text has ${value.length} characters`, limits.maxTextLength, "VARVE_MAX_TEXT_LENGTH");
  }
  if (typeof value !== "object" || value === null) return;
  if (depth >= limits.maxJsonDepth) {
    throw over("lists and objects lie deeper in each other", limits.maxJsonDepth, "VARVE_MAX_JSON_DEPTH");
  }
  if (Array.isArray(value)) {
    checkCount("a list", value.length, limits);
    for (let i = 0; i < value.length; i++) check(value[i], limits, depth + 1);
    return;
  }
  let count = 0;
  for (const key in value) {
    count++;
    if (key.length > limits.maxTextLength) check(key, limits, depth);
    check((value as Readonly<Record<string, unknown>>)[key], limits, depth + 1);
  }
  checkCount("an object", count, limits);
}

function checkCount(what: string, count: number, { maxListLength }: JsonLimits): void {
  if (count <= maxListLength) return;
  throw over(`${what} has ${count} elements`, maxListLength, "VARVE_MAX_LIST_LENGTH");
}

function over(what: string, limit: number, variable: string): VarveError {
  return new VarveError(
    "INVALID_REQUEST",
    `Cannot read the request: ${what}, and the limit is ${limit}; send less at a time, or let the server's ${variable} be larger`,
    { details: { limit, variable } },
  );
}
