/** The rows of a random test: what happens when, when it is told, and in which files it lies meanwhile. */
import { userValue } from "../../sdk/engine/value_form.ts";
import { fromRows } from "../../sdk/frame/sources.ts";
import { alignDown, durationToMicros, toMicros } from "../../sdk/time.ts";
import type { Random } from "../conformance/expr_values.ts";
import { randomValue } from "../conformance/expr_values.ts";
import { randomRows } from "./window/window_cases.ts";
import type { RandomView, Row } from "./windows_random_view.ts";

const big = 2n ** 63n;

/** All rows that ever are, and those that the source has now. */
export class RandomRows {
  readonly #random: Random;
  readonly #view: RandomView;
  /** Rows that will come, in the order in which they are told; some of them too early, some late. */
  #coming: { readonly row: Row; readonly told: bigint }[];
  #present: Row[] = [];

  constructor(random: Random, view: RandomView, count: number, slices: number) {
    this.#random = random;
    this.#view = view;
    const slice = durationToMicros(view.meaning.schedule);
    this.#coming = randomSource(random, view, count, slices).map((row) => {
      const at = row["t"] as bigint | null ?? toMicros(view.meaning.start);
      const late = random.chance(0.15) ? BigInt(random.below(3 * 1000)) * slice / 1000n : 0n;
      return { row, told: random.chance(0.05) ? at - 2n * slice : at + late };
    });
  }

  /** What the source has now, in its order. */
  get present(): readonly Row[] {
    return this.#present;
  }

  /** Lets time pass: rows come, and few go. Gives the event times of those that came or went, and writes the files. */
  async advance(now: bigint): Promise<bigint[]> {
    const random = this.#random;
    const gone = this.#present.filter(() => random.chance(0.01));
    const came = this.#coming.filter(({ told }) => told <= now).map(({ row }) => row);
    this.#coming = this.#coming.filter(({ told }) => told > now);
    this.#present = [...this.#present.filter((row) => !gone.includes(row)), ...came].sort((x, y) =>
      Number(x["place"]) - Number(y["place"])
    );
    await this.#write();
    return [...gone, ...came].flatMap(({ t }) => t === null ? [] : [t as bigint]);
  }

  /** A row's place is the number of its file, and a fraction: files and rows are in no order of time. */
  async #write(): Promise<void> {
    const { paths, types } = this.#view;
    for (const [file, path] of paths.entries()) {
      const rows = this.#present.filter(({ place }) => Math.floor(place as number) === file).map((row) =>
        Object.fromEntries(
          Object.entries(types).map(([name, type]) => [name, userValue(row[name], type)]),
        )
      );
      await fromRows(rows, { schema: types }).toParquet(path);
    }
  }
}

/** Keys that have rows, the last ones few. */
const keys = ["", "x", "é", "a longer key than fits"].flatMap((a) => [0n, -7n, 2n ** 62n].map((b) => ({ a, b })));

/** Keys to ask for: with rows, without any, and null. */
export const askedKeys: readonly { readonly a: string | null; readonly b: bigint | null }[] = [
  ...keys,
  { a: "x", b: 8n },
  { a: "unknown", b: 0n },
  { a: null, b: 0n },
  { a: "x", b: null },
];

function randomSource(random: Random, view: RandomView, count: number, slices: number): Row[] {
  const inputs = view.aggregations.map(({ type }, place) => {
    const isSummed = view.aggregations.some((each) => each.input === place && each.function === "sum");
    return isSummed && (type === "int64" || type === "duration")
      ? sumValues(random, count)
      : randomRows(random, type, count).map(({ value }) => value);
  });
  const times: (bigint | null)[] = [];
  return Array.from({ length: count }, (_, id) => {
    const t = random.chance(0.02) ? null : randomTime(random, view, times, slices);
    times.push(t);
    const value = (few: readonly unknown[]) => random.chance(0.1) ? null : random.pick(few);
    const { a, b } = keys[Math.min(random.below(keys.length), random.below(keys.length * 2))]!;
    return {
      id,
      place: random.below(view.paths.length) + random.next(),
      a: random.chance(0.02) ? null : a,
      b: random.chance(0.02) ? null : b,
      t,
      w: random.chance(0.2) ? null : toMicros("2200-01-01") + BigInt(random.below(3)),
      g: value(["é", "a", "b", ""]),
      gi: value([-big, 0n, 9n, 10n, big - 1n]),
      gb: value([true, false]),
      gd: value([-1, 0, 18_321]),
      flag: random.chance(0.1) ? null : random.chance(0.6),
      keep: random.chance(0.05) ? null : random.chance(0.9),
      o: randomValue("float64", random),
      ...Object.fromEntries(inputs.map((values, i) => [`x${i}`, values[id] ?? null])),
    };
  });
}

/** Sums of any of these fit into 64 bits, most of them narrowly. */
function sumValues(random: Random, count: number): (bigint | null)[] {
  const values = Array.from(
    { length: count },
    () => random.chance(0.15) ? null : BigInt(random.below(2001) - 1000) * random.pick([1n, 2n ** 30n]),
  );
  const most = values.reduce<bigint>((sum, value) => sum + (value === null ? 0n : value < 0n ? -value : value), 1n);
  values[random.below(count)] = big - 1n - most;
  values[random.below(count)] = most - big;
  return values;
}

/** On, just before and just after what may be a boundary; at the time of another row; or anywhere, also outside of the view. */
function randomTime(
  random: Random,
  { meaning }: RandomView,
  times: readonly (bigint | null)[],
  slices: number,
): bigint {
  if (times.length > 0 && random.chance(0.2)) {
    const other = random.pick(times);
    if (other !== null) return other;
  }
  const slice = durationToMicros(meaning.schedule);
  const start = toMicros(meaning.start);
  const any = start - slice + BigInt(Math.floor(random.next() * Number(slice * BigInt(slices + 2))));
  if (random.chance(0.5)) return any;
  const on = alignDown(any, random.chance(0.5) ? slice : durationToMicros(meaning.every));
  return on + random.pick([0n, 0n, -1n, 1n]);
}
