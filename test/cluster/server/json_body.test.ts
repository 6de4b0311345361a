import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exactIntegers } from "../../../cluster/server/json_body.ts";

describe("exactIntegers()", () => {
  it.each([
    ['{"user":9007199254740993}', { user: "9007199254740993" }],
    ["[-9223372036854775808,9223372036854775807]", ["-9223372036854775808", "9223372036854775807"]],
    ["[ 9007199254740993 , 9007199254740991]", ["9007199254740993", 9007199254740991]],
    ['["9007199254740993","\\"9007199254740993","\\\\"]', ["9007199254740993", '"9007199254740993', "\\"]],
    ["[9007199254740993.5,9007199254740993e2,1e300,-0]", [9007199254740993.5, 9007199254740993e2, 1e300, -0]],
    ["[18446744073709551616]", [2 ** 64]],
    ['{"9007199254740993":1}', { "9007199254740993": 1 }],
  ])("reads %s", (text, value) => {
    expect(JSON.parse(exactIntegers(text))).toEqual(value);
  });

  it.each([
    "09007199254740993",
    "--9007199254740993",
    '"9007199254740993',
    "[9007199254740993 1]",
    "90071992547409931x",
  ])(
    "makes no JSON of %s",
    (text) => expect(() => JSON.parse(exactIntegers(text))).toThrow(SyntaxError),
  );

  it("changes nothing else, whatever the JSON", () => {
    fc.assert(fc.property(fc.json(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (text, integer) => {
      const safe = integer >= -(2n ** 53n) + 1n && integer < 2n ** 53n;
      expect(JSON.parse(exactIntegers(`[${text},${integer}]`))).toEqual([
        JSON.parse(exactIntegers(text)),
        safe ? Number(integer) : String(integer),
      ]);
    }));
  });

  it("reads a text full of quotes that never ends in time", () => {
    // Looking for the end of each of them again would take minutes.
    const text = `9007199254740993"${'\\"'.repeat(500_000)}`;
    expect(exactIntegers(text)).toHaveLength(text.length + 2);
  });
});
