/**
 * Online values of aggregates: the tiles of a key, or its rows, added up for the windows of the features that are wanted, by the
 * aggregators that made the tiles. Everything that does not depend on the key is prepared once, or once per instant.
 */
import type { AggregateView } from "../define/definitions.ts";
import { userValue } from "../engine/value_form.ts";
import { VarveError } from "../errors.ts";
import { canonicalJson } from "../frame/hash.ts";
import { type DataType, isListType, isStructType } from "../schema.ts";
import { tileLayout, TileReader } from "../storage/encoding.ts";
import type { ViewState } from "../storage/online_store.ts";
import { durationToMicros, formatTimestamp, type Micros, toMicros } from "../time.ts";
import { type Aggregator, makeStates, type States } from "../window/aggregator.ts";
import { type OnlinePlan, onlinePlan } from "../window/online_plan.ts";
import { Segments } from "../window/segments.ts";
import type { Found, ViewValues } from "./online_values.ts";
import { RowSums } from "./row_sums.ts";
import { TileSums } from "./tile_sums.ts";
import { TotalSums } from "./total_sums.ts";
import { windowFailure } from "./window_failure.ts";

/** Adds up what a value holds of each segment. */
export interface SegmentSums {
  /**
   * Reads the open value. Gives whether it has anything in a segment; if so, place s of each aggregation's states is that of
   * segment s.
   */
  add(reader: TileReader, segments: Segments): boolean;
}

/** One aggregation of which features are wanted. */
export interface SummedAggregation {
  /** Its place in the plan. */
  readonly place: number;
  readonly aggregator: Aggregator;
  /** By segment. */
  readonly states: States;
  /** One state, for windows of several segments. */
  readonly result: States;
}

/** One feature that is wanted. */
interface WindowValue {
  readonly aggregation: SummedAggregation;
  /** Whether it is the list of secondary keys. */
  readonly isKeys: boolean;
  /** Its windows, by their places among the used spans. */
  readonly spans: readonly number[];
  readonly isSeries: boolean;
  readonly type: DataType;
  /** Whether row form and user form are one. */
  readonly isPlain: boolean;
  readonly fallback: unknown;
}

/** Instead of the place of a state: the window has no rows, or several states. */
const nothing = -1;
const several = -2;

/** Reads features of a view of aggregates, by their places in it. */
export class WindowValues implements ViewValues {
  readonly #definition: AggregateView;
  readonly #plan: OnlinePlan;
  readonly #reader: TileReader;
  readonly #dataDelay: Micros;
  /** Spans of the wanted features, and those that only say whether a key is present. */
  readonly #used: readonly number[];
  readonly #others: readonly number[];
  readonly #features: readonly WindowValue[];
  readonly #aggregations: readonly SummedAggregation[];
  readonly #sums: SegmentSums;
  readonly #totals: TotalSums;
  readonly #spans: Float64Array;
  /** By used span: the place of its state, or what else it is made of. */
  readonly #places: Int32Array;
  readonly #inOrder: Int32Array;
  readonly #segments: Segments;
  #state: ViewState | undefined;
  #watermark = 0;
  #at: Micros | undefined;
  #t = NaN;
  #visible = NaN;
  /** What a value must reach back to for the wanted windows. */
  #lowest = 0;
  #found: { readonly present: Found; readonly missing: Found } | undefined;

  constructor(definition: AggregateView, places: readonly number[], defaults: readonly unknown[]) {
    const plan = onlinePlan(definition);
    const { edges } = plan;
    const features = places.map((place) => definition.features[place]!);
    this.#definition = definition;
    this.#plan = plan;
    this.#reader = new TileReader(tileLayout(plan.columns));
    this.#dataDelay = durationToMicros(definition.dataDelay, "dataDelay", { allowZero: true });
    this.#used = [...new Set(places.flatMap((place) => edges.featureSpans[place]!))];
    this.#others = [...new Set(edges.featureSpans.flat())].filter((span) => !this.#used.includes(span));
    this.#segments = new Segments(this.#used.length);
    const room = Math.max(1, 2 * this.#used.length);
    const aggregations = new Map<number, SummedAggregation>();
    const aggregationOf = (place: number): SummedAggregation => {
      const { aggregator } = plan.aggregations[place]!;
      const same = sameStates(definition, plan, place);
      const summed = aggregations.get(same) ??
        { place: same, aggregator, states: makeStates(aggregator, room), result: makeStates(aggregator, 1) };
      aggregations.set(same, summed);
      // The first that is asked for need not be the first of the definition: the results are each its own.
      return summed.aggregator === aggregator ? summed : { ...summed, aggregator };
    };
    this.#features = features.map(({ aggregation: name, type, window }, i): WindowValue => {
      // The list of keys is the same of every aggregation.
      const aggregation = aggregationOf(
        name === undefined ? 0 : plan.aggregations.findIndex((each) => each.name === name),
      );
      return {
        aggregation,
        isKeys: name === undefined,
        spans: edges.featureSpans[places[i]!]!.map((span) => this.#used.indexOf(span)),
        isSeries: window.kind === "series",
        type,
        isPlain: isPlain(type),
        fallback: defaults[i],
      };
    });
    this.#aggregations = [...aggregations.values()];
    this.#sums = plan.keepsRows ? new RowSums(plan, this.#aggregations) : new TileSums(plan, this.#aggregations);
    this.#totals = new TotalSums(plan, this.#aggregations);
    this.#spans = new Float64Array(2 * edges.spanCount);
    this.#places = new Int32Array(this.#used.length);
    this.#inOrder = this.#places.map((_, k) => k);
  }

