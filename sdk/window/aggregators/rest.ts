/**
 * What columns of doubles cannot hold of sums: how often NaN and the infinities came, and exact numbers for the bits that are
 * left over. Most states have none. Stored as bytes.
 */
import { addExact, type ExactNumber } from "./exact_number.ts";

/** What is left over of sums; changed in place. */
export interface Rest {
  nan: number;
  /** How often Infinity came. */
  up: number;
  /** How often -Infinity came. */
  down: number;
  /** One per sum. */
  readonly exact: readonly ExactNumber[];
}

/** A column of rests: null where nothing is left over. */
export type RestColumn = (Rest | Uint8Array | null)[];

/** The rest at a place, made or read from its bytes, to be changed. */
export function restAt(column: RestColumn, i: number, sums: number): Rest {
  const held = column[i]!;
  if (held !== null && !(held instanceof Uint8Array)) return held;
  const rest = held === null ? noRest(sums) : readRest(held, sums);
  column[i] = rest;
  return rest;
}

/** The rest at a place, to be read. */
export function peekRest(column: RestColumn, i: number, sums: number): Rest | null {
  const held = column[i]!;
  return held instanceof Uint8Array ? readRest(held, sums) : held;
}

/** Counts a value that is not finite, as often as told. */
export function addSpecial(rest: Rest, value: number, times: number): void {
  if (value > 0) rest.up += times;
  else if (value < 0) rest.down += times;
  else rest.nan += times;
}

/** Adds what is left over elsewhere, or with -1 takes it away. */
export function addRest(into: RestColumn, i: number, from: RestColumn, j: number, sums: number, times: 1 | -1): void {
  const other = peekRest(from, j, sums);
  if (other === null) return;
  const rest = restAt(into, i, sums);
  rest.nan += times * other.nan;
  rest.up += times * other.up;
  rest.down += times * other.down;
  for (let k = 0; k < sums; k++) addExact(rest.exact[k]!, other.exact[k]!, BigInt(times));
  if (isNothing(rest)) into[i] = null;
}

/** The sum where values were not finite; undefined when all were. */
export function specialSum({ nan, up, down }: Rest): number | undefined {
  if (nan > 0 || (up > 0 && down > 0)) return NaN;
  return up > 0 ? Infinity : down > 0 ? -Infinity : undefined;
}

/** Puts bytes, or null, at a place. */
export function packRest(column: RestColumn, i: number): void {
  const held = column[i]!;
  if (held === null || held instanceof Uint8Array) return;
  column[i] = isNothing(held) ? null : writeRest(held);
}

function noRest(sums: number): Rest {
  return { nan: 0, up: 0, down: 0, exact: Array.from({ length: sums }, () => ({ mantissa: 0n, exponent: 0 })) };
}

function isNothing({ nan, up, down, exact }: Rest): boolean {
  return nan === 0 && up === 0 && down === 0 && exact.every(({ mantissa }) => mantissa === 0n);
}

/** Bytes: three doubles, then per number its exponent (int16), length (uint16) and two's complement, all little-endian. */
function writeRest({ nan, up, down, exact }: Rest): Uint8Array {
  const numbers = exact.map(shorten);
  const bytes = new Uint8Array(24 + numbers.reduce((sum, { body }) => sum + 4 + body.length, 0));
  const view = new DataView(bytes.buffer);
  [nan, up, down].forEach((count, k) => view.setFloat64(8 * k, count, true));
  let at = 24;
  for (const { exponent, body } of numbers) {
    view.setInt16(at, exponent, true);
    view.setUint16(at + 2, body.length, true);
    bytes.set(body, at + 4);
    at += 4 + body.length;
  }
  return bytes;
}

/** Equal numbers have equal bytes: the mantissa is made odd. */
function shorten({ mantissa, exponent }: ExactNumber): { readonly exponent: number; readonly body: Uint8Array } {
  if (mantissa === 0n) return { exponent: 0, body: new Uint8Array(0) };
  const zeros = (mantissa & -mantissa).toString(2).length - 1;
  const odd = mantissa >> BigInt(zeros);
  const length = (odd < 0n ? -odd : odd).toString(16).length / 2 + 1 | 0;
  const text = BigInt.asUintN(8 * length, odd).toString(16).padStart(2 * length, "0");
  return { exponent: exponent + zeros, body: Uint8Array.from(Buffer.from(text, "hex")).reverse() };
}

function readRest(bytes: Uint8Array, sums: number): Rest {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [nan, up, down] = [0, 8, 16].map((at) => view.getFloat64(at, true)) as [number, number, number];
  let at = 24;
  const exact = Array.from({ length: sums }, (): ExactNumber => {
    const exponent = view.getInt16(at, true);
    const length = view.getUint16(at + 2, true);
    const body = Buffer.from(bytes.subarray(at + 4, at + 4 + length)).reverse();
    at += 4 + length;
    return { mantissa: length === 0 ? 0n : BigInt.asIntN(8 * length, BigInt(`0x${body.toString("hex")}`)), exponent };
  });
  return { nan, up, down, exact };
}
