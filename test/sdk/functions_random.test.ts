/** What a function gives at a request is what it gives in training for the same keys, fields and time: all types, over both stores. */
import fc from "fast-check";
import { entity } from "../../sdk/define/entity.ts";
import { realtimeView } from "../../sdk/define/realtime_view.ts";
import { service } from "../../sdk/define/service.ts";
import { view } from "../../sdk/define/view.ts";
import { fromRows } from "../../sdk/frame/sources.ts";
import { Timestamp, timestampLimits, toMicros } from "../../sdk/time.ts";
import { describeRequestsAndTraining } from "./requests_and_training.ts";

const now = toMicros("2001-01-06T00:00Z");
const day = 86_400_000_000n;
const user = entity("user", { user: "int64" });

const types = {
  f: "float64",
  g: "float32",
  i: "int32",
  n: "int64",
  s: "string",
  b: "boolean",
  t: "timestamp",
  d: "date",
  u: "duration",
  y: "binary",
  l: { list: "float64" },
  m: { list: "timestamp" },
  p: {
    struct: [{ name: "a", type: "int64" }, { name: "b", type: { list: "string" } }, { name: "c", type: "date" }],
  },
} as const;

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { freq: 5 });
const float = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, 0, -0, 1e-320, 0.1));
const int64 = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.constantFrom(0n, -1n, 2n ** 53n + 1n));
const instant = fc.bigInt(timestampLimits.min, timestampLimits.max).map((micros) => new Timestamp(micros));
const text = fc.oneof(fc.string({ unit: "grapheme", maxLength: 6 }), fc.constantFrom("", "\u0000", '"\\', "\u2028"));
const date = fc.constantFrom("1970-01-01", "2001-02-28", "0001-01-01", "9999-12-31");
const values = {
  f: maybe(float),
  g: maybe(float.map(Math.fround)),
  i: maybe(fc.integer()),
  n: maybe(int64),
  s: maybe(text),
  b: maybe(fc.boolean()),
  t: maybe(instant),
  d: maybe(date),
  u: maybe(int64),
  y: maybe(fc.uint8Array({ maxLength: 9 })),
  l: maybe(fc.array(maybe(float), { maxLength: 4 })),
  m: maybe(fc.array(maybe(instant), { maxLength: 3 })),
  p: maybe(fc.record({ a: maybe(int64), b: maybe(fc.array(maybe(text), { maxLength: 3 })), c: maybe(date) })),
};
const named = <T extends object>(prefix: string, record: T) =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [prefix + name, value])) as {
    [P in keyof T & string as `${"r_"}${P}`]: T[P];
  };

const stored = fc.record({
  user: fc.bigInt(0n, 40n),
  at: fc.bigInt(now - 5n * day, now - 1n),
  ...values,
}, { noNullPrototype: true });
const request = fc.record({
  keys: fc.record({ user: maybe(fc.bigInt(0n, 50n)) }, { noNullPrototype: true }),
  // All slices are there; values may expire meanwhile.
  at: fc.bigInt(now, now + day - 1n),
  fields: fc.record(named("r_", values), { noNullPrototype: true }),
}, { noNullPrototype: true });

function model(rows: readonly object[]) {
  const frame = fromRows(rows as Record<string, unknown>[], {
    schema: { user: "int64", at: "timestamp", ...types },
    eventTimestamp: "at",
  });
  const facts = view("facts", frame.by(user), {
    schedule: "1d",
    start: "2001-01-01",
    online: true,
    ttl: "3d",
    defaults: { n: 7n, s: "none" },
  });
  const computed = realtimeView("computed", {
    request: named("r_", types),
    from: [facts],
    output: {
      ...Object.fromEntries(Object.entries(types).map(([name, type]) => [`e_${name}`, type])) as {
        [P in keyof typeof types as `e_${P}`]: (typeof types)[P];
      },
      ...Object.fromEntries(Object.entries(types).map(([name, type]) => [`x_${name}`, type])) as {
        [P in keyof typeof types as `x_${P}`]: (typeof types)[P];
      },
      ratio: "float64",
      sum: "float32",
      total: "int64",
      age: "duration",
      next: "timestamp",
      words: { list: "string" },
      both: { struct: [{ name: "when", type: "timestamp" }, { name: "on", type: "date" }] },
    },
    compute: (row) => {
      const total = (row.n ?? 0n) / 2n + (row.r_n ?? 0n) / 2n;
      const sum = (numbers: readonly (number | null)[] | null) =>
        (numbers ?? []).reduce((a: number, b) => a + (b ?? 0), 0);
      return {
        e_f: row.f,
        e_g: row.g,
        e_i: row.i,
        e_n: row.n,
        e_s: row.s,
        e_b: row.b,
        e_t: row.t,
        e_d: row.d,
        e_u: row.u,
        e_y: row.y,
        e_l: row.l,
        e_m: row.m,
        e_p: row.p,
        x_f: row.r_f,
        x_g: row.r_g,
        x_i: row.r_i,
        x_n: row.r_n,
        x_s: row.r_s,
        x_b: row.r_b,
        x_t: row.r_t,
        x_d: row.r_d,
        x_u: row.r_u,
        x_y: row.r_y,
        x_l: row.r_l,
        x_m: row.r_m,
        x_p: row.r_p,
        ratio: (row.f ?? 1) / (row.r_f ?? 0),
        sum: sum(row.l) + sum(row.r_l),
        total,
        age: row.t === null ? null : (row.requestTimestamp.micros - row.t.micros) / 1000n,
        next: new Date(row.requestTimestamp.toDate().getTime() + 1_500),
        words: [row.s, row.r_s, ...((row.p?.b ?? []) as (string | null)[])].map((word) =>
          word === null ? null : word.toUpperCase()
        ),
        both: { when: row.t ?? row.r_t, on: row.d ?? row.r_d },
      };
    },
    defaults: { e_i: -1, x_s: "?", ratio: 0.5 },
  });
  return service("m", [facts.select("f").rename({ f: "plain" }), computed]);
}

describeRequestsAndTraining("functions", {
  features: model(fc.sample(stored, { numRuns: 120, seed: 11 })),
  request,
  types: { user: "int64", ...named("r_", types) },
  numRuns: 10,
});
