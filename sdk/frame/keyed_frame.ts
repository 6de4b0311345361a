/** A frame whose rows are about an entity: what a feature view is made of. */
import type { Field, Row, Schema } from "../schema.ts";
import type { Frame } from "./frame.ts";
import type { Query } from "./query.ts";
import { checkEntityKeys, deepFreeze } from "./steps.ts";

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
export class KeyedFrame<R extends Row = Row, E extends KeyedEntity = KeyedEntity> {
  /** The rows. */
  readonly frame: Frame<R>;
  /** What they are about. */
  readonly entity: E;

  /** Checks that the join keys are columns of fitting types. */
  constructor(frame: Frame<R>, entity: E) {
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

  /** The steps as readable text. */
  toString(): string {
    return `${this.frame}\n  .by(${this.entity.name}: ${this.entity.joinKeys.map((key) => key.name).join(", ")})`;
  }

  /** What a console shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}
