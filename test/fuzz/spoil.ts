/** Makes a request wrong: a value in it that is almost right, or a body that is not even JSON. */
import fc from "fast-check";

/** Values that have broken programs: edges of integers, keys of prototypes, texts that are no text, depth. */
const oddities: readonly unknown[] = [
  null,
  true,
  0,
  -0,
  1.5,
  -1,
  1e308,
  2 ** 53,
  2 ** 63,
  "",
  " ",
  "0",
  "-0",
  "9223372036854775807",
  "9223372036854775808",
  "-9223372036854775808",
  "1e3",
  "NaN",
  "__proto__",
  "constructor",
  "\u0000",
  "\ud800",
  "\u202e\ufeff",
  "x".repeat(5_000),
  [],
  [[]],
  {},
  { length: 5 },
  { toString: null },
  { toJSON: 1 },
  { $ref: "#" },
  ["a", ["b", ["c", [{}]]]],
];

const extraKeys = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "then",
  "length",
  "0",
  "",
  "params",
  "join_key_map",
  "joinKeyMap",
  "a".repeat(300),
];

/** Places of a JSON value: paths of keys. */
function places(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))];
}

/** The value with what is at the place put through a function; `undefined` takes it away. */
function changeAt(value: unknown, [key, ...rest]: readonly string[], change: (inner: unknown) => unknown): unknown {
  if (key === undefined) return change(value);
  const entries = Object.entries(value as object).flatMap(([name, inner]): [string, unknown][] => {
    if (name !== key) return [[name, inner]];
    const changed = changeAt(inner, rest, change);
    return changed === undefined ? [] : [[name, changed]];
  });
  // Not a literal: a key __proto__ has to stay a key.
  return Array.isArray(value) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries);
}

/** JSON text of a body with one thing in it that is wrong, or written otherwise. */
export function nearly(body: unknown): fc.Arbitrary<string> {
  const place = fc.constantFrom(...places(body));
  const odd = fc.constantFrom(...oddities);
  return fc.oneof(
    fc.tuple(place, odd).map(([at, value]) => JSON.stringify(changeAt(body, at, () => value))),
    place.map((at) => JSON.stringify(changeAt(body, at, () => undefined)) ?? ""),
    fc.tuple(place, fc.constantFrom(...extraKeys), odd).map(([at, key, value]) =>
      JSON.stringify(
        changeAt(body, at, (inner) =>
          typeof inner === "object" && inner !== null && !Array.isArray(inner)
            ? Object.fromEntries([...Object.entries(inner), [key, value]])
            : { [key]: inner }),
      )
    ),
    fc.tuple(place, fc.constantFrom(1_001, 20_000)).map(([at, count]) =>
      JSON.stringify(changeAt(body, at, (inner) => Array.isArray(inner) ? Array(count).fill(inner[0] ?? 1) : inner))
    ),
    fc.constantFrom("9007199254740993", "-9223372036854775808", "18446744073709551616", "1e999", "-0", "01").map((
      digits,
    ) =>
      // Numbers that JSON.stringify does not write.
      JSON.stringify(body).replace(/:(?:"[^"]*"|-?\d+)/, `:${digits}`)
    ),
    fc.constant(JSON.stringify(body).replace(/[a-z][A-Z]/g, ([a, b]) => `${a}_${b!.toLowerCase()}`)),
    fc.constant(JSON.stringify(body).replace(/^\{("[^"]+"):/, "{$1:null,$1:")),
  );
}

/** Bytes that are no JSON, or no JSON that anybody should read. */
export function hostile(body: unknown): fc.Arbitrary<Uint8Array> {
  const text = JSON.stringify(body) ?? "";
  const bytes = (value: string) => new TextEncoder().encode(value);
  const deep = (open: string, close: string, count: number) => bytes(open.repeat(count) + close.repeat(count));
  return fc.oneof(
    fc.integer({ min: 0, max: text.length }).map((end) => bytes(text.slice(0, end))),
    fc.uint8Array({ maxLength: 64 }),
    fc.tuple(fc.nat({ max: text.length }), fc.constantFrom(0xff, 0xc0, 0xed, 0x00, 0x80)).map(([at, byte]) => {
      const all = bytes(text);
      return Uint8Array.from([...all.subarray(0, at), byte, ...all.subarray(at)]);
    }),
    fc.constantFrom(
      bytes(`\ufeff${text}`),
      bytes(`${text}${text}`),
      bytes(`${text} // x`),
      bytes("null"),
      bytes("[]"),
      bytes('"x"'),
      bytes("NaN"),
      deep("[", "]", 5_000),
      deep('{"params":', "}", 5_000),
      bytes(`{"params":{"joinKeyMap":${'{"a":'.repeat(2_000)}1${"}".repeat(2_002)}`),
      bytes(`[${"9".repeat(60_000)}]`),
      bytes(`{"a":"${"\\".repeat(60_000)}`),
      bytes(`"${"x".repeat(70_000)}"`),
    ),
  );
}
