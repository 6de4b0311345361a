/** How values of states compare, and which of them are the same. */
import { comparatorOf, type Compare } from "../../engine/row_value.ts";
import { type DataType, isFloatType, isListType, isStructType } from "../../schema.ts";

/** The order of values in row form: that of expressions; lists go element by element, structs part by part, null last. */
export function orderOf(type: DataType): Compare {
  if (isListType(type)) {
    const element = nullsLast(orderOf(type.list));
    return (a, b) => {
      const [x, y] = [a as unknown[], b as unknown[]];
      const length = Math.min(x.length, y.length);
      for (let i = 0; i < length; i++) {
        const order = element(x[i], y[i]);
        if (order !== 0) return order;
      }
      return x.length - y.length;
    };
  }
  if (isStructType(type)) {
    const parts = type.struct.map((field) => [field.name, nullsLast(orderOf(field.type))] as const);
    return (a, b) => {
      for (const [name, order] of parts) {
        const found = order((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]);
        if (found !== 0) return found;
      }
      return 0;
    };
  }
  return comparatorOf(type);
}

function nullsLast(compare: Compare): Compare {
  const isNull = (value: unknown): boolean => value === null || value === undefined;
  return (a, b) => isNull(a) || isNull(b) ? Number(isNull(a)) - Number(isNull(b)) : compare(a, b);
}

/** The one that stands for all equal values of a type without parts: 0 for -0. */
export function plainOf(type: DataType): (value: unknown) => unknown {
  return isFloatType(type) ? (value) => (value as number) + 0 : (value) => value;
}

/** Whether two values of a type without parts are the same: NaN is the same as NaN. */
export function sameOf(type: DataType): (a: unknown, b: unknown) => boolean {
  if (type !== "binary") return (a, b) => a === b || (a !== a && b !== b);
  const compare = comparatorOf(type);
  return (a, b) => compare(a, b) === 0;
}
