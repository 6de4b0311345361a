/** Entities: what features are about. */
import { Displayed } from "../display.ts";
import { throwIssues, VarveError } from "../errors.ts";
import { type Field, formatType, parseType, type SchemaTypes } from "../schema.ts";
import { descriptive, entityIssues } from "./checks.ts";
import type { Descriptive, EntityDefinition } from "./definitions.ts";

/** An entity with its join keys, whose types are known to the compiler. */
export class Entity<Keys extends SchemaTypes = SchemaTypes> extends Displayed {
  /** Unique among entities. */
  readonly name: string;
  /** The columns that identify it, in order. */
  readonly joinKeys: readonly Field[];
  /** The join keys as they were written. */
  readonly keys: Keys;
  /** The plain data that the registry stores. */
  readonly definition: EntityDefinition;

  /** Wraps a definition that was checked; see {@link entity}. */
  constructor(definition: EntityDefinition, keys: Keys) {
    super();
    this.name = definition.name;
    this.joinKeys = definition.joinKeys;
    this.keys = keys;
    this.definition = definition;
    Object.freeze(this);
  }

  /** What a registry holds of it. */
  get definitions(): readonly EntityDefinition[] {
    return [this.definition];
  }

  /** Its name and join keys. */
  override toString(): string {
    const keys = this.joinKeys.map(({ name, type }) => `${name} ${formatType(type)}`);
    return `entity ${this.name} (${keys.join(", ")})`;
  }
}

/**
 * Makes an entity of one to eight join keys.
 *
 * @example
 * ```ts
 * import { entity } from "varve";
 * const route = entity("route", { origin: "string", destination: "string" });
 * ```
 */
export function entity<const Keys extends SchemaTypes>(
  name: string,
  keys: Keys,
  options: Descriptive = {},
): Entity<Keys> {
  if (typeof keys !== "object" || keys === null || Array.isArray(keys)) {
    throw new VarveError(
      "INVALID_DEFINITION",
      `Cannot define entity ${JSON.stringify(name)}: name its join keys with their types, as in { origin: "string" }`,
    );
  }
  const joinKeys = Object.entries(keys).map(([key, type]) =>
    Object.freeze({ name: key, type: parseType(type, `type of join key "${key}"`) })
  );
  return new Entity(entityDefinition(name, joinKeys, options), Object.freeze({ ...keys }));
}

/** Makes and checks the plain data of an entity. */
export function entityDefinition(
  name: string,
  joinKeys: readonly Field[],
  options: Descriptive = {},
): EntityDefinition {
  throwIssues(
    `Cannot define entity ${JSON.stringify(name)}`,
    entityIssues({ kind: "entity", name, joinKeys, ...options }),
  );
  return Object.freeze({ kind: "entity", name, joinKeys: Object.freeze([...joinKeys]), ...descriptive(options) });
}
