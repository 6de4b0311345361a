/** What a view must answer, by plain loops over all rows, and what is wrong with what it answers. */
import type { WindowFunctionName } from "../../sdk/frame/window_functions.ts";
import { type OracleInput, windowProblem } from "../oracle/window_functions.ts";
import { type OracleLookup, windowsOracle } from "../oracle/windows.ts";
import { type OwnName, ownOracles } from "./windows_random_own.ts";
import type { RandomAggregation, RandomView, Row } from "./windows_random_view.ts";

/** One look-up in row form: when, for whom. */
export interface Probe {
  readonly a: string | null;
  readonly b: bigint | null;
  readonly ts: bigint;
}

/** What was answered: values in row form, by feature. */
export interface Given {
  readonly status: unknown;
  readonly effective: unknown;
  readonly values: Row;
}

type TimedRow = Row & { readonly time: bigint };

/** What rows of a source must give. */
export class RandomAnswers {
  readonly #view: RandomView;
  readonly #byKey = new Map<string, TimedRow[]>();
  /** Answers that were found right or wrong: many look-ups have the same rows. */
  readonly #known = new Map<string, string | undefined>();

  /** `source` in its order. */
  constructor(view: RandomView, source: readonly Row[]) {
    this.#view = view;
    const { secondaryKey, filter, meaning } = view;
    const counting = source.filter((row) =>
      row["a"] !== null && row["b"] !== null && row["t"] !== null &&
      (secondaryKey === undefined || row[secondaryKey.name] !== null) && (filter === undefined || row[filter] === true)
    );
    const written = ({ w }: Row) => meaning.writtenTimestamp === undefined || w === null ? -1n : w as bigint;
    // Sorting keeps the source's order where times are equal.
    counting.sort((x, y) => ascending(x["t"], y["t"]) || ascending(written(x), written(y)));
    for (const row of counting) {
      const key = keyOf(row);
      const rows = this.#byKey.get(key) ?? [];
      this.#byKey.set(key, rows);
      rows.push({ ...row, time: row["t"] as bigint });
    }
  }

  /** What is wrong with an answer; undefined: nothing. */
  problem(probe: Probe, asOf: "effective" | "event", given: Given): string | undefined {
    const isNullKey = probe.a === null || probe.b === null;
    const lookup = windowsOracle(
      this.#view.meaning,
      isNullKey ? [] : this.#byKey.get(keyOf(probe)) ?? [],
      probe.ts,
      asOf,
    );
    const status = isNullKey ? "NULL_KEY" : lookup.status;
    if (given.status !== status) return `it is ${String(given.status)}, not ${status}`;
    if (given.effective !== lookup.effective) return `it is of ${String(given.effective)}, not ${lookup.effective}`;
    for (const [feature, actual] of Object.entries(given.values)) {
      const problem = this.#featureProblem(feature, actual, lookup);
      if (problem) return `${feature}: ${problem}`;
    }
    return undefined;
  }

  #featureProblem(feature: string, actual: unknown, lookup: OracleLookup<TimedRow>): string | undefined {
    const { aggregations, windows, secondaryKey } = this.#view;
    const [name, window] = [feature.replace(/_w\d+$/, ""), Number(/_w(\d+)$/.exec(feature)![1])];
    const rows = lookup.windows[window]!;
    const aggregation = aggregations.find((each) => each.name === name);
    if (windows[window]!.kind === "series") {
      return listProblem(actual, rows, (value, of) => this.#problem(aggregation!, value, of));
    }
    if (secondaryKey === undefined) {
      const { default: fallback } = aggregation!;
      // Where nothing replaces null, there must be none of what would replace it: the value itself is compared.
      if (fallback === undefined) return this.#problem(aggregation!, actual, rows[0]!);
      if (actual === null) return "it is null in spite of its default";
      const problem = this.#problem(aggregation!, actual, rows[0]!);
      return problem && text(actual) === text(fallback) ? this.#problem(aggregation!, null, rows[0]!) : problem;
    }
    const keys = [...new Set(rows[0]!.map((row) => row[secondaryKey.name]))].sort(ascending);
    if (name === `${secondaryKey.name}_keys`) {
      return listProblem(
        actual,
        keys,
        (value, key) => value === key ? undefined : `${text(value)} is not ${text(key)}`,
      );
    }
    const of = (key: unknown) => rows[0]!.filter((row) => row[secondaryKey.name] === key);
    return listProblem(actual, keys, (value, key) => this.#problem(aggregation!, value, of(key)));
  }

  #problem(aggregation: RandomAggregation, actual: unknown, rows: readonly TimedRow[]): string | undefined {
    const key = `${aggregation.name} ${rows.map(({ id }) => id as number).join()} ${text(actual)}`;
    if (!this.#known.has(key)) this.#known.set(key, this.#computed(aggregation, actual, rows));
    return this.#known.get(key);
  }

  #computed(aggregation: RandomAggregation, actual: unknown, rows: readonly TimedRow[]): string | undefined {
    const { function: name, type, input, parameters, where } = aggregation;
    const inputs = rows.map((row): OracleInput => ({
      value: where && !where.holds(row) ? null : type === undefined ? undefined : row[`x${input}`],
      by: row["o"],
    }));
    const own = ownOracles[name as OwnName];
    if (!own) return windowProblem(actual, name as WindowFunctionName, type, parameters, inputs);
    const expected = own(inputs.flatMap(({ value }) => value === null ? [] : [value as number]));
    return actual === expected ? undefined : `${name} gives ${text(actual)}, not ${expected}`;
  }
}

function listProblem<T>(
  actual: unknown,
  expected: readonly T[],
  problemOf: (value: unknown, each: T) => string | undefined,
): string | undefined {
  if (!Array.isArray(actual) || actual.length !== expected.length) {
    return `${text(actual)} is no list of ${expected.length}`;
  }
  return actual.map((value, i) => problemOf(value, expected[i]!)).find((problem) => problem !== undefined);
}

function keyOf({ a, b }: Row | Probe): string {
  return JSON.stringify([a, String(b)]);
}

/** Text by code points, false before true. */
function ascending(x: unknown, y: unknown): number {
  if (typeof x === "string") return Buffer.compare(Buffer.from(x), Buffer.from(y as string));
  return (x as number) < (y as number) ? -1 : (x as number) > (y as number) ? 1 : 0;
}

/** Values as text: tells -0 from 0, bigint from number, and bytes from lists. */
export function text(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === "bigint") return `${each}n`;
    if (typeof each === "number" && !Number.isFinite(each)) return String(each);
    if (Object.is(each, -0)) return "-0";
    return each instanceof Uint8Array ? `bytes ${each.join()}` : each;
  }) ?? "undefined";
}
