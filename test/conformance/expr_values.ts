/** Awkward values of every type, and random rows of them, for the conformance suite of expressions. */
import { type DataType, formatType, isListType, isStructType, scalarTypes, type Schema } from "../../sdk/schema.ts";

/** A repeatable source of randomness. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A float from 0 to 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

const day = 86_400_000_000n;
const minMicros = -62_135_596_800_000_000n;
const maxMicros = 253_402_300_799_999_999n;
const instant = (text: string): bigint => BigInt(Date.parse(text)) * 1000n;

// No U+FEFF: the client of DuckDB that reads results here drops it at the start of a text.
const texts: readonly string[] = [
  "",
  " ",
  "a",
  "A",
  "b",
  "ab",
  "abc",
  "aab",
  "a,b,,c",
  "Ab\tc \n",
  "\u000b x \f",
  "a.b\\c$1",
  'O\'Neil "q"',
  "%_",
  "a\nb\nc",
  "a\u0000b",
  "-",
  "zebra",
  "é",
  "e\u0301",
  "ÅÉÎ",
  "ß",
  "İstanbul",
  "ΑΣ",
  "ᾳ",
  "ﬁ",
  "ǆ",
  "ſ",
  "K",
  "日本語",
  "😀",
  "a😀b",
  "😀😀",
  "🤦🏼‍♂️",
  "\uffff",
  "\ue000",
  "\u{10ffff}",
  "\u2028",
  "0",
  "1",
  "-0",
  "+7",
  "007",
  "12",
  "-2147483648",
  "2147483648",
  "9223372036854775807",
  "9223372036854775808",
  "1_000",
  " 5",
  "0x10",
  "1e5",
  "1e400",
  "-1e-400",
  ".5",
  "5.",
  "-.5e+3",
  "1.5",
  "0.1",
  "nan",
  "NaN",
  "-nan",
  "inf",
  "-Infinity",
  "true",
  "F",
  "yes",
  "TRUE",
  "٣",
  "2000-02-29",
  "2001-02-29",
  "0001-01-01",
  "0000-12-31",
  "9999-12-31",
  "2001-3-1",
  "2001-03-01T12:00Z",
  "2001-03-01 12:00:01.5-05:00",
  "2001-03-01T12:00:00.123456+15:59",
  "2001-03-01T24:00:00Z",
  "2001-03-01T23:59:60Z",
  "0001-01-01T00:00:00+01:00",
  "9999-12-31T23:59:59.999999-00:01",
  "2001-03-01T12:00:00.1234567Z",
  "2001-02-30T00:00:00Z",
  "2001-03-01T12",
  "2001-03-01T12:00",
];

const doubles: readonly number[] = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  2.5,
  -2.5,
  0.1,
  0.2,
  0.285,
  2.675,
  1e-5,
  1e-4,
  123456.789,
  1e15,
  1e16,
  1e17,
  1e22,
  1e23,
  1e300,
  -1e300,
  5e-324,
  2.2250738585072014e-308,
  1.7976931348623157e308,
  NaN,
  Infinity,
  -Infinity,
  2147483647,
  2147483647.5,
  -2147483648.5,
  4294967296,
  9007199254740993,
  9223372036854774784,
  9223372036854775808,
  -9223372036854775808,
  0.49999999999999994,
  4503599627370497.5,
  16777217,
  3.4028235677973366e38,
  100,
  3,
  -7,
  7.25,
];

const ints: readonly number[] = [
  0,
  1,
  -1,
  2,
  -2,
  3,
  7,
  -7,
  10,
  100,
  2147483647,
  -2147483648,
  2147483646,
  46341,
  65536,
  719162,
  -719162,
];

const longs: readonly bigint[] = [
  0n,
  1n,
  -1n,
  2n,
  -3n,
  7n,
  1000n,
  -1000n,
  4294967296n,
  9007199254740993n,
  -9007199254740993n,
  9223372036854775807n,
  -9223372036854775808n,
  9223372036854775806n,
  3037000500n,
  2147483648n,
  -2147483649n,
  16777217n,
  1152921573326323713n,
  86400n,
  253402300800n,
  -62135596801n,
];

const instants: readonly bigint[] = [
  0n,
  -1n,
  1n,
  999_999n,
  -1_000_001n,
  minMicros,
  minMicros + 1n,
  maxMicros,
  maxMicros - 999_999n,
  instant("2000-02-29T12:34:56Z"),
  instant("1900-02-28T23:59:59Z"),
  instant("2100-03-01T00:00:00Z"),
  // Transitions of New York, Lord Howe (half an hour), Apia (a day left out), and a Sunday that belongs to last year's week.
  instant("2024-03-10T06:59:59Z"),
  instant("2024-03-10T07:00:00Z"),
  instant("2024-11-03T05:30:00Z"),
  instant("2024-11-03T06:00:00Z"),
  instant("2024-04-06T15:00:00Z"),
  instant("2011-12-30T10:00:00Z"),
  instant("2021-01-03T23:00:00Z"),
  instant("2020-12-31T23:59:59.999Z") + 999n,
  instant("1883-11-18T17:00:00Z"),
  instant("1969-12-31T23:59:59.5Z"),
  instant("2037-07-01T00:00:00Z"),
  instant("2200-07-01T00:00:00Z"),
];

const days: readonly number[] = [
  0,
  -1,
  1,
  -719162,
  2932896,
  11016,
  11017,
  18627,
  18628,
  18629,
  18630,
  10957,
  -25508,
  47540,
  365,
  -365,
];

const durations: readonly bigint[] = [
  0n,
  1n,
  -1n,
  day,
  -day,
  3_600_000_000n,
  1_500_000n,
  -90_000_001n,
  366n * day,
  9223372036854775807n,
  -9223372036854775808n,
  maxMicros,
];

const scalars: Readonly<Record<string, (random: Random) => unknown>> = {
  string: (random) => random.chance(0.9) ? random.pick(texts) : random.pick(texts) + random.pick(texts),
  boolean: (random) => random.chance(0.5),
  int32: (random) => random.chance(0.7) ? random.pick(ints) : random.below(2_000) - 1_000,
  int64: (random) => random.chance(0.7) ? random.pick(longs) : BigInt(random.below(2_000_000) - 1_000_000),
  float32: (random) =>
    Math.fround(random.chance(0.7) ? random.pick(doubles) : (random.next() - 0.5) * 10 ** random.below(12)),
  float64: (random) =>
    random.chance(0.7) ? random.pick(doubles) : (random.next() - 0.5) * 10 ** (random.below(40) - 20),
  date: (random) => random.chance(0.7) ? random.pick(days) : random.below(60_000) - 20_000,
  timestamp: (random) => {
    if (random.chance(0.6)) return random.pick(instants);
    // Around now, where zones have rules, and anywhere.
    if (random.chance(0.6)) {
      return BigInt(random.below(200 * 366 * 24 * 60) - 70 * 366 * 24 * 60) * 60_000_000n +
        BigInt(random.below(60_000_000));
    }
    return minMicros + BigInt(Math.floor(random.next() * 9_000_000)) * 35_000_000_000n +
      BigInt(random.below(1_000_000));
  },
  duration: (random) => random.chance(0.6) ? random.pick(durations) : BigInt(random.below(1_000_000_000)) * 1_000_003n,
  binary: (random) =>
    random.pick([
      new Uint8Array(),
      new Uint8Array([0]),
      new Uint8Array([1, 2]),
      new Uint8Array([1]),
      new Uint8Array([255, 0, 65]),
    ]),
};

/** A random value in row form, or null. */
export function randomValue(type: DataType, random: Random, nullChance = 0.12): unknown {
  if (random.chance(nullChance)) return null;
  if (isListType(type)) {
    const length = random.chance(0.03) ? 20 + random.below(20) : random.below(5);
    return Array.from({ length }, () => randomValue(type.list, random, 0.2));
  }
  if (isStructType(type)) {
    return Object.fromEntries(type.struct.map((field) => [field.name, randomValue(field.type, random, 0.2)]));
  }
  return scalars[type]!(random);
}

