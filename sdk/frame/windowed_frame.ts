/** Aggregations over windows of a frame's rows, before they have a name and a schedule. */
import { Displayed } from "../display.ts";
import { checkOptions, type Issue, type OptionNames, throwIssues } from "../errors.ts";
import { type DataType, formatType, type Row, type RowOf, type SchemaTypes } from "../schema.ts";
import type { TimestampLike } from "../time.ts";
import type { Frame } from "./frame.ts";
import type { Renamed } from "./frame_types.ts";
import type { KeyedEntity, KeyedFrame, PublishTarget } from "./keyed_frame.ts";
import { previewWindows, type ReadOptions } from "./runtime.ts";
import { aggregateText } from "./aggregate_text.ts";
import { aggregationType, windowFeatureType } from "./window_aggregations.ts";
import { readWindowed, type WindowedSpec } from "./window_reading.ts";
import type { AggregateOptions } from "./window_types.ts";
import { windowText } from "./windows.ts";
import type { AggregatesInput } from "./window_aggregations.ts";

/** What a preview looks at. */
export interface WindowPreviewOptions extends ReadOptions {
  /** The time to look at. @default now */
  readonly at?: TimestampLike;
  /** The most keys to show. @default 100 */
  readonly limit?: number;
}

const previewOptions: OptionNames<WindowPreviewOptions> = { at: true, limit: true, signal: true };

/** The join keys of an entity, as a row. */
export type KeyRow<E> = E extends { readonly keys: infer K extends SchemaTypes } ? RowOf<K> : Row;

/**
 * Features of an entity over windows of its rows: what `frame.by(entity).aggregate(…)` gives. Immutable; `view` and `publish`
 * take it as they take a frame with an entity.
 */
export class WindowedFrame<R extends Row = Row, E extends KeyedEntity = KeyedEntity, F extends Row = Row>
  extends Displayed {
  readonly #source: KeyedFrame<R, E>;
  /** What is computed over which windows, as frozen plain data. */
  readonly spec: WindowedSpec;
  /** Type only: the features. */
  declare readonly values: F;

  /** Wraps what was read and checked; see {@link KeyedFrame.aggregate}. */
  constructor(source: KeyedFrame<R, E>, spec: WindowedSpec) {
    super();
    this.#source = source;
    this.spec = spec;
    Object.freeze(this);
  }

  /** The rows that are aggregated. */
  get frame(): Frame<R> {
    return this.#source.frame;
  }

  /** What they are about. */
  get entity(): E {
    return this.#source.entity;
  }

  /** The names of the features, in order. */
  get features(): (keyof F & string)[] {
    return this.spec.features.map(({ name }) => name as keyof F & string);
  }

  /** Gives features other names: `rename({ delayMean_24h: "delay_today" })`. */
  rename<const N extends { readonly [P in keyof F]?: string }>(names: N): WindowedFrame<R, E, Renamed<F, N>> {
    const texts = names as Readonly<Record<string, unknown>>;
    const issues: Issue[] = [];
    for (const [name, text] of Object.entries(texts)) {
      if (!this.features.includes(name)) {
        issues.push({ path: name, message: `there is no such feature; features are ${this.features.join(", ")}` });
      } else if (typeof text !== "string") {
        issues.push({ path: name, message: `${JSON.stringify(text)} is not text` });
      }
    }
    throwIssues("Cannot rename features", issues);
    const features = this.spec.features.map((each) =>
      Object.hasOwn(texts, each.name) ? Object.freeze({ ...each, name: texts[each.name] as string }) : each
    );
    return new WindowedFrame(this.#source, Object.freeze({ ...this.spec, features: Object.freeze(features) }));
  }

  /** Hands these features to a store, which says what publishing would change. */
  publish<O, P>(store: PublishTarget<this, O, P>, options: O): P {
    return store.publish(this, options);
  }

  /**
   * What each key would have at an instant, computed from the source, without publishing. The schedule is not known yet: every row
   * counts from its event time on, and windows that end with the schedule end with the last whole tile.
   */
  async preview(options: WindowPreviewOptions = {}): Promise<(KeyRow<E> & F)[]> {
    checkOptions(`Cannot preview features of ${this.entity.name}`, options, previewOptions);
    return await previewWindows()(this, options) as (KeyRow<E> & F)[];
  }

  /** Aggregations, windows and features, as readable text. */
  override toString(): string {
    const { aggregations, features, every, edge, boundary, secondaryKey, maxRows } = this.spec;
    const settings = [
      `edge ${edge}${boundary === "exclusive" ? ", exclusive" : ""}`,
      ...(every === undefined ? [] : [`every ${every}`]),
      ...(secondaryKey === undefined ? [] : [`secondary key ${secondaryKey}`]),
      ...(maxRows === undefined ? [] : [`at most ${maxRows} rows of a key`]),
    ];
    const types = this.featureTypes();
    return [
      `${this.#source}`,
      `  .aggregate ${settings.join(", ")}`,
      ...aggregations.map((each) => `    ${each.name} = ${aggregateText(each)}`),
      "  gives",
      ...features.map((each, i) => `    ${each.name} ${formatType(types[i]!)}, ${windowText(each)}`),
    ].join("\n");
  }

  /** The types of the features, in order. */
  featureTypes(): DataType[] {
    const { aggregations, features, secondaryKey } = this.spec;
    const schema = this.frame.schema;
    const types = new Map(aggregations.map((each) => [each.name, aggregationType(each, schema)]));
    const keyType = schema.find(({ name }) => name === secondaryKey)?.type;
    return features.map(({ aggregation, window }) =>
      windowFeatureType(
        aggregation === undefined ? keyType! : types.get(aggregation)!,
        window,
        secondaryKey !== undefined,
      )
    );
  }
}

/** Makes aggregations over windows of what people write; every problem is told at once. */
export function windowedFrame<R extends Row, E extends KeyedEntity>(
  source: KeyedFrame<R, E>,
  aggregates: AggregatesInput,
  options: AggregateOptions,
  // deno-lint-ignore no-explicit-any
): WindowedFrame<R, E, any> {
  const issues: Issue[] = [];
  const spec = readWindowed(source, aggregates, options, issues);
  throwIssues("Cannot aggregate over windows", issues);
  return new WindowedFrame(source, spec);
}
