/** What JSON cannot hold, for programs that read what commands print. */

/** A replacer: integers of 64 bits and floats that are no numbers are written as text (S9). */
export function plain(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}
