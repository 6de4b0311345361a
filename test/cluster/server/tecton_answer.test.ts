import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AnswerWriter } from "../../../cluster/server/tecton_answer.ts";
import type { DataType } from "../../../sdk/schema.ts";
import type { Answer, ServedFeature, ServiceReader } from "../../../sdk/serving.ts";
import { formatTimestamp, Timestamp } from "../../../sdk/time.ts";

const text = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: "binary" }),
  fc.constantFrom("", "null", '"', "\\", "\u2028", "\ud800", "</script>", "__proto__", "\u0000\u001f\u007f"),
);
const int64 = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);
const float = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, -0, 1e21, 5e-324, 0.1 + 0.2));
const scalars: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  boolean: fc.boolean(),
  int32: fc.integer(),
  int64,
  float32: fc.float(),
  float64: float,
  string: text,
  binary: fc.uint8Array({ maxLength: 9 }),
  date: fc.constantFrom("1969-12-31", "2001-02-03"),
  timestamp: fc.bigInt(-(10n ** 15n), 10n ** 16n).map((micros) => new Timestamp(micros)),
  duration: int64,
};

interface Typed {
  readonly type: DataType;
  readonly value: fc.Arbitrary<unknown>;
}

const scalar: fc.Arbitrary<Typed> = fc.constantFrom(...Object.keys(scalars)).map((type) => ({
  type: type as DataType,
  value: fc.option(scalars[type]!, { freq: 4 }),
}));
const listOf = ({ type, value }: Typed): Typed => ({
  type: { list: type },
  value: fc.option(fc.array(value, { maxLength: 4 }), { freq: 4 }),
});
const structOf = (parts: readonly Typed[]): Typed => ({
  type: { struct: parts.map(({ type }, i) => ({ name: `p${i}`, type })) },
  value: fc.option(
    fc.record(Object.fromEntries(parts.map(({ value }, i) => [`p${i}`, value]))),
    { freq: 4 },
  ),
});
const typed: fc.Arbitrary<Typed> = fc.oneof(
  { weight: 4, arbitrary: scalar },
  { weight: 1, arbitrary: scalar.map(listOf) },
  { weight: 1, arbitrary: scalar.map(listOf).map(listOf) },
  { weight: 1, arbitrary: fc.array(scalar, { minLength: 1, maxLength: 3 }).map(structOf) },
);

/** S9, as it is said. */
function plain(value: unknown, type: DataType): unknown {
  if (value === null) return null;
  if (typeof type === "object") {
    if ("list" in type) return (value as readonly unknown[]).map((each) => plain(each, type.list));
    return type.struct.map(({ name, type: part }) => plain((value as Readonly<Record<string, unknown>>)[name], part));
  }
  if (type === "binary") return Buffer.from(value as Uint8Array).toString("base64");
  if (type === "float32" || type === "float64") return Number.isFinite(value) ? value : String(value);
  return ["int32", "int64", "duration", "timestamp"].includes(type) ? String(value) : value;
}

const statuses = ["PRESENT", "MISSING", "EXPIRED", "NULL_KEY"] as const;
const flags = [
  "includeNames",
  "includeDataTypes",
  "includeExactTypes",
  "includeFeatureDescriptions",
  "includeFeatureTags",
  "includeEffectiveTimes",
  "includeServingStatus",
];

/** A service of random features, answers of it, and what of the metadata is wanted. */
const cases = fc.array(typed, { minLength: 1, maxLength: 6 }).chain((types) =>
  fc.record({
    features: fc.tuple(...types.map(({ type }, i) =>
      fc.record({
        namespace: fc.constantFrom("a", "b", "a_b", 'q"'),
        name: text.map((name) => `${name}${i}`),
        view: fc.constant("v"),
        version: fc.constant(1),
        type: fc.constant(type),
        isComputed: fc.boolean(),
        description: text,
        tags: fc.dictionary(text, text, { maxKeys: 2 }),
      }, { requiredKeys: ["namespace", "name", "view", "version", "type", "isComputed"] })
    )),
    answers: fc.array(
      fc.option(
        fc.record({
          values: fc.tuple(...types.map(({ value }) => value)),
          statuses: fc.tuple(...types.map(() => fc.constantFrom(...statuses))),
          effectiveTimes: fc.tuple(
            ...types.map(() => fc.option(fc.bigInt(-5n, 10n ** 15n), { nil: undefined, freq: 4 })),
          ),
        }),
        { nil: undefined, freq: 9 },
      ),
      { minLength: 1, maxLength: 4 },
    ),
    wanted: fc.record(Object.fromEntries(flags.map((flag) => [flag, fc.boolean()]))),
  })
).map(({ features, answers, wanted }) => {
  // What became of a look-up is true of all features of a view.
  const first = features.map((one) =>
    features.findIndex((other) => one.namespace === other.namespace && one.isComputed === other.isComputed)
  );
  const lookedUp = answers.map((answer) =>
    answer && {
      ...answer,
      statuses: first.map((place) => answer.statuses[place]),
      effectiveTimes: first.map((place) => answer.effectiveTimes[place]),
    }
  );
  return { features, answers: lookedUp, wanted };
});