/** A value in row form as SQL, written without the code under test. */
export function valueSql(value: unknown, type: DataType): string {
  const name = typeSql(type);
  if (value === null) return `NULL::${name}`;
  if (isListType(type)) return `[${(value as unknown[]).map((each) => valueSql(each, type.list)).join(", ")}]::${name}`;
  if (isStructType(type)) {
    const parts = value as Record<string, unknown>;
    return `{${
      type.struct.map((field) => `'${field.name}': ${valueSql(parts[field.name] ?? null, field.type)}`).join(", ")
    }}`;
  }
  switch (type) {
    case "string":
      return `(${
        (value as string).split("\0").map((part) => `'${part.replaceAll("'", "''")}'`).join(" || chr(0) || ")
      })`;
    case "timestamp":
      return `make_timestamptz(${value}::BIGINT)`;
    case "date":
      return `(DATE '1970-01-01' + ${value}::INTEGER)`;
    case "binary":
      return `from_hex('${Buffer.from(value as Uint8Array).toString("hex")}')`;
    case "float32":
    case "float64":
      return `'${Object.is(value, -0) ? "-0" : value}'::${name}`;
  }
  return `(${value})::${name}`;
}

/** The name of a type in DuckDB, written without the code under test. */
export function typeSql(type: DataType): string {
  if (isListType(type)) return `${typeSql(type.list)}[]`;
  if (isStructType(type)) {
    return `STRUCT(${type.struct.map((field) => `"${field.name}" ${typeSql(field.type)}`).join(", ")})`;
  }
  return {
    string: "VARCHAR",
    boolean: "BOOLEAN",
    int32: "INTEGER",
    int64: "BIGINT",
    float32: "FLOAT",
    float64: "DOUBLE",
    date: "DATE",
    timestamp: "TIMESTAMP WITH TIME ZONE",
    duration: "BIGINT",
    binary: "BLOB",
  }[type];
}

/** The types that columns and generated expressions have. */
export const sampleTypes: readonly DataType[] = [
  ...scalarTypes,
  { list: "string" },
  { list: "int32" },
  { list: "int64" },
  { list: "float64" },
  { list: "float32" },
  { list: "timestamp" },
  { struct: [{ name: "a", type: "int32" }, { name: "b b", type: "string" }, { name: "C", type: { list: "float64" } }] },
];

/** Two columns of every type. */
export const sampleSchema: Schema = sampleTypes.flatMap((type) =>
  [1, 2].map((i) => ({ name: `${formatType(type).replaceAll(/[^a-z0-9]+/gi, "_")} ${i}`, type }))
);

/** Random rows of the sample columns. */
export function sampleRows(random: Random, count: number): Record<string, unknown>[] {
  return Array.from(
    { length: count },
    () => Object.fromEntries(sampleSchema.map((field) => [field.name, randomValue(field.type, random)])),
  );
}
