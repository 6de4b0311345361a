/** What is computed at a request is what training computes for the same keys, fields and time: on random data, over both stores. */
import fc from "fast-check";
import { entity } from "../../sdk/define/entity.ts";
import { realtimeView } from "../../sdk/define/realtime_view.ts";
import { service } from "../../sdk/define/service.ts";
import { view } from "../../sdk/define/view.ts";
import { count, last, mean } from "../../sdk/frame/aggregates.ts";
import { col } from "../../sdk/frame/expr.ts";
import { coalesce, concat, greatest, when } from "../../sdk/frame/expr_functions.ts";
import { requestTimestamp } from "../../sdk/frame/request_time.ts";
import { fromRows } from "../../sdk/frame/sources.ts";
import { Timestamp, toMicros } from "../../sdk/time.ts";
import { describeRequestsAndTraining } from "./requests_and_training.ts";

const now = toMicros("2001-01-06T00:00Z");
const day = 86_400_000_000n;
const user = entity("user", { user: "int64" });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { freq: 5 });
const float = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, 0, -0, 1e-320, 0.1));
const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)),
);
const instant = fc.bigInt({ min: now - 5n * day, max: now - 1n });
const text = fc.string({ unit: "grapheme", maxLength: 6 });

const rowTypes = {
  user: "int64",
  at: "timestamp",
  f: "float64",
  n: "int64",
  s: "string",
  t: "timestamp",
  d: "date",
} as const;
const row = fc.record({
  user: fc.bigInt({ min: 0n, max: 40n }),
  at: instant,
  f: maybe(float),
  n: maybe(int64),
  s: maybe(text),
  t: maybe(instant),
  d: maybe(fc.constantFrom("1970-01-01", "2001-02-28", "1600-12-31")),
});

const fieldTypes = {
  amount: "float64",
  k: "int64",
  since: "timestamp",
  word: "string",
  small: "float32",
  smalls: { list: "float32" },
  pair: { struct: [{ name: "a", type: "float32" }, { name: "b", type: "string" }] },
} as const;
// Doubles that no float32 is; text that no UTF-8 is.
const brokenText = fc.oneof(text, fc.constantFrom("\ud800", "x\udc00y", "\ud83d\ude00"));
const user50 = maybe(fc.bigInt({ min: 0n, max: 50n }));
const request = fc.record({
  // All slices are there; values may expire meanwhile.
  at: fc.bigInt({ min: now, max: now + day - 1n }),
  keys: fc.record({ user: user50, other: user50 }, { noNullPrototype: true }),
  fields: fc.record({
    amount: maybe(float),
    // The least one has no remainder of -1: its quotient leaves 64 bits.
    k: maybe(int64.filter((each) => each > -(2n ** 63n))),
    since: maybe(instant.map((micros) => new Timestamp(micros))),
    word: maybe(brokenText),
    small: maybe(float),
    smalls: maybe(fc.array(maybe(float), { maxLength: 3 })),
    pair: maybe(fc.record({ a: maybe(float), b: maybe(brokenText) })),
  }, { noNullPrototype: true }),
});

function model(rows: readonly object[]) {
  const frame = fromRows(rows as Record<string, unknown>[], { schema: rowTypes, eventTimestamp: "at" });
  const settings = { schedule: "1d", start: "2001-01-01", online: true } as const;
  const facts = view("facts", frame.by(user), { ...settings, ttl: "3d", defaults: { n: 7n, s: "none" } });
  const sums = view(
    "sums",
    frame.by(user).aggregate({ l: last("f", 3), m: mean("f"), c: count() }, { windows: ["2d", "4d"], every: "1d" }),
    settings,
  );
  const computed = realtimeView("computed", {
    request: fieldTypes,
    from: [facts, sums.select("l_4d", "m_2d", "c_4d")],
    features: {
      ratio: col("amount").divide(col("l_4d").list.mean()),
      product: col("amount").times(col("f")).plus(col("m_2d")),
      quotient: col("k").cast("float64").divide(col("n").cast("float64")),
      rest: col("k").modulo(col("n")),
      waves: greatest(col("amount").sin(), col("f").exp(), col("amount").pow(col("f"))),
      words: concat(col("word"), col("s")).str.upper(),
      age: requestTimestamp().minus(col("since")),
      idle: requestTimestamp().minus(coalesce(col("t"), col("since"))).dt.totalOf("hour"),
      hour: requestTimestamp().dt.hour("America/New_York"),
      kind: when(col("amount").isNaN()).then("nan").when(col("amount").gt(col("f"))).then("more").otherwise("less"),
      count: col("c_4d"),
      isTenth: col("small").eq(0.1),
      same: col("small"),
      smallest: col("smalls").list.min(),
      part: col("pair").field("a"),
      partText: col("pair").field("b"),
      broken: col("word").eq("\ufffd"),
      newest: col("l_4d").list.last(),
      later: col("d"),
      seen: col("t"),
    },
    defaults: { ratio: -1, rest: 5n, words: "?", seen: new Timestamp(0n), later: "1999-12-31" },
  });
  return service("m", [
    facts.select("f"),
    computed,
    computed.mapKeys({ user: "other" }).as("other").prefix("other_"),
    sums.select("m_4d"),
  ]);
}

describeRequestsAndTraining("realtime views", {
  features: model(fc.sample(row, { numRuns: 150, seed: 11 })),
  request,
  types: { user: "int64", other: "int64", ...fieldTypes },
  numRuns: 12,
});
