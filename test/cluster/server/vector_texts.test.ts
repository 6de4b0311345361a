import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VectorTexts } from "../../../cluster/server/vector_texts.ts";
import type { StoredRows } from "../../../sdk/retrieve/service_reader.ts";

/** What rows are, as text: equal for equal rows alone. */
function plain(kind: number, rows: StoredRows): string {
  return JSON.stringify([kind, rows.map((row) => row ? [...row] : null)]);
}

/** Few rows, so that they come again; some of them differ in their last byte only, or in where one ends and the next begins. */
const row = fc.constantFrom(
  ...[[], [0], [1], [0, 0], [1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 3, 4, 5], Array.from({ length: 2_000 }, () => 7)],
).map((bytes) => Uint8Array.from(bytes));
const rows = fc.array(fc.option(row, { nil: undefined }), { minLength: 1, maxLength: 3 });

describe("VectorTexts", () => {
  it("gives what was written of the same bytes by the same kind, and of no other", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), rows), { minLength: 1, maxLength: 200 }), (asked) => {
        const texts = new VectorTexts();
        const kinds = [texts.newKind(), texts.newKind()];
        for (const [isFirst, stored] of asked) {
          const kind = kinds[isFirst ? 0 : 1]!;
          expect(texts.of(kind, stored, () => plain(kind, stored))).toBe(plain(kind, stored));
        }
      }),
    );
  });

  it("writes what comes again twice, and then no more", () => {
    const texts = new VectorTexts();
    const kind = texts.newKind();
    let written = 0;
    for (let i = 0; i < 5; i++) texts.of(kind, [Uint8Array.of(1, 2, 3), undefined], () => `${++written}`);
    expect(written).toBe(2);
  });

  it("does not hold the bytes it was given", () => {
    const texts = new VectorTexts();
    const kind = texts.newKind();
    const bytes = Uint8Array.of(1, 2, 3);
    for (let i = 0; i < 2; i++) texts.of(kind, [bytes], () => "before");
    bytes[2] = 4;
    expect(texts.of(kind, [Uint8Array.of(1, 2, 3)], () => "again")).toBe("before");
    expect(texts.of(kind, [bytes], () => "after")).toBe("after");
  });

  it("forgets what is not asked for while others come", () => {
    const texts = new VectorTexts();
    const kind = texts.newKind();
    const of = (n: number, text: string) =>
      texts.of(kind, [Uint8Array.from(new Uint8Array(Int32Array.of(n).buffer))], () => text);
    for (let n = 0; n < 20_000; n++) {
      for (let i = 0; i < 2; i++) of(n, "first");
      // One of them is asked for all the time.
      if (n > 0) expect(of(1, "now")).toBe("first");
    }
    expect(of(2, "now")).toBe("now");
    expect(of(19_999, "now")).toBe("first");
  });
});
