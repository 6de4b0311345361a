/** Constants: from JavaScript values to literal nodes, and from literal nodes to the row form of engines. */
import { givenText, VarveError } from "../errors.ts";
import { type DataType, formatType, isListType, isStructType } from "../schema.ts";
import { formatTimestamp, Timestamp, timestampLimits, toMicros } from "../time.ts";
import { commonType } from "./operation_rules.ts";
import { isWellFormed } from "./operation_options.ts";
import type { LiteralNode, LiteralValue } from "./expr_node.ts";

/** A JavaScript value that can stand for a constant; an object is a struct. */
export type Plain =
  | null
  | string
  | number
  | bigint
  | boolean
  | Timestamp
  | Date
  | Uint8Array
  | readonly Plain[]
  | { readonly [name: string]: Plain };

/** A constant of a value: of the given type, else of the type that the value says. */
export function literalOf(value: Plain, type?: DataType): LiteralNode {
  const chosen = type ?? plainType(value);
  return Object.freeze({ kind: "literal", type: chosen, value: encode(value, chosen) });
}

const isInt32 = (value: number): boolean =>
  Number.isInteger(value) && value >= -2147483648 && value <= 2147483647 && !Object.is(value, -0);

/** Null alone says nothing: it is taken as a string until something beside it says more. */
function plainType(value: Plain): DataType {
  switch (typeof value) {
    case "string":
      return "string";
    case "boolean":
      return "boolean";
    case "bigint":
      return "int64";
    case "number":
      return isInt32(value) ? "int32" : "float64";
  }
  if (value === null) return "string";
  if (value instanceof Timestamp || value instanceof Date) return "timestamp";
  if (value instanceof Uint8Array) return "binary";
  if (Array.isArray(value)) return listType(value);
  if (typeof value !== "object" || Object.getPrototypeOf(value) !== Object.prototype) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot use ${
        givenText(value)
      } as a constant: give a string, number, bigint, boolean, Timestamp, Date, bytes, a list or a plain object`,
    );
  }
  return { struct: Object.entries(value).map(([name, part]) => ({ name, type: plainType(part) })) };
}

function listType(values: readonly Plain[]): DataType {
  let type: DataType | undefined;
  for (const value of values) {
    if (value === null) continue;
    const next = plainType(value);
    const common: DataType | undefined = type === undefined ? next : commonType(type, next);
    if (common === undefined) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot use a list of ${formatType(type!)} and ${formatType(next)} as a constant: give elements of one type`,
      );
    }
    type = common;
  }
  return { list: type ?? "string" };
}

function encode(value: Plain, type: DataType): LiteralValue {
  if (value === null) return null;
  const fail = (): never => {
    throw new VarveError("INVALID_REQUEST", `Cannot use ${describe(value)} as a constant of type ${formatType(type)}`);
  };
  if (isListType(type)) {
    return Array.isArray(value) ? Object.freeze(value.map((each) => encode(each, type.list))) : fail();
  }
  if (isStructType(type)) {
    if (typeof value !== "object" || Array.isArray(value)) return fail();
    const parts = type.struct.map((
      field,
    ) => [field.name, encode((value as Record<string, Plain>)[field.name] ?? null, field.type)]);
    return Object.freeze(Object.fromEntries(parts));
  }
  const encoded = encodeScalar(value, type);
  return encoded === undefined || literalProblem(encoded, type) !== undefined ? fail() : encoded;
}

function encodeScalar(value: Plain, type: DataType): LiteralValue | undefined {
  switch (type) {
    case "string":
    case "boolean":
    case "int32":
      return value as LiteralValue;
    case "int64":
    case "duration":
      return typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value))
        ? String(value)
        : undefined;
    case "float32":
    case "float64": {
      if (typeof value !== "number" && typeof value !== "bigint") return undefined;
      const number = type === "float32" ? Math.fround(Number(value)) : Number(value);
      return Object.is(number, -0) ? "-0" : Number.isFinite(number) ? number : String(number);
    }
    case "timestamp":
      if (
        typeof value === "string" || typeof value === "bigint" || value instanceof Date || value instanceof Timestamp
      ) return String(toMicros(value));
      return undefined;
    case "date":
      if (value instanceof Timestamp || value instanceof Date) return formatTimestamp(toMicros(value)).slice(0, 10);
      return value as LiteralValue;
    case "binary":
      return value instanceof Uint8Array ? btoa(String.fromCharCode(...value)) : undefined;
  }
  return undefined;
}

