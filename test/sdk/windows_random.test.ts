/**
 * Views of aggregates from end to end: defined as users define them, published, computed in pieces and over again, late rows and
 * all, loaded and served. At any instant four answers must be one: a plain loop over all rows, training from the source, training
 * from what is stored, and what is served.
 *
 * A case is one look-up: all features of a view, for a key, at an instant, by one rule of what is known then, over what the source
 * holds at the time. VARVE_CASES says how many there are at least, VARVE_SEED repeats a run; VARVE_DEEP=1 is a long one.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import "../../sdk/engine/install.ts";
import { connect } from "../../sdk/connect.ts";
import { type FeatureService, service } from "../../sdk/define/service.ts";
import type { FeatureView } from "../../sdk/define/view.ts";
import { rowValue } from "../../sdk/engine/value_form.ts";
import { setWarningHook } from "../../sdk/frame/runtime.ts";
import { closedRange } from "../../sdk/materialize/due_slices.ts";
import { floatTolerance, sameValue } from "../../sdk/retrieve/same_value.ts";
import type { Store } from "../../sdk/store.ts";
import type { OnlineDetails } from "../../sdk/store_types.ts";
import { alignDown, durationToMicros, ManualClock, Timestamp, toMicros } from "../../sdk/time.ts";
import { Random } from "../conformance/expr_values.ts";
import { type Given, type Probe, RandomAnswers, text } from "./windows_random_answers.ts";
import { askedKeys, RandomRows } from "./windows_random_rows.ts";
import { type RandomView, randomView } from "./windows_random_view.ts";

const isDeep = process.env["VARVE_DEEP"] === "1";
const wanted = Number(process.env["VARVE_CASES"] ?? (isDeep ? 300_000 : 4_000));
const seed = Number(process.env["VARVE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

/** What was compared. */
const counts = { views: 0, cases: 0, served: 0, values: 0, inexact: 0 };

const zone = process.env["TZ"];
beforeAll(() => {
  // Spines ask for times after the last slice.
  setWarningHook(() => undefined);
  // Where the clock is changed twice a year, and some days are short.
  process.env["TZ"] = new Random(seed).pick(["America/New_York", "Europe/Berlin", "Pacific/Apia", "UTC"]);
});
afterAll(() => {
  if (zone === undefined) delete process.env["TZ"];
  else process.env["TZ"] = zone;
});

const spineSchema = { a: "string", b: "int64", ts: "timestamp", label: "int32" } as const;

/** A service that has some features of a view, in any order. */
function someOf(random: Random, view: FeatureView): FeatureService {
  const some = view.definition.features.filter(() => random.chance(0.7)).map(({ name }) => ({
    name,
    at: random.next(),
  }));
  const names = some.sort((x, y) => x.at - y.at).map(({ name }) => name);
  return service("some", [names.length === 0 ? view : view.select(...names as never[])]);
}

/** One view in a store of its own. */
class Run {
  readonly #random: Random;
  readonly #note: string;
  readonly #folder: string;
  readonly #clock: ManualClock;
  readonly #each: RandomView;
  readonly #rows: RandomRows;
  readonly #slice: bigint;
  readonly #delay: bigint;
  /** Serves some of its features, in another order. */
  readonly #some: FeatureService;
  #store: Store | undefined;
  #now: bigint;

