/** Users' aggregators, so that what fails in them is told as theirs: by the aggregation, the function and the method. */
import { messageOf, VarveError } from "../../errors.ts";
import { type DataType, formatType, isListType, isStructType } from "../../schema.ts";
import type { Aggregator } from "../aggregator.ts";

/** The same aggregator, whose errors have a name, and whose results are of the type that it says or an error. */
export function guarded(name: string, stored: string, own: Aggregator): Aggregator {
  const failed = (method: string, error: unknown): VarveError =>
    error instanceof VarveError ? error : new VarveError(
      "FUNCTION_FAILED",
      `Cannot compute "${name}": ${stored} failed in ${method}(): ${messageOf(error)}`,
      { cause: error, details: { aggregation: name } },
    );
  const call = <A extends unknown[], R>(method: keyof Aggregator, run: (...args: A) => R) => (...args: A): R => {
    try {
      return run.apply(own, args);
    } catch (error) {
      throw failed(method, error);
    }
  };
  const isResult = typeCheck(own.result);
  return {
    slots: own.slots,
    result: own.result,
    ...(own.grouped && { grouped: own.grouped }),
    clear: call("clear", own.clear),
    // Rows are many: no list of arguments for each.
    update(states, i, value, time, by, key) {
      try {
        own.update(states, i, value, time, by, key);
      } catch (error) {
        throw failed("update", error);
      }
    },
    merge: call("merge", own.merge),
    ...(own.updateAll && { updateAll: call("updateAll", own.updateAll) }),
    ...(own.subtract && { subtract: call("subtract", own.subtract) }),
    ...(own.difference && { difference: call("difference", own.difference) }),
    ...(own.accumulate && { accumulate: call("accumulate", own.accumulate) }),
    ...(own.pack && { pack: call("pack", own.pack) }),
    finalize: call("finalize", (states, i) => {
      const result = own.finalize(states, i);
      if (result === null || result === undefined) return null;
      if (isResult(result)) return result;
      throw new TypeError(`it gave a ${typeof result}, and its result is ${formatType(own.result)}`);
    }),
  };
}

/** Whether a value that is not null has the JavaScript form of a type, seen from outside: elements of lists are not looked at. */
function typeCheck(type: DataType): (value: unknown) => boolean {
  if (isListType(type)) return (value) => Array.isArray(value);
  if (isStructType(type)) return (value) => typeof value === "object";
  switch (type) {
    case "int32":
    case "date":
      return (value) => typeof value === "number" && value === (value | 0);
    case "float32":
    case "float64":
      return (value) => typeof value === "number";
    case "int64":
    case "timestamp":
    case "duration":
      return (value) => typeof value === "bigint";
    case "binary":
      return (value) => value instanceof Uint8Array;
    case "string":
      return (value) => typeof value === "string";
    case "boolean":
      return (value) => typeof value === "boolean";
  }
}