const writerOf = (features: unknown) => new AnswerWriter({ features } as ServiceReader);
const inOrder = (features: readonly ServedFeature[]) =>
  features.map((feature, index) => ({ ...feature, index, full: `${feature.namespace}.${feature.name}` }))
    .sort((a, b) => {
      if (a.isComputed !== b.isComputed) return a.isComputed ? -1 : 1;
      const [left, right] = a.isComputed ? [a.namespace, b.namespace] : [a.full, b.full];
      return left === right ? a.index - b.index : left < right ? -1 : 1;
    });
const timeText = (micros: bigint | undefined) => micros === undefined ? null : formatTimestamp(micros);
const told = (status: string) => status === "PRESENT" || status === "TIME_OUT" ? status : "MISSING_DATA";

describe("AnswerWriter", () => {
  it("writes vectors as JSON.stringify does what S9 says", () => {
    fc.assert(fc.property(cases, ({ features, answers }) => {
      const writer = writerOf(features);
      const rows = answers as unknown as (Answer | undefined)[];
      const expected = rows.map((row) => ({
        features: inOrder(features as ServedFeature[]).map(({ index, type }) =>
          row ? plain(row.values[index], type) : null
        ),
      }));
      expect(rows.map((row) => writer.vector(row))).toEqual(expected.map((vector) => JSON.stringify(vector)));
      expect(writer.vectors(rows)).toBe(JSON.stringify(expected));
    }));
  });

  it("writes metadata of one row and of many, whatever of it is wanted", () => {
    fc.assert(fc.property(cases, ({ features, answers, wanted }) => {
      const writer = writerOf(features);
      const rows = answers as unknown as (Answer | undefined)[];
      // Twice: what does not change is kept.
      for (const rest of [rows, rows.toReversed()]) {
        const [first] = rest;
        const expected = (times: (index: number) => object, reasons: (index: number) => object) =>
          inOrder(features as ServedFeature[]).map(({ index, full, type, description, tags }, i) => ({
            ...(wanted["includeNames"] && { name: full }),
            ...(wanted["includeDataTypes"] && { dataType: writer.features[i]!.dataType }),
            ...(wanted["includeExactTypes"] && { exactType: type }),
            ...(wanted["includeFeatureDescriptions"] && { description: description ?? null }),
            ...(wanted["includeFeatureTags"] && { tags: tags ?? {} }),
            ...(wanted["includeEffectiveTimes"] && times(index)),
            ...(wanted["includeServingStatus"] && reasons(index)),
          }));
        const reason = (row: Answer | undefined, index: number) => row?.statuses[index] ?? "TIME_OUT";
        expect(writer.metadata(wanted, first)).toBe(JSON.stringify(expected(
          (index) => ({ effectiveTime: timeText(first?.effectiveTimes[index]) }),
          (index) => ({ status: told(reason(first, index)), reason: reason(first, index) }),
        )));
        expect(writer.batchMetadata(wanted, rest)).toBe(JSON.stringify(expected(
          (index) => {
            const times = rest.map((row) => row?.effectiveTimes[index]);
            const known = times.filter((time) => time !== undefined).sort((a, b) => a < b ? -1 : 1);
            return { effectiveTime: timeText(known.at(-1)), effectiveTimes: times.map(timeText) };
          },
          (index) => ({
            status: rest.map((row) => told(reason(row, index))),
            reason: rest.map((row) => reason(row, index)),
          }),
        )));
      }
    }));
  });
});
