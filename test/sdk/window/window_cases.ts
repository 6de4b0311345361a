/** Random rows, functions and constants for tests of aggregators, and the ways in which states are made of rows. */
import {
  type WindowFunction,
  type WindowFunctionName,
  windowFunctions,
  windowFunctionType,
} from "../../../sdk/frame/window_functions.ts";
import { type DataType, isFloatType, isListType, isNumericType, isStructType } from "../../../sdk/schema.ts";
import { type Aggregator, makeStates, type States } from "../../../sdk/window/aggregator.ts";
import { Random, randomValue, sampleTypes } from "../../conformance/expr_values.ts";
import type { OracleInput } from "../../oracle/window_functions.ts";

export interface WindowRow extends OracleInput {
  readonly time: number;
  readonly by: unknown;
  /** The secondary key. */
  readonly key: unknown;
}

/** The types that a function takes, among the sample types; undefined: none. */
export function inputTypes(name: WindowFunctionName): (DataType | undefined)[] {
  return [...(name === "count" ? [undefined] : []), ...sampleTypes].filter((type) => {
    try {
      windowFunctionType({ name: "x", function: name, parameters: someParameters(name) }, type, byType(name));
      return true;
    } catch {
      return false;
    }
  });
}

export function byType(name: WindowFunctionName): DataType | undefined {
  return name === "minBy" || name === "maxBy" ? "float64" : undefined;
}

function someParameters(name: WindowFunctionName): Record<string, number | number[]> {
  return randomParameters(name, new Random(0));
}

export function randomParameters(name: WindowFunctionName, random: Random): Record<string, number | number[]> {
  const spec: WindowFunction = windowFunctions[name];
  return Object.fromEntries(
    Object.keys(spec.parameters ?? {}).map((parameter) => {
      switch (parameter) {
        case "n":
        case "k":
          return [parameter, random.pick([1, 2, 3, 7, 1000])];
        case "precision":
          return [parameter, random.pick([4, 8, 12, 16])];
        case "quantile":
          return [parameter, random.pick([0, 0.25, 0.5, 0.99, 1, random.next()])];
        case "accuracy":
          return [parameter, random.pick([0.001, 0.01, 0.1])];
        default:
          return [
            parameter,
            Array.from({ length: 1 + random.below(6) }, (_, i) => i * 10 + random.below(9) - 20),
          ];
      }
    }),
  );
}

/** Rows in order: some alike, some awkward, some null. */
export function randomRows(random: Random, type: DataType | undefined, count: number): WindowRow[] {
  const few = Array.from({ length: 3 }, () => type === undefined ? undefined : randomValue(type, random, 0));
  const kind = random.pick(["awkward", "few", "tame"] as const);
  let time = random.below(100);
  return Array.from({ length: count }, () => ({
    time: time += random.below(3),
    value: random.chance(0.15) ? null : kind === "few" ? random.pick(few) : someValue(kind, type, random),
    by: randomValue("float64", random),
    key: random.pick(["a", "b", "z", "é"]),
  }));
}

function someValue(kind: "awkward" | "tame", type: DataType | undefined, random: Random): unknown {
  if (type === undefined) return undefined;
  if (kind === "awkward" || !isNumericType(type)) return randomValue(type, random, 0);
  if (type === "int64") return BigInt(random.below(2000) - 1000);
  if (!isFloatType(type)) return random.below(2000) - 1000;
  const number = random.pick([random.next() * 100, random.below(10_000) / 100, random.next() - 0.5]);
  return type === "float32" ? Math.fround(number) : number;
}

/** The state of rows, in the first place of columns of its own. */
export function stateOf(aggregator: Aggregator, rows: readonly WindowRow[]): States {
  const states = makeStates(aggregator, 1);
  aggregator.clear(states, 0);
  for (const { value, time, by, key } of rows) {
    if (value !== null || aggregator.grouped) aggregator.update(states, 0, value, time, by, key);
  }
  return states;
}

/** The state of rows by merging those of random parts of them, some of them stored meanwhile. */
export function mergedState(aggregator: Aggregator, rows: readonly WindowRow[], random: Random): States {
  if (rows.length < 2 || random.chance(0.2)) {
    const states = stateOf(aggregator, rows);
    return random.chance(0.5) ? storedAndRead(aggregator, states) : states;
  }
  const cut = random.below(rows.length + 1);
  const states = mergedState(aggregator, rows.slice(0, cut), random);
  aggregator.merge(states, 0, mergedState(aggregator, rows.slice(cut), random), 0);
  return random.chance(0.3) ? storedAndRead(aggregator, states) : states;
}

/** The state as it is when it has been stored and read again: packed, checked, and nothing shared. */
export function storedAndRead(aggregator: Aggregator, states: States): States {
  aggregator.pack?.(states, 0);
  const read = makeStates(aggregator, 1);
  aggregator.slots.forEach(({ name, type }, k) => {
    const value = states[k]![0];
    if (!isRowForm(value, type)) throw new TypeError(`${name} holds ${String(value)}, which is not in row form`);
    // Buffers, as stores give them: their slice() shares bytes.
    read[k]![0] =
      (value as unknown instanceof Uint8Array ? Buffer.from(value as never) : structuredClone(value)) as never;
  });
  return read;
}

function isRowForm(value: unknown, type: DataType): boolean {
  if (value === null) return true;
  if (isListType(type)) return Array.isArray(value) && value.every((each) => isRowForm(each, type.list));
  if (isStructType(type)) {
    const parts = value as Record<string, unknown>;
    return Object.keys(parts).length === type.struct.length &&
      type.struct.every((field) => isRowForm(parts[field.name], field.type));
  }
  switch (type) {
    case "string":
      return typeof value === "string";
    case "boolean":
      return typeof value === "boolean";
    case "int32":
    case "date":
      return typeof value === "number" && (value | 0) === value;
    case "float32":
    case "float64":
      return typeof value === "number";
    case "binary":
      return value instanceof Uint8Array;
  }
  return typeof value === "bigint";
}