  constructor(random: Random, folder: string, note: string) {
    this.#random = random;
    this.#folder = folder;
    // Files are in no order of their names.
    this.#each = randomView(
      random,
      ["m", "z", "b"].slice(random.below(3)).map((name) => join(folder, `${name}.parquet`)),
    );
    this.#some = someOf(random, this.#each.view);
    const { schedule, dataDelay, start } = this.#each.meaning;
    this.#note = `${note}, ${JSON.stringify({ ...this.#each.view.definition, query: undefined })}`;
    this.#slice = durationToMicros(schedule);
    this.#delay = durationToMicros(dataDelay, "dataDelay", { allowZero: true });
    this.#rows = new RandomRows(random, this.#each, random.pick([3, 60, 200, 500]), 8);
    this.#now = toMicros(start) + this.#slice * BigInt(1 + random.below(3)) + this.#delay + this.#someTime();
    this.#clock = new ManualClock(new Timestamp(this.#now));
  }

  #someTime(): bigint {
    return this.#random.chance(0.4) ? 0n : BigInt(Math.floor(this.#random.next() * Number(this.#slice)));
  }

  async go(): Promise<void> {
    const random = this.#random;
    try {
      await this.#rows.advance(this.#now);
      await this.#connect();
      await (await this.#store!.publish(this.#some)).apply();
      await this.#check();
      for (let phase = 0; phase < (isDeep ? 4 : 2); phase++) {
        this.#now += this.#slice * BigInt(random.below(3)) + this.#someTime();
        this.#clock.set(new Timestamp(this.#now));
        const times = await this.#rows.advance(this.#now);
        // Another process goes on.
        if (random.chance(0.2)) await this.#connect();
        await this.#compute(times);
        await this.#check();
      }
      counts.views++;
    } finally {
      await this.#store?.close();
    }
  }

  async #connect(): Promise<void> {
    await this.#store?.close();
    const path = join(this.#folder, "store");
    this.#store = await connect({ path, clock: this.#clock, author: "tester", memoryLimit: "256MB", threads: 1 });
  }

  /** Computes what has come, and again what has changed: in pieces, in any order, some of them several times; or at once. */
  async #compute(times: readonly bigint[]): Promise<void> {
    const random = this.#random;
    const store = this.#store!;
    const changed = [...new Set(times.map((time) => alignDown(time, this.#slice)))].sort((x, y) => x < y ? -1 : 1);
    const closed = closedRange(this.#each.view.definition, this.#now)!;
    const again = changed.filter((start) => start >= closed.start && start < closed.end);
    if (random.chance(0.3)) {
      await this.#materialize(closed.start + BigInt(random.below(3)) * this.#slice, closed.end, random.chance(0.5));
    }
    if (again.length > 0) {
      if (random.chance(0.4)) await this.#materialize(again[0]!, again.at(-1)! + this.#slice, true);
      else {
        const pieces = again.map((start) => [start, start + this.#slice * BigInt(1 + random.below(2))] as const);
        const inAnyOrder = pieces.map((piece) => ({ piece, at: random.next() })).sort((x, y) => x.at - y.at);
        for (const { piece: [start, end] } of inAnyOrder) {
          await this.#materialize(start, end < closed.end ? end : closed.end, true);
        }
      }
    }
    await store.catchUp(this.#each.view);
  }

  async #materialize(start: bigint, end: bigint, overwrite: boolean): Promise<void> {
    if (start >= end) return;
    await this.#store!.materialize(this.#each.view, {
      start: new Timestamp(start),
      end: new Timestamp(end),
      overwrite,
    });
  }

  async #check(): Promise<void> {
    const random = this.#random;
    const answers = new RandomAnswers(this.#each, this.#rows.present);
    // From then on what is served lacks a slice.
    const due = alignDown(this.#now - this.#delay, this.#slice) + this.#slice + this.#delay;
    const between = this.#now + BigInt(Math.floor(random.next() * Number(due - this.#now)));
    const instants = [...new Set([this.#now, due - 1n, between])];
    const served = instants.flatMap((ts) => askedKeys.map((key): Probe => ({ ...key, ts })));
    const probes = [...served, ...this.#earlier(due, isDeep ? 400 : 250)];
    const trained = await this.#compare(probes, "effective", answers);
    for (const [i, ts] of instants.entries()) {
      const details = await this.#store!.onlineDetails(this.#each.view, askedKeys, { at: new Timestamp(ts) });
      await this.#checkSome(ts, details);
      for (const [k, { values, statuses, effectiveTimes, cut }] of details.answers.entries()) {
        const place = i * askedKeys.length + k;
        const given: Given = {
          status: statuses[0],
          effective: effectiveTimes[0] ?? null,
          values: Object.fromEntries(
            details.features.map(({ name, type }, f) => [name, rowValue(values[f], type)]),
          ),
        };
        expect(cut).toBeUndefined();
        this.#same(probes[place]!, "served", given, trained[place]!, answers, "effective");
        counts.served++;
      }
    }
    if (random.chance(0.5)) {
      // Slices that are not committed have happened as well; the source has them, the table has not.
      const { end } = closedRange(this.#each.view.definition, this.#now)!;
      await this.#compare(this.#earlier(end, isDeep ? 300 : 100), "event", answers);
    }
  }

  /** Features that a service picks, in its order, are those of the view. */
  async #checkSome(ts: bigint, all: OnlineDetails): Promise<void> {
    const some = await this.#store!.onlineDetails(this.#some, askedKeys, { at: new Timestamp(ts) });
    const places = some.features.map(({ name }) => all.features.findIndex((feature) => feature.name === name));
    expect(some.answers.map(({ values }) => values), this.#note).toStrictEqual(
      all.answers.map(({ values }) => places.map((place) => values[place])),
    );
  }

  /** Look-ups before an instant: mostly when some row enters or leaves a window, or slices become known, give or take a moment. */
  #earlier(end: bigint, count: number): Probe[] {
    const random = this.#random;
    const { windows, meaning } = this.#each;
    const micros = (text: string) => durationToMicros(text, "duration", { allowZero: true });
    const lengths = windows.flatMap((window) =>
      window.kind === "series"
        ? [micros(window.from), micros(window.to), micros(window.from) - micros(window.size)]
        : [micros(window.offset), ...(window.kind === "time" ? [micros(window.size) + micros(window.offset)] : [])]
    );
    const start = toMicros(meaning.start) - this.#slice;
    const span = Number(end - start);
    const times = this.#rows.present.flatMap(({ t }) => t === null ? [] : [t as bigint]);
    const moment = (): bigint => {
      const any = start + BigInt(Math.floor(random.next() * span));
      switch (random.below(times.length === 0 ? 2 : 5)) {
        case 0:
          return any;
        case 1:
          return alignDown(any, this.#slice) + random.pick([0n, this.#delay]) + random.pick([0n, -1n, 1n]);
        case 2:
          return random.pick(times) + random.pick([0n, -1n, 1n]);
        default:
          return random.pick(times) + random.pick(lengths) + random.pick([0n, 0n, -1n, 1n]);
      }
    };
    return Array.from({ length: count }, () => {
      const ts = moment();
      return { ...random.pick(askedKeys), ts: ts < end ? ts : end - 1n };
    });
  }

  /** Trains from the source and from what is stored, and compares both with the loops. */
  async #compare(probes: readonly Probe[], asOf: "effective" | "event", answers: RandomAnswers): Promise<Given[]> {
    const source = await this.#trained(probes, asOf, "source");
    const isStored = asOf === "effective" || this.#each.meaning.edge !== "fresh";
    const stored = isStored ? await this.#trained(probes, asOf, "offline") : undefined;
    if (!isStored) {
      await expect(this.#trained(probes, asOf, "offline")).rejects.toMatchObject({ code: "UNSUPPORTED" });
    }
    for (const [i, probe] of probes.entries()) {
      const problem = answers.problem(probe, asOf, source[i]!);
      if (problem) this.#fail(probe, `${asOf}, trained from the source: ${problem}`);
      if (stored) this.#same(probe, "trained from what is stored", stored[i]!, source[i]!, answers, asOf);
      counts.cases++;
      counts.values += Object.keys(source[i]!.values).length;
    }
    return source;
  }

  async #trained(probes: readonly Probe[], asOf: "effective" | "event", from: "source" | "offline"): Promise<Given[]> {
    const spine = probes.map(({ ts, ...key }, label) => ({ ...key, ts: new Timestamp(ts), label }));
    const set = await this.#store!.train(this.#each.view, spine, {
      eventTimestamp: "ts",
      schema: spineSchema,
      statuses: true,
      effectiveTimestamps: true,
      asOf,
      from,
    });
    try {
      const rows = await set.rows();
      expect(rows.map(({ label }) => label), this.#note).toEqual(spine.map(({ label }) => label));
      const { features, name } = this.#each.view.definition;
      return rows.map((row): Given => ({
        status: row[`${name}__status`],
        effective: (row[`${name}__effective_timestamp`] as Timestamp | null)?.micros ?? null,
        values: Object.fromEntries(
          features.map((feature) => [feature.name, rowValue(row[feature.name], feature.type)]),
        ),
      }));
    } finally {
      set.close();
    }
  }

  /** S11: both answers are one; only sums of floats may differ in the last digits, and are then checked by themselves. */
  #same(
    probe: Probe,
    what: string,
    given: Given,
    other: Given,
    answers: RandomAnswers,
    asOf: "effective" | "event",
  ): void {
    if (text(given) === text(other)) return;
    const problem = answers.problem(probe, asOf, given);
    if (problem) this.#fail(probe, `${asOf}, ${what}: ${problem}`);
    for (const [feature, value] of Object.entries(given.values)) {
      if (text(value) === text(other.values[feature])) continue;
      const of = this.#each.aggregations.find(({ name }) => feature.startsWith(`${name}_`))?.function ?? "";
      if (!/^(sum|mean|var|stddev)/.test(of) || !sameValue(value, other.values[feature], floatTolerance)) {
        this.#fail(probe, `${what}: ${feature} is ${text(value)}, from the source ${text(other.values[feature])}`);
      }
      counts.inexact++;
    }
  }

  #fail(probe: Probe, problem: string): never {
    throw new Error(`${text(probe)}, ${problem}\n(at ${this.#now}; ${this.#note})`);
  }
}

it(`all answers are one: ${wanted} cases (VARVE_SEED=${seed})`, async () => {
  for (let run = 0; counts.cases < wanted; run++) {
    const folder = await mkdtemp(join(tmpdir(), "varve-windows-"));
    try {
      const note = `VARVE_SEED=${seed + run}`;
      try {
        await new Run(new Random(seed + run), folder, note).go();
      } catch (error) {
        throw new Error(`${note}: ${String(error)}`, { cause: error });
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  console.log(
    `VARVE_SEED=${seed}: ${counts.cases} look-ups over windows by a loop, from the source and from what is stored, ` +
      `${counts.served} of them served as well; ${counts.values} values of ${counts.views} views, ` +
      `${counts.inexact} of them different in the last digits only`,
  );
}, isDeep ? 7_200_000 : 120_000);
