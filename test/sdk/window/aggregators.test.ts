import { describe, expect, it } from "vitest";
import { type WindowFunctionName, windowFunctions } from "../../../sdk/frame/window_functions.ts";
import { type DataType, formatType } from "../../../sdk/schema.ts";
import type { Aggregator } from "../../../sdk/window/aggregator.ts";
import { aggregatorOf } from "../../../sdk/window/aggregator_of.ts";
import { Random } from "../../conformance/expr_values.ts";
import { windowOracle, windowProblem } from "../../oracle/window_functions.ts";
import {
  byType,
  inputTypes,
  mergedState,
  randomParameters,
  randomRows,
  stateOf,
  storedAndRead,
  type WindowRow,
} from "./window_cases.ts";

const isDeep = process.env["VARVE_DEEP"] === "1";
const seed = Number(process.env["VARVE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const cases = isDeep ? 2_000 : 25;

interface Case {
  readonly name: WindowFunctionName;
  readonly type: DataType | undefined;
  readonly parameters: Record<string, number | number[]>;
  readonly rows: readonly WindowRow[];
}

function make({ name, type, parameters }: Case, secondaryKey?: DataType): Aggregator {
  const by = byType(name);
  return aggregatorOf({ name: "x", function: name, parameters }, {
    ...(type && { input: type }),
    ...(by && { by }),
    ...(secondaryKey && { secondaryKey }),
  });
}

/** Runs a check on random cases of every function and type; a sum that leaves 64 bits must be refused. */
function check(what: string, test: (each: Case, random: Random) => void): void {
  describe(what, () => {
    it.each(Object.keys(windowFunctions) as WindowFunctionName[])(`%s (seed ${seed})`, (name) => {
      const random = new Random(seed ^ name.length);
      for (const type of inputTypes(name)) {
        for (let i = 0; i < cases; i++) {
          const rows = randomRows(random, type, random.pick([0, 1, 2, 5, 12, 40]));
          const each = { name, type, parameters: randomParameters(name, random), rows };
          try {
            test(each, random);
          } catch (error) {
            const input = type && formatType(type);
            throw new Error(`${name} of ${input}, case ${i}, ${JSON.stringify(each.parameters)}`, { cause: error });
          }
        }
      }
    });
  });
}

/** The result, or what was refused. */
function resultOf(aggregator: Aggregator, states: Parameters<Aggregator["finalize"]>[0]): unknown {
  try {
    const result = aggregator.finalize(states, 0);
    // States that were read hold buffers, which are bytes too.
    return result instanceof Uint8Array ? new Uint8Array(result) : result;
  } catch (error) {
    return (error as Error).message;
  }
}

check("over a plain loop gives what the oracle gives", (each) => {
  const aggregator = make(each);
  const states = stateOf(aggregator, each.rows);
  const result = resultOf(aggregator, states);
  if (/leaves 64 bits/.test(String(result))) {
    expect(() => windowOracle(each.name, each.type, each.parameters, each.rows)).toThrow(RangeError);
    return;
  }
  expect(windowProblem(result, each.name, each.type, each.parameters, each.rows)).toBeUndefined();
  // Again, and as it would be stored.
  expect(resultOf(aggregator, states)).toEqual(result);
  expect(resultOf(aggregator, storedAndRead(aggregator, states))).toEqual(result);
});

check("of rows that are added at once gives what it gives of one after the other", (each, random) => {
  const aggregator = make(each);
  if (!aggregator.updateAll) return;
  const { rows, type } = each;
  const values = rows.map(({ value }) => value);
  const columns = type === "float64" || type === "float32"
    ? { values: Float64Array.from(values, (value) => (value as number | null) ?? 7) }
    : { values };
  const nulls = type === "float64" || type === "float32"
    ? Uint8Array.from(values, (value) => Number(value === null))
    : undefined;
  const states = stateOf(aggregator, []);
  for (let from = 0; from < rows.length;) {
    const to = from + 1 + random.below(rows.length - from);
    aggregator.updateAll(states, 0, columns.values, nulls, from, to);
    from = to;
  }
  expect(storedAndRead(aggregator, states)).toEqual(storedAndRead(aggregator, stateOf(aggregator, rows)));
});

check("over parts that are merged, and stored meanwhile, gives the same", (each, random) => {
  const aggregator = make(each);
  const merged = mergedState(aggregator, each.rows, random);
  expect(resultOf(aggregator, merged)).toEqual(resultOf(aggregator, stateOf(aggregator, each.rows)));
});

check("leaves what is merged as it was", (each, random) => {
  const aggregator = make(each);
  const cut = random.below(each.rows.length + 1);
  const from = stateOf(aggregator, each.rows.slice(0, cut));
  const into = stateOf(aggregator, []);
  aggregator.merge(into, 0, from, 0);
  for (const row of each.rows.slice(cut)) {
    if (row.value !== null) aggregator.update(into, 0, row.value, row.time, row.by);
  }
  expect(storedAndRead(aggregator, from)).toEqual(
    storedAndRead(aggregator, stateOf(aggregator, each.rows.slice(0, cut))),
  );
});

check("without rows that were added first gives what the others give", (each, random) => {
  const aggregator = make(each);
  if (!aggregator.subtract) return;
  const { rows } = each;
  const states = mergedState(aggregator, rows, random);
  let from = 0;
  while (from < rows.length) {
    const to = from + 1 + random.below(rows.length - from);
    aggregator.subtract(states, 0, mergedState(aggregator, rows.slice(from, to), random), 0);
    from = to;
    expect(resultOf(aggregator, states)).toEqual(resultOf(aggregator, stateOf(aggregator, rows.slice(from))));
  }
});

check("of equal rows has equal states", (each) => {
  const [one, other] = [make(each), make(each)];
  expect(storedAndRead(one, stateOf(one, each.rows))).toEqual(storedAndRead(other, stateOf(other, each.rows)));
});

check("by a secondary key gives a list, and an element for keys whose rows do not count", (each, random) => {
  const aggregator = make(each, "string");
  const keys = [...new Set(each.rows.map(({ key }) => key as string))].sort();
  for (const states of [stateOf(aggregator, each.rows), mergedState(aggregator, each.rows, random)]) {
    const results = resultOf(aggregator, states);
    if (typeof results === "string") continue; // a sum of one group leaves 64 bits
    expect(aggregator.grouped!.keys(states, 0)).toEqual(keys);
    const single = make(each);
    const expected = keys.map((key) => single.finalize(stateOf(single, each.rows.filter((row) => row.key === key)), 0));
    expect(results).toEqual(expected);
  }
});

check("by a secondary key forgets keys without rows", (each, random) => {
  const aggregator = make(each, "string");
  if (!aggregator.subtract) return;
  const cut = random.below(each.rows.length + 1);
  const states = mergedState(aggregator, each.rows, random);
  aggregator.subtract(states, 0, mergedState(aggregator, each.rows.slice(0, cut), random), 0);
  const rest = stateOf(aggregator, each.rows.slice(cut));
  expect(aggregator.grouped!.keys(states, 0)).toEqual(aggregator.grouped!.keys(rest, 0));
  expect(resultOf(aggregator, states)).toEqual(resultOf(aggregator, rest));
});
