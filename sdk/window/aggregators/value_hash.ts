/** Hashes of values that are the same in every process: 64 bits, as two numbers, of what a value is and not of how it is written. */
import { type DataType, isFloatType } from "../../schema.ts";

/** The two halves of the last hash: a pair would be an object per row. */
export const hashed = new Int32Array(2);

const float = new Float64Array(1);
const long = new BigInt64Array(1);
const floatWords = new Int32Array(float.buffer);
const longWords = new Int32Array(long.buffer);

/** How values of a type without parts are hashed into {@link hashed}. */
export function hasherOf(type: DataType): (value: unknown) => void {
  if (isFloatType(type)) {
    return (value) => {
      // One NaN, one zero.
      float[0] = value === value ? (value as number) + 0 : NaN;
      hashWords(floatWords[0]!, floatWords[1]!);
    };
  }
  switch (type) {
    case "int64":
    case "timestamp":
    case "duration":
      return (value) => {
        long[0] = value as bigint;
        hashWords(longWords[0]!, longWords[1]!);
      };
    case "string":
      return (value) => hashText(value as string);
    case "binary":
      return (value) => hashBytes(value as Uint8Array);
  }
  return (value) => hashWords(Number(value), 0);
}

// Murmur's mixing in two lanes with different constants and seeds; each lane is murmur3's 32 bits.
let a = 0;
let b = 0;

function start(): void {
  a = 0x2545f491;
  b = 0x6c078965;
}

function mix(word: number): void {
  let x = Math.imul(word, 0xcc9e2d51);
  x = Math.imul((x << 15) | (x >>> 17), 0x1b873593);
  a ^= x;
  a = (Math.imul((a << 13) | (a >>> 19), 5) + 0xe6546b64) | 0;
  let y = Math.imul(word, 0x239b961b);
  y = Math.imul((y << 16) | (y >>> 16), 0x38b34ae5);
  b ^= y;
  b = (Math.imul((b << 17) | (b >>> 15), 5) + 0x561ccd1b) | 0;
}

/** The lanes together, so that neither half depends on one of them alone. */
function finish(length: number): void {
  const x = last(a ^ length);
  const y = last(b ^ length);
  hashed[0] = last((x + Math.imul(y, 3)) | 0);
  hashed[1] = last((y + hashed[0]!) | 0);
}

function last(word: number): number {
  let x = word;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

function hashWords(low: number, high: number): void {
  start();
  mix(low);
  mix(high);
  finish(8);
}

function hashText(text: string): void {
  start();
  const { length } = text;
  for (let i = 0; i + 1 < length; i += 2) mix(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
  if (length % 2 === 1) mix(text.charCodeAt(length - 1));
  finish(length);
}

function hashBytes(bytes: Uint8Array): void {
  start();
  const { length } = bytes;
  for (let i = 0; i < length; i += 4) {
    // Bytes after the end are undefined, which counts as 0 here; the length tells them apart.
    mix(bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
  }
  finish(length);
}
