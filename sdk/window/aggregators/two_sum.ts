/** Sums and products of doubles with what rounding them loses, exactly. */

/** What `a + b`, rounded to `sum`, loses. Exact unless the sum overflows. */
export function sumError(a: number, b: number, sum: number): number {
  const part = sum - a;
  return (a - (sum - part)) + (b - part);
}

/** What `a × b`, rounded to `product`, loses. Exact when both sizes are 0 or from 2^-480 to 2^480. */
export function productError(a: number, b: number, product: number): number {
  const c = 134217729 * a;
  const aHigh = c - (c - a);
  const aLow = a - aHigh;
  const d = 134217729 * b;
  const bHigh = d - (d - b);
  const bLow = b - bHigh;
  return aLow * bLow - (((product - aHigh * bHigh) - aLow * bHigh) - aHigh * bLow);
}
