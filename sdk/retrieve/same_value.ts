/** S11: when two answers for the same instant are equal. */
import { Timestamp } from "../time.ts";

/** How far float sums, means and variances may differ, relative to the greater one. */
export const floatTolerance = 1e-12;

/**
 * Whether two values in user form are the same: NaN equals NaN, zeros have no sign, null equals only null. Floats may differ by
 * `tolerance`, relative.
 */
export function sameValue(a: unknown, b: unknown, tolerance = 0): boolean {
  if (a === null || b === null || a === undefined || b === undefined) return (a ?? null) === (b ?? null);
  if (typeof a === "number" && typeof b === "number") {
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
    return Number.isFinite(a) && Number.isFinite(b) &&
      Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));
  }
  if (typeof a !== "object" || typeof b !== "object") return a === b;
  if (a instanceof Timestamp && b instanceof Timestamp) return a.micros === b.micros;
  if (isList(a) && isList(b)) {
    return a.length === b.length && a.every((each, i) => sameValue(each, b[i], tolerance));
  }
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const names = Object.keys(left);
  return names.length === Object.keys(right).length &&
    names.every((name) => Object.hasOwn(right, name) && sameValue(left[name], right[name], tolerance));
}

function isList(value: object): value is readonly unknown[] {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}
