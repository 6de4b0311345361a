/** Lists and structs in JavaScript. */
import { type DataType, isFloatType, isListType } from "../schema.ts";
import type { TypedCall } from "../frame/expr_type.ts";
import { argType, type Builder, strict1, strict1By, strict2By } from "./row_builder.ts";
import { checkInt64, comparatorOf, keyOf } from "./row_value.ts";
import { slicer } from "./row_string.ts";

type List = readonly unknown[];

function elementType(call: TypedCall): DataType {
  const type = argType(call, 0);
  if (!isListType(type)) throw new TypeError("Cannot compile a list operation: its argument is no list");
  return type.list;
}

const present = (list: List): unknown[] => list.filter((value) => value !== null);

/** Without -0, so that equal floats sort and count as one. */
function normalized(list: List, type: DataType): List {
  return isFloatType(type) ? list.map((value) => value === null ? null : (value as number) + 0) : list;
}

const listSum = strict1By((call) => {
  if (call.type === "float64") {
    return (list: List) => {
      const values = present(list) as number[];
      if (values.length === 0) return null;
      let sum = 0;
      for (const value of values) sum += value;
      return sum;
    };
  }
  return (list: List) => {
    const values = present(list);
    return values.length === 0 ? null : checkInt64(sumOf(values));
  };
});

function sumOf(values: readonly unknown[]): bigint {
  let sum = 0n;
  for (const value of values) sum += BigInt(value as number | bigint);
  return sum;
}

const listMean = strict1((list: List) => {
  let sum = 0;
  let count = 0;
  for (const value of list) {
    if (value === null) continue;
    sum += Number(value);
    count++;
  }
  return count === 0 ? null : sum / count;
});

function listExtreme(isBetter: (order: number) => boolean): Builder {
  return strict1By((call) => {
    const compare = comparatorOf(elementType(call));
    return (list: List) => {
      let best: unknown = null;
      for (const value of list) {
        if (value !== null && (best === null || isBetter(compare(value, best)))) best = value;
      }
      return best;
    };
  });
}

const listContains = strict2By((call) => {
  const compare = comparatorOf(elementType(call));
  return (list: List, wanted: unknown) => list.some((value) => value !== null && compare(value, wanted) === 0);
});

const listSort = strict1By((call) => {
  const type = elementType(call);
  const compare = comparatorOf(type);
  const sign = call.options["descending"] ? -1 : 1;
  return (list: List) => {
    const values = present(normalized(list, type)).sort((a, b) => sign * compare(a, b));
    while (values.length < list.length) values.push(null);
    return values;
  };
});

const listDistinct = strict1By((call) => {
  const type = elementType(call);
  const compare = comparatorOf(type);
  const key = keyOf(type);
  return (list: List) => {
    const byKey = new Map<unknown, unknown>();
    for (const value of present(normalized(list, type))) byKey.set(key(value), value);
    return [...byKey.values()].sort(compare);
  };
});

const listConcat: Builder = (args) => (row) => {
  const lists = args.map((arg) => arg(row) as List | null);
  return lists.includes(null) ? null : lists.flatMap((list) => [...list!]);
};

const struct: Builder = (args, call) => {
  const names = call.options["names"] as readonly string[];
  return (row) => Object.fromEntries(args.map((arg, i) => [names[i]!, arg(row)]));
};

export const listBuilders = {
  list: ((args) => (row) => args.map((arg) => arg(row))) as Builder,
  listLength: strict1((list: List) => list.length),
  listGet: strict1By((call) => {
    const index = Number(call.options["index"]);
    return (list: List) => list.at(index) ?? null;
  }),
  listContains,
  listSum,
  listMin: listExtreme((order) => order < 0),
  listMax: listExtreme((order) => order > 0),
  listMean,
  listSlice: strict1By(slicer),
  listSort,
  listDistinct,
  listReverse: strict1((list: List) => [...list].reverse()),
  listConcat,
  listJoin: strict1By((call) => (list: List) => present(list).join(String(call.options["separator"]))),
  struct,
  field: strict1By((call) => {
    const name = String(call.options["name"]);
    return (value: Record<string, unknown>) => Object.hasOwn(value, name) ? value[name] ?? null : null;
  }),
} as const;
