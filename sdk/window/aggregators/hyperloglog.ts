/**
 * HyperLogLog: about how many different values there were. Our own, as its registers must lie in states, few at first, and not
 * in objects: 2^precision bytes, one register each, and while fewer than a third are set, three bytes for each that is.
 *
 * Estimated as in O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), which needs no tables and
 * is unbiased from 0 to beyond 2^32: the standard error is 1.04/√(2^precision).
 */
import type { DataType } from "../../schema.ts";
import type { Aggregator, States } from "../aggregator.ts";
import { hashed, hasherOf } from "./value_hash.ts";

/** The greatest rank: a hash gives 32 bits beside the number of the register. */
const maxRank = 33;

/**
 * Registers at a place: null where all are 0. Dense when it has as many bytes as registers, else sparse, ascending. Packed,
 * whichever is shorter; while it is worked with, dense from some entries on, as sparse ones must move for every other.
 */
type Registers = Uint8Array | null;

/** How many bytes of sparse registers are worked with, of so many: few bytes to move, but not sixteen times too many held. */
function maxSparse(size: number): number {
  return Math.min(size, Math.max(192, size >> 4));
}

/** The number of different values. State: up to 2^precision bytes. */
export function approxCountDistinctAggregator(type: DataType, precision: number): Aggregator {
  const hash = hasherOf(type);
  const size = 2 ** precision;
  const registers = (states: States) => states[0] as Registers[];
  return {
    slots: [{ name: "registers", type: "binary" }],
    result: "int64",
    clear: (states, i) => {
      registers(states)[i] = null;
    },
    update: (states, i, value) => {
      hash(value);
      const index = hashed[0]! >>> (32 - precision);
      registers(states)[i] = raise(registers(states)[i]!, index, Math.clz32(hashed[1]!) + 1, size);
    },
    merge: (into, i, from, j) => {
      const other = registers(from)[j]!;
      if (other === null) return;
      const own = registers(into)[i]!;
      registers(into)[i] = own === null
        ? new Uint8Array(other)
        : own.length < size && other.length < size
        ? mergeSparse(own, other, size)
        : raiseAll(densely(own, size), densely(other, size));
    },
    finalize: (states, i) => BigInt(estimate(registers(states)[i]!, size)),
    pack: (states, i) => {
      const own = registers(states)[i]!;
      if (own !== null) registers(states)[i] = shortest(own, size);
    },
  };
}

function indexAt(sparse: Uint8Array, at: number): number {
  return sparse[at]! | (sparse[at + 1]! << 8);
}

/** Raises one register; gives the registers that are right then. */
function raise(own: Registers, index: number, rank: number, size: number): Uint8Array {
  if (own === null) return entry(new Uint8Array(3), 0, index, rank);
  if (own.length === size) {
    if (own[index]! < rank) own[index] = rank;
    return own;
  }
  let low = 0;
  let high = own.length / 3;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (indexAt(own, 3 * middle) < index) low = middle + 1;
    else high = middle;
  }
  const at = 3 * low;
  if (at < own.length && indexAt(own, at) === index) {
    if (own[at + 2]! < rank) own[at + 2] = rank;
    return own;
  }
  if (own.length + 3 >= maxSparse(size)) return raise(densely(own, size), index, rank, size);
  const longer = new Uint8Array(own.length + 3);
  longer.set(own.subarray(0, at));
  longer.set(own.subarray(at), at + 3);
  return entry(longer, at, index, rank);
}

/** Both in order, as one pass: adding single entries would move the rest each time. */
function mergeSparse(own: Uint8Array, other: Uint8Array, size: number): Uint8Array {
  const merged = new Uint8Array(own.length + other.length);
  let [a, b, at] = [0, 0, 0];
  while (a < own.length || b < other.length) {
    const x = a < own.length ? indexAt(own, a) : size;
    const y = b < other.length ? indexAt(other, b) : size;
    const rank = Math.max(x <= y ? own[a + 2]! : 0, y <= x ? other[b + 2]! : 0);
    entry(merged, at, Math.min(x, y), rank);
    at += 3;
    if (x <= y) a += 3;
    if (y <= x) b += 3;
  }
  return at < maxSparse(size) ? merged.slice(0, at) : densely(merged.subarray(0, at), size);
}

function raiseAll(own: Uint8Array, other: Uint8Array): Uint8Array {
  for (let k = 0; k < own.length; k++) if (other[k]! > own[k]!) own[k] = other[k]!;
  return own;
}

function entry(sparse: Uint8Array, at: number, index: number, rank: number): Uint8Array {
  sparse[at] = index & 0xff;
  sparse[at + 1] = index >>> 8;
  sparse[at + 2] = rank;
  return sparse;
}

function densely(own: Uint8Array, size: number): Uint8Array {
  if (own.length === size) return own;
  const dense = new Uint8Array(size);
  for (let at = 0; at < own.length; at += 3) dense[indexAt(own, at)] = own[at + 2]!;
  return dense;
}

function shortest(own: Uint8Array, size: number): Uint8Array {
  if (own.length < size) return own;
  let count = 0;
  for (let k = 0; k < size; k++) if (own[k] !== 0) count++;
  if (3 * count >= size) return own;
  const sparse = new Uint8Array(3 * count);
  for (let k = 0, at = 0; k < size; k++) {
    if (own[k] === 0) continue;
    entry(sparse, at, k, own[k]!);
    at += 3;
  }
  return sparse;
}

function estimate(own: Registers, size: number): number {
  if (own === null) return 0;
  const ranks = new Float64Array(maxRank + 1);
  if (own.length === size) {
    for (let k = 0; k < size; k++) ranks[own[k]!]! += 1;
  } else {
    for (let at = 2; at < own.length; at += 3) ranks[own[at]!]! += 1;
    ranks[0] = size - own.length / 3;
  }
  let sum = size * tau(1 - ranks[maxRank]! / size);
  for (let rank = maxRank - 1; rank >= 1; rank--) sum = 0.5 * (sum + ranks[rank]!);
  sum += size * sigma(ranks[0]! / size);
  return Math.round(size * size / (2 * Math.LN2 * sum));
}

/** What registers that are 0 say. */
function sigma(share: number): number {
  if (share === 1) return Infinity;
  let [x, y, sum] = [share, 1, share];
  for (let before = -1; sum !== before;) {
    x *= x;
    before = sum;
    sum += x * y;
    y += y;
  }
  return sum;
}

/** What registers of the greatest rank say. */
function tau(share: number): number {
  if (share === 0 || share === 1) return 0;
  let [x, y, sum] = [share, 1, 1 - share];
  for (let before = -1; sum !== before;) {
    x = Math.sqrt(x);
    before = sum;
    y *= 0.5;
    sum -= (1 - x) ** 2 * y;
  }
  return sum / 3;
}
