/** Aggregations that users write: the same contract, known by name and version in every process that computes or serves them. */
import { messageOf, VarveError } from "../../errors.ts";
import { failureOf } from "../../frame/aggregate_type.ts";
import type { LiteralValue } from "../../frame/expr_node.ts";
import { sharedRegister } from "../../frame/shared_register.ts";
import { addUserFunction, userFunctionName, type UserWindowFunction } from "../../frame/window_functions.ts";
import { type DataType, formatType, sameType } from "../../schema.ts";
import type { Aggregator } from "../aggregator.ts";
import { guarded } from "./guarded.ts";

/** What an aggregator of a user is made for. */
export interface AggregatorInputs {
  /** The type of the input; absent when the aggregation has none. */
  readonly input?: DataType;
  /** The type of what orders the rows; absent when nothing does. */
  readonly by?: DataType;
  /** The constants that the definition gives, as JSON. */
  readonly parameters: Readonly<Record<string, LiteralValue>>;
}

/** A user's own aggregation. */
export interface UserAggregation<N extends string = string, V extends number = number> extends UserWindowFunction {
  /** A letter, then at most 62 letters, digits and underscores. */
  readonly name: N;
  /** From 1; a greater one whenever equal rows may give other states or results. */
  readonly version: V;
  /** Makes what computes it. Its slots must be the same whenever the types and constants are. */
  make(inputs: AggregatorInputs): Aggregator;
}

const registered = sharedRegister<UserAggregation>("aggregations");

/**
 * Makes a user's own aggregation known to this process, and gives the name under which definitions store it: `name@version`.
 * Every process that previews, trains, materializes or serves must register it before; one that lacks it fails with
 * INVALID_DEFINITION. Registering a name and version again replaces it, as when a cell of a notebook runs again; where results
 * change, raise the version, so that views are computed anew.
 *
 * The {@link Aggregator} must obey its contract: pure, and merging the states of consecutive rows must give what updating one
 * state with all of them gives. What it throws, and a result of another type, is FUNCTION_FAILED, and names it.
 */
export function registerAggregation<const N extends string, const V extends number>(
  own: UserAggregation<N, V>,
): `${N}@${V}` {
  const { name, version } = own;
  if (typeof name !== "string" || !/^[A-Za-z][A-Za-z0-9_]{0,62}$/.test(name)) {
    throw new VarveError(
      "INVALID_DEFINITION",
      `Cannot register aggregation ${
        JSON.stringify(name)
      }: the name must be a letter, then at most 62 letters, digits or _`,
    );
  }
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new VarveError(
      "INVALID_DEFINITION",
      `Cannot register aggregation "${name}": the version is ${version}; it must be a whole number from 1 on`,
    );
  }
  addUserFunction(own);
  registered.set(userFunctionName(own), own);
  return `${name}@${version}`;
}

/** What computes a user's own aggregation, checked against the contract as far as that goes without rows. */
export function userAggregator(name: string, stored: string, result: DataType, inputs: AggregatorInputs): Aggregator {
  const fail = failureOf({ name, function: stored });
  let aggregator: Aggregator;
  try {
    aggregator = registered.get(stored)!.make(inputs);
  } catch (error) {
    throw fail(`its aggregator cannot be made: ${messageOf(error)}`);
  }
  const problem = problemOf(aggregator, result);
  if (problem === undefined) return guarded(name, stored, aggregator);
  throw fail(`its aggregator ${problem}`);
}

function problemOf(aggregator: Aggregator, result: DataType): string | undefined {
  if (!sameType(aggregator.result, result)) {
    return `gives ${formatType(aggregator.result)}, but resultType says ${formatType(result)}`;
  }
  const names = aggregator.slots.map(({ name }) => name.toLowerCase());
  if (new Set(names).size < names.length || names.length === 0) return "must have slots with different names";
  const wrong = aggregator.slots.find(({ name }) => !/^[A-Za-z][A-Za-z0-9]{0,62}$/.test(name));
  if (wrong) return `has a slot "${wrong.name}"; slots are a letter, then letters and digits`;
  const lacks = (["clear", "update", "merge", "finalize"] as const).find((method) =>
    typeof aggregator[method] !== "function"
  );
  return lacks && `has no ${lacks}()`;
}