  read(bytes: Uint8Array, at: Micros, state: ViewState, values: unknown[], first: number): Found | undefined {
    try {
      return this.#read(bytes, at, state, values, first);
    } catch (error) {
      throw windowFailure(this.#definition.name, error);
    }
  }

  #read(bytes: Uint8Array, at: Micros, state: ViewState, values: unknown[], first: number): Found | undefined {
    const reader = this.#reader;
    reader.open(bytes);
    this.#turn(at, state);
    let isPresent: boolean;
    let places = this.#places;
    if (reader.isTotals) {
      if (!this.#suffices()) return undefined;
      isPresent = this.#totals.add(reader, this.#spans, this.#used);
      places = this.#inOrder;
    } else {
      if (reader.floor > this.#lowest || this.#plan.edges.grain % reader.unit !== 0) this.#checkReach(reader);
      isPresent = this.#sums.add(reader, this.#segments);
      if (isPresent && this.#segments.endTogether) this.#addLater(this.#segments.count);
    }
    if (!isPresent) {
      this.none(values, first);
      return this.#hasOthers() ? this.#found!.present : this.#found!.missing;
    }
    for (let i = 0; i < this.#features.length; i++) values[first + i] = this.#value(this.#features[i]!, places);
    return reader.isCut ? this.#cut() : this.#found!.present;
  }

  none(values: unknown[], first: number): void {
    for (const { aggregator, states } of this.#aggregations) aggregator.clear(states, 0);
    for (let i = 0; i < this.#features.length; i++) {
      const feature = this.#features[i]!;
      const { aggregation: { aggregator, states }, isKeys, isSeries, spans, type, fallback } = feature;
      const one = () => isKeys ? aggregator.grouped!.keys(states, 0) : aggregator.finalize(states, 0);
      values[first + i] = userValue(isSeries ? spans.map(one) : one(), type) ?? fallback;
    }
  }

  /** Finds out where windows lie. */
  #turn(at: Micros, state: ViewState): void {
    if (state !== this.#state) {
      this.#state = state;
      this.#watermark = Number(toMicros(state.watermark));
      this.#at = undefined;
    }
    if (at !== this.#at) {
      this.#at = at;
      this.#place(Number(at), this.#watermark);
    }
    const { edges } = this.#plan;
    const { floor, isTotals, watermark } = this.#reader;
    // A value that is ahead of the state has dropped what only windows of before need.
    const known = isTotals ? watermark : this.#definition.edge === "complete" ? floor + edges.depth : -Infinity;
    if (known > this.#watermark && known > this.#visible) {
      this.#at = undefined;
      this.#place(Number(at), known);
    }
  }

  /** Whether the open totals are for these windows, at this instant. */
  #suffices(): boolean {
    const { windows, watermark, until } = this.#reader;
    const end = this.#definition.edge === "complete" ? this.#visible : this.#t;
    return windows === this.#plan.windowsHash && this.#visible >= watermark && end <= until;
  }

  #place(t: number, watermark: number): void {
    const { edges } = this.#plan;
    const visible = Math.min(edges.visibleAt(t), watermark);
    const isSame = visible === this.#visible && (t === this.#t || this.#definition.edge === "complete");
    this.#t = t;
    if (isSame) return;
    this.#visible = visible;
    edges.spansAt(t, visible, this.#spans);
    this.#segments.cut(this.#spans, this.#used);
    const { firsts, lasts, endTogether } = this.#segments;
    for (let k = 0; k < this.#used.length; k++) {
      const size = lasts[k]! - firsts[k]!;
      this.#places[k] = size === 0 ? nothing : size === 1 || endTogether ? firsts[k]! : several;
    }
    let lowest = Infinity;
    for (const span of this.#used) {
      const lo = this.#spans[2 * span]!;
      lowest = Math.min(lowest, lo === -Infinity ? this.#spans[2 * span + 1]! : lo);
    }
    this.#lowest = lowest;
    const eventTime = BigInt(visible);
    this.#found = {
      present: { status: "PRESENT", effectiveTime: eventTime + this.#dataDelay, eventTime },
      missing: { status: "MISSING", effectiveTime: undefined, eventTime: undefined },
    };
  }

  /** A value of an earlier definition, or of a later time, may lack tiles: then it is no answer at all. */
  #checkReach(reader: TileReader): void {
    const { name } = this.#definition;
    const { edges, keepsRows } = this.#plan;
    if (reader.floor > this.#lowest) {
      throw new VarveError(
        "UNAVAILABLE",
        `Cannot read view "${name}" as of ${formatTimestamp(BigInt(this.#t))}: its windows reach back to ${
          formatTimestamp(BigInt(this.#lowest))
        }, and values online only to ${
          formatTimestamp(BigInt(reader.floor))
        }; check this computer's clock, or wait until the view is loaded again`,
        { details: { view: name } },
      );
    }
    if (keepsRows || edges.grain % reader.unit === 0) return;
    throw new VarveError(
      "UNAVAILABLE",
      `Cannot read view "${name}": values online were loaded for other windows; wait until the view is loaded again`,
      { details: { view: name } },
    );
  }

  /** Adds to every segment what comes after it, so that it is the state of the window that begins there. */
  #addLater(count: number): void {
    for (const { aggregator, states } of this.#aggregations) {
      for (let s = count - 2; s >= 0; s--) aggregator.merge(states, s, states, s + 1);
    }
  }

  #value(feature: WindowValue, places: Int32Array): unknown {
    const { spans, isSeries, isPlain: asItIs, type, fallback } = feature;
    const value = isSeries
      ? spans.map((span) => this.#windowValue(feature, span, places))
      : this.#windowValue(feature, spans[0]!, places);
    return (asItIs ? value : userValue(value, type)) ?? fallback;
  }

  #windowValue(feature: WindowValue, span: number, places: Int32Array): unknown {
    const { aggregation: { aggregator, states, result }, isKeys } = feature;
    const place = places[span]!;
    if (place >= 0) return isKeys ? aggregator.grouped!.keys(states, place) : aggregator.finalize(states, place);
    aggregator.clear(result, 0);
    if (place === several) {
      const { firsts, lasts } = this.#segments;
      for (let s = firsts[span]!; s < lasts[span]!; s++) aggregator.merge(result, 0, states, s);
    }
    return isKeys ? aggregator.grouped!.keys(result, 0) : aggregator.finalize(result, 0);
  }

  /** Whether the key has anything in windows of features that are not wanted. */
  #hasOthers(): boolean {
    const reader = this.#reader;
    const count = reader.count(0);
    for (const span of this.#others) {
      const lo = this.#spans[2 * span]!;
      const hi = this.#spans[2 * span + 1]!;
      if (lo === -Infinity && reader.hasTail) return true;
      if (count === 0) continue;
      const row = lo === -Infinity ? 0 : reader.find(0, Math.ceil(lo / reader.unit));
      // Totals are of everything: their windows have no other end.
      if (row < count && (reader.isTotals || reader.place(0, row) * reader.unit < hi)) return true;
    }
    return false;
  }

  #cut(): Found {
    const reader = this.#reader;
    const oldest = reader.place(0, 0) * reader.unit;
    // Rows of the very time of the oldest may be among those that are left out.
    const isCut = this.#used.some((span) => this.#spans[2 * span]! <= oldest);
    return isCut ? { ...this.#found!.present, isCut } : this.#found!.present;
  }
}

/** The first aggregation that has the very states of one: a sum and a mean are added up in one way. */
function sameStates({ aggregations }: AggregateView, plan: OnlinePlan, place: number): number {
  const inputs = (i: number) => canonicalJson([aggregations[i]!.input, aggregations[i]!.by, aggregations[i]!.where]);
  const { aggregator } = plan.aggregations[place]!;
  return plan.aggregations.findIndex((other, i) =>
    other.aggregator.merge === aggregator.merge && other.aggregator.clear === aggregator.clear &&
    other.aggregator.update === aggregator.update && inputs(i) === inputs(place)
  );
}

function isPlain(type: DataType): boolean {
  if (isListType(type)) return isPlain(type.list);
  return !isStructType(type) && type !== "timestamp" && type !== "date";
}