function describe(value: unknown): string {
  return typeof value === "bigint"
    ? `${value}n`
    : value instanceof Timestamp
    ? String(value)
    : JSON.stringify(value) ?? typeof value;
}

/** Why a literal node's value is not of its type; undefined when it is. */
export function literalProblem(value: unknown, type: DataType): string | undefined {
  try {
    decode(value as LiteralValue, type);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The value in row form: int64, timestamp and duration bigint, date int32 days, binary bytes. */
export function literalValue(node: LiteralNode): unknown {
  return decode(node.value, node.type);
}

function decode(value: LiteralValue, type: DataType): unknown {
  if (value === null) return null;
  const fail = (): never => {
    throw new TypeError(`${JSON.stringify(value)} is not a value of type ${formatType(type)}`);
  };
  if (isListType(type)) {
    return Array.isArray(value) ? Object.freeze(value.map((each: LiteralValue) => decode(each, type.list))) : fail();
  }
  if (isStructType(type)) {
    if (typeof value !== "object" || Array.isArray(value)) return fail();
    const names = new Set(type.struct.map((field) => field.name));
    if (Object.keys(value).some((name) => !names.has(name))) return fail();
    const parts = type.struct.map((
      field,
    ) => [field.name, decode((value as { [name: string]: LiteralValue })[field.name] ?? null, field.type)]);
    return Object.freeze(Object.fromEntries(parts));
  }
  return decodeScalar(value, type) ?? fail();
}

const specialFloats: Readonly<Record<string, number>> = {
  NaN: NaN,
  Infinity: Infinity,
  "-Infinity": -Infinity,
  "-0": -0,
};

function decodeScalar(value: LiteralValue, type: DataType): unknown {
  switch (type) {
    case "string":
      return typeof value === "string" && isWellFormed(value) ? value : undefined;
    case "boolean":
      return typeof value === "boolean" ? value : undefined;
    case "int32":
      return typeof value === "number" && isInt32(value) ? value : undefined;
    case "float32":
    case "float64": {
      const number = typeof value === "string" && Object.hasOwn(specialFloats, value) ? specialFloats[value] : value;
      if (
        typeof number !== "number" || (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0)))
      ) return undefined;
      return type === "float32" && !Object.is(Math.fround(number), number) ? undefined : number;
    }
    case "int64":
    case "duration":
      return decodeInteger(value);
    case "timestamp": {
      const micros = decodeInteger(value);
      return micros !== undefined && micros >= timestampLimits.min && micros <= timestampLimits.max
        ? micros
        : undefined;
    }
    case "date":
      return typeof value === "string" ? daysOf(value) : undefined;
    case "binary":
      return typeof value === "string" ? decodeBase64(value) : undefined;
  }
  return undefined;
}

function decodeInteger(value: LiteralValue): bigint | undefined {
  if (typeof value !== "string" || !/^(0|-?[1-9][0-9]{0,18})$/.test(value)) return undefined;
  const integer = BigInt(value);
  return BigInt.asIntN(64, integer) === integer ? integer : undefined;
}

/** Days since 1970 of `YYYY-MM-DD`, undefined when there is no such day. */
export function daysOf(text: string): number | undefined {
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text) || text < "0001") return undefined;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text ? undefined : ms / 86_400_000;
}

function decodeBase64(text: string): Uint8Array | undefined {
  try {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return btoa(String.fromCharCode(...bytes)) === text ? bytes : undefined;
  } catch {
    return undefined;
  }
}
