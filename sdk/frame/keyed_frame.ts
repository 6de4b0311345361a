/** A frame whose rows are about an entity: what a feature view is made of. */
import { Displayed } from "../display.ts";
import type { Field, Row, Schema } from "../schema.ts";
import type { Frame } from "./frame.ts";
import type { ColumnName } from "./frame_types.ts";
import type { Query } from "./query.ts";
import { checkEntityKeys, deepFreeze } from "./steps.ts";
import type { AggregatesInput } from "./window_aggregations.ts";
import { type WindowedFrame, windowedFrame } from "./windowed_frame.ts";
import type {
  AggregateOptions,
  AggregatesInputOver,
  AggregationName,
  WindowFeatures,
  WindowInput,
} from "./window_types.ts";

/** The part of an entity that a frame needs. */
export interface KeyedEntity {
  /** Its name. */
  readonly name: string;
  /** The columns that identify it. */
  readonly joinKeys: readonly Field[];
}

/** Something that takes features in, such as a store: it gives a plan of type P for options O. */
export interface PublishTarget<F, O, P> {
  /** Says what publishing would change. */
  publish(features: F, options: O): P;
}

/** Rows that are about an entity. */
export class KeyedFrame<R extends Row = Row, E extends KeyedEntity = KeyedEntity> extends Displayed {
  /** The rows. */
  readonly frame: Frame<R>;
  /** What they are about. */
  readonly entity: E;
  /** Type only: what features can be made of. */
  declare readonly values: R;

  /** Checks that the join keys are columns of fitting types. */
  constructor(frame: Frame<R>, entity: E) {
    super();
    checkEntityKeys(frame.query, entity);
    this.frame = frame;
    this.entity = deepFreeze(entity);
    Object.freeze(this);
  }

  /** The steps, as frozen plain data. */
  get query(): Query {
    return this.frame.query;
  }

  /** The columns, join keys included. */
  get schema(): Schema {
    return this.frame.schema;
  }

  /** Hands these features to a store, which says what publishing would change. */
  publish<O, P>(store: PublishTarget<this, O, P>, options: O): P {
    return store.publish(this, options);
  }

  /** A few rows, without publishing. */
  async preview(count = 10): Promise<R[]> {
    return await this.frame.preview(count);
  }

  /**
   * Aggregates the rows of each key over windows, seen back from the instant that is asked for (S5). Every aggregate is computed over
   * every window, and named after both: `delayMean_24h`; those of a list after their column and function: `delay_mean_24h`.
   *
   * @example
   * ```ts
   * import { count, entity, fromRows, last, mean } from "varve";
   * const flights = fromRows([{ origin: "ATL", date: new Date("2001-01-01"), delay: 5 }], { eventTimestamp: "date" });
   * const delays = flights.by(entity("airport", { origin: "string" })).aggregate(
   *   { delayMean: mean("delay"), departures: count(), lastDelays: last("delay", 10) },
   *   { windows: ["1h", "24h", "7d"] },
   * );
   * console.log(delays.features); // delayMean_1h, departures_1h, lastDelays_1h, delayMean_24h …
   * ```
   */
  aggregate<
    const A extends AggregatesInputOver<R>,
    // The last parameter lets TypeScript 5.0, which notebooks check with, keep the texts of windows.
    const W extends readonly WindowInput<T>[],
    const S extends ColumnName<R> = never,
    const D extends AggregationName<A> = never,
    T extends string = string,
  >(
    aggregates: A,
    options: AggregateOptions<R, A, W, S, D>,
  ): WindowedFrame<R, E, WindowFeatures<R, A, W, S, D>> {
    return windowedFrame(this, aggregates as AggregatesInput, options as AggregateOptions);
  }

  /** The steps as readable text. */
  override toString(): string {
    return `${this.frame}\n  .by(${this.entity.name}: ${this.entity.joinKeys.map((key) => key.name).join(", ")})`;
  }
}
