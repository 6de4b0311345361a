/** A value whose zeros have no sign, as S11 compares them: the engine's Parquet dictionaries hold one zero for both. */
export function unsignedZeros<T>(value: T): T;
export function unsignedZeros(value: unknown): unknown {
  if (value === 0) return 0;
  if (Array.isArray(value)) return value.map((each) => unsignedZeros(each));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, unsignedZeros(each)]));
}
