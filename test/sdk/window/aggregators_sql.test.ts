import { describe, expect, it } from "vitest";
import "../../../sdk/engine/install.ts";
import { userValue } from "../../../sdk/engine/value_form.ts";
import {
  all,
  any,
  count,
  countDistinct,
  first,
  last,
  max,
  maxBy,
  mean,
  min,
  minBy,
  stddevPop,
  stddevSamp,
  sum,
  varPop,
  varSamp,
} from "../../../sdk/frame/aggregates.ts";
import type { Frame } from "../../../sdk/frame/frame.ts";
import { fromRows, sql } from "../../../sdk/frame/sources.ts";
import { type WindowFunctionName, windowFunctionType } from "../../../sdk/frame/window_functions.ts";
import { type DataType, isFloatType, isNumericType, scalarTypes } from "../../../sdk/schema.ts";
import { aggregatorOf } from "../../../sdk/window/aggregator_of.ts";
import { Random, randomValue } from "../../conformance/expr_values.ts";
import { stateOf, type WindowRow } from "./window_cases.ts";

const seed = Number(process.env["VARVE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const groups = 60;

/** Moderate values, so that what the engine computes in doubles is near the truth; NaN, zeros of both signs, nulls. */
function value(type: DataType, random: Random): unknown {
  if (random.chance(0.1)) return null;
  if (isFloatType(type)) {
    return random.pick([-0, 0, 1, random.below(100) / 4, random.below(100) / 4, random.chance(0.1) ? NaN : -3]);
  }
  if (type === "int64" || type === "duration") return BigInt(random.below(40) - 20);
  return isNumericType(type) ? random.below(40) - 20 : randomValue(type, random, 0);
}

/** Rows of groups, each with its own instants. */
function groupsOf(type: DataType): WindowRow[][] {
  const random = new Random(seed);
  return Array.from({ length: groups }, () =>
    Array.from({ length: 1 + random.below(12) }, (_, time) => ({
      value: value(type, random),
      time,
      by: value("float64", random),
      key: null,
    })));
}

const types: readonly DataType[] = scalarTypes;

function fits(name: WindowFunctionName, type: DataType): boolean {
  try {
    windowFunctionType({ name: "x", function: name, parameters: parameters(name) }, type, by(name));
    return true;
  } catch {
    return false;
  }
}

function by(name: WindowFunctionName): DataType | undefined {
  return name === "minBy" || name === "maxBy" ? "float64" : undefined;
}

function parameters(name: WindowFunctionName): Record<string, number> {
  return ["firstN", "lastN", "minN", "maxN"].includes(name) ? { n: 3 } : {};
}

/** What aggregators give per group, as users see it. */
function ours(name: WindowFunctionName, type: DataType, rows: readonly WindowRow[][]): unknown[] {
  const order = by(name);
  const types = { input: type, ...(order && { by: order }) };
  const aggregator = aggregatorOf({ name: "x", function: name, parameters: parameters(name) }, types);
  return rows.map((each) => userValue(aggregator.finalize(stateOf(aggregator, each), 0), aggregator.result));
}

/** Numbers that may differ in a last digit; -0 is 0. */
function roughly(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(roughly);
  return typeof value === "number" && Number.isFinite(value) ? expect.closeTo(value, 6) : value;
}

/** DuckDB fails where one of these is not finite; windows give NaN. */
const isMoment = (name: WindowFunctionName): boolean => /^(var|stddev|skew|kurtosis)/.test(name);
const withoutNaN = (rows: readonly WindowRow[][]): WindowRow[][] =>
  rows.map((group) => group.filter(({ value }) => !Number.isNaN(value)));

describe.each(types)(`over %s (seed ${seed})`, (type) => {
  const rows = groupsOf(type);
  const [frame, finite] = [rows, withoutNaN(rows)].map((each) =>
    fromRows(
      each.flatMap((group, g) =>
        group.map(({ value, time, by }) => ({ g, t: time, v: userValue(value, type), o: by }))
      ),
      { schema: { g: "int32", t: "int32", v: type, o: "float64" } },
    )
  ) as unknown as [Frame, Frame];
  const expected = (name: WindowFunctionName): unknown[] =>
    ours(name, type, isMoment(name) ? withoutNaN(rows).filter(({ length }) => length > 0) : rows);

  it("windows give what a group-by gives", async () => {
    const functions = {
      count: count("v"),
      sum: sum("v"),
      min: min("v"),
      max: max("v"),
      mean: mean("v"),
      varPop: varPop("v"),
      varSamp: varSamp("v"),
      stddevPop: stddevPop("v"),
      stddevSamp: stddevSamp("v"),
      first: first("v", { by: "t" }),
      last: last("v", { by: "t" }),
      countDistinct: countDistinct("v"),
      minBy: minBy("v", "o"),
      maxBy: maxBy("v", "o"),
      any: any("v"),
      all: all("v"),
    };
    const names = (Object.keys(functions) as (keyof typeof functions)[]).filter((name) => fits(name, type));
    for (const name of names) {
      const aggregated = (isMoment(name) ? finite : frame).groupBy("g").aggregate({ x: functions[name] }).sort("g");
      const theirs = await aggregated.rows() as { x: unknown }[];
      expect(expected(name), name).toEqual(theirs.map(({ x }) => roughly(x)));
    }
    expect(names.length).toBeGreaterThan(6);
  });

  it("windows give what SQL gives", async () => {
    const functions: Partial<Record<WindowFunctionName, string>> = {
      // NaN where all values are equal: there is no skew, nor a kurtosis, which is null.
      skew: "nullif(skewness(v), 'nan')",
      kurtosis: "kurtosis(v)",
      minN: "coalesce(min(v, 3), [])",
      maxN: "coalesce(max(v, 3), [])",
      firstN: "coalesce(list(v ORDER BY t) FILTER (WHERE v IS NOT NULL), [])[:3]",
      lastN: "coalesce(list(v ORDER BY t) FILTER (WHERE v IS NOT NULL), [])[-3:]",
    };
    const names = (Object.keys(functions) as WindowFunctionName[]).filter((name) => fits(name, type));
    for (
      const [of, from] of [[names.filter(isMoment), finite], [names.filter((name) => !isMoment(name)), frame]] as const
    ) {
      if (of.length === 0) continue;
      const columns = of.map((name) => `${functions[name]} AS "${name}"`);
      const theirs = sql(`SELECT ${columns.join(", ")} FROM t GROUP BY g ORDER BY g`, { t: from });
      const found = await theirs.rows() as Record<string, unknown>[];
      for (const name of of) expect(expected(name), name).toEqual(found.map((row) => roughly(row[name])));
    }
  });
});
