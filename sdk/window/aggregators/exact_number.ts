/** Numbers m × 2^e that are never rounded: what doubles add up to. Slow beside doubles; for what does not fit into a few of them. */

/** A number of any size and precision. Changed in place by {@link addExact}. */
export interface ExactNumber {
  mantissa: bigint;
  exponent: number;
}

const bits = new DataView(new ArrayBuffer(8));

/** Exactly a finite double, raised to a power. */
export function exactOf(value: number, power = 1): ExactNumber {
  bits.setFloat64(0, value);
  const high = bits.getUint32(0);
  const biased = (high >>> 20) & 0x7ff;
  const fraction = (high & 0xfffff) * 4294967296 + bits.getUint32(4);
  const whole = (biased === 0 ? fraction : fraction + 4503599627370496) * (value < 0 ? -1 : 1);
  const exponent = Math.max(biased, 1) - 1075;
  return { mantissa: power === 1 ? BigInt(whole) : BigInt(whole) ** BigInt(power), exponent: exponent * power };
}

/** Adds a number, as often as told. */
export function addExact(into: ExactNumber, other: ExactNumber, times = 1n): void {
  if (other.mantissa === 0n) return;
  const mantissa = other.mantissa * times;
  const up = other.exponent - into.exponent;
  if (into.mantissa === 0n) {
    into.mantissa = mantissa;
    into.exponent = other.exponent;
  } else if (up >= 0) {
    into.mantissa += mantissa << BigInt(up);
  } else {
    into.mantissa = (into.mantissa << BigInt(-up)) + mantissa;
    into.exponent = other.exponent;
  }
}

/** The nearest double, of two the even one; ±Infinity where the number is too great. */
export function nearest({ mantissa, exponent }: ExactNumber): number {
  if (mantissa === 0n) return 0;
  const size = mantissa < 0n ? -mantissa : mantissa;
  const sign = mantissa < 0n ? -1 : 1;
  const top = bitLength(size) - 1 + exponent;
  if (top > 1023) return sign * Infinity;
  // The exponent of the last bit of doubles of this size.
  const unit = Math.max(top - 52, -1074);
  const drop = unit - exponent;
  if (drop <= 0) return sign * Number(size << BigInt(-drop)) * powerOfTwo(unit);
  const shift = BigInt(drop);
  let kept = size >> shift;
  const half = 1n << (shift - 1n);
  const rest = size - (kept << shift);
  if (rest > half || (rest === half && (kept & 1n) === 1n)) kept += 1n;
  return sign * Number(kept) * powerOfTwo(unit);
}

/** The double nearest to a quotient. */
export function nearestQuotient({ mantissa, exponent }: ExactNumber, by: bigint): number {
  const size = mantissa < 0n ? -mantissa : mantissa;
  const shift = Math.max(0, 66 - bitLength(size) + bitLength(by));
  const dividend = size << BigInt(shift);
  const quotient = dividend / by;
  // One more bit below says whether anything is left: enough to round right.
  const sticky = (quotient << 1n) | (dividend === quotient * by ? 0n : 1n);
  return nearest({ mantissa: mantissa < 0n ? -sticky : sticky, exponent: exponent - shift - 1 });
}

/** 2^exponent, for exponents from -1074 to 1023. */
export function powerOfTwo(exponent: number): number {
  if (exponent < -1022) {
    bits.setBigUint64(0, 1n << BigInt(exponent + 1074));
  } else {
    bits.setUint32(0, (exponent + 1023) << 20);
    bits.setUint32(4, 0);
  }
  return bits.getFloat64(0);
}

function bitLength(value: bigint): number {
  if (value === 0n) return 0;
  const text = value.toString(16);
  return text.length * 4 - Math.clz32(parseInt(text[0]!, 16)) + 28;
}
