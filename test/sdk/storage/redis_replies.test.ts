import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Reply, ReplyReader } from "../../../sdk/storage/redis_replies.ts";

/** Replies as plain values: null where there is none, texts as latin1. */
type Plain = readonly (string | null)[] | { readonly error: string };

function bytesOf(reply: Plain): Buffer {
  if ("error" in reply) return Buffer.from(`-${reply.error}\r\n`);
  const values = reply.map((value) => value === null ? "$-1\r\n" : `$${value.length}\r\n${value}\r\n`);
  return Buffer.from(`*${reply.length}\r\n${values.join("")}`, "latin1");
}

function plainOf(reply: Reply): Plain {
  if (reply instanceof Error) return { error: reply.message };
  return reply.map((value) => value === undefined ? null : value.toString("latin1"));
}

/** Chunks are copies that are spoiled afterwards where they may be: what the reader keeps of them must be its own. */
function readAll(chunks: readonly Buffer[]): Plain[] {
  const replies: Plain[] = [];
  const reader = new ReplyReader((reply) => replies.push(plainOf(reply)));
  for (const chunk of chunks) reader.read(Buffer.from(chunk));
  return replies;
}

function inPieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

const replies: readonly Plain[] = [
  ["a", null, "", "\r\n", "$3\r\nabc\r\n"],
  { error: "LOADING Redis is loading the dataset in memory" },
  [],
  [null],
  ["-ERR no error", "*1\r\n", "x".repeat(300)],
  { error: "" },
  ["last"],
];
const stream = Buffer.concat(replies.map(bytesOf));

describe("ReplyReader", () => {
  test("reads replies wherever they are cut in two", () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      expect(readAll([stream.subarray(0, cut), stream.subarray(cut)]), `cut at ${cut}`).toEqual(replies);
    }
  });

  test("reads replies in pieces of any size", () => {
    for (let size = 1; size <= 40; size++) {
      expect(readAll(inPieces(stream, size)), `pieces of ${size}`).toEqual(replies);
    }
  });

  test("reads any replies, cut anywhere", () => {
    const text = fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom("\r", "\n", "\r\n", "$1", "*", "-", ":0\r\n"))
      .map((value) => Buffer.from(value).toString("latin1"));
    const values = fc.array(fc.option(text), { maxLength: 8 });
    const error = fc.stringMatching(/^[ -~]{0,30}$/).map((words) => ({ error: words }));
    fc.assert(fc.property(
      fc.array(fc.oneof<[fc.Arbitrary<Plain>, fc.Arbitrary<Plain>]>(values, error), { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(60), { maxLength: 12 }),
      (sent, sizes) => {
        const bytes = Buffer.concat(sent.map(bytesOf));
        const chunks: Buffer[] = [];
        let at = 0;
        for (const size of sizes) chunks.push(bytes.subarray(at, at += size));
        expect(readAll([...chunks, bytes.subarray(at)])).toEqual(sent);
      },
    ));
  });

  test("does not copy values that came whole", () => {
    const chunk = bytesOf(["value"]);
    let value: Buffer | undefined;
    new ReplyReader((reply) => value = (reply as readonly Buffer[])[0]).read(chunk);
    expect([value?.buffer, value?.toString()]).toEqual([chunk.buffer, "value"]);
  });

  test.each([
    ["a simple text", "+OK\r\n"],
    ["a number", ":1\r\n"],
    ["a text alone", "$1\r\na\r\n"],
    ["no reply at all", "HTTP/1.1 400 Bad Request\r\n"],
    ["a list of no length", "*\r\n"],
    ["a list that is null", "*-1\r\n"],
    ["a length that is no number", "*1\r\n$x\r\n"],
    ["a negative length", "*1\r\n$-2\r\n"],
    ["a length without its number", "*1\r\n$-\r\n"],
    ["a length beyond what there is", "*1\r\n$536870913\r\n"],
    ["a length that never ends", `*1\r\n$${"0".repeat(70_000)}`],
    ["an error that never ends", `-${"x".repeat(70_000)}`],
    ["a line with half an end", "*1\rx$1\r\na\r\n"],
    ["a line with another end", "*1\n$1\na\n"],
    ["a number in a list", "*1\r\n:1\r\n"],
    ["an error in a list", "*1\r\n-ERR\r\n"],
    ["a list in a list", "*1\r\n*1\r\n$1\r\na\r\n"],
    ["a text that is longer than it says", "*2\r\n$1\r\nab\r\n$1\r\na\r\n"],
    ["a text that is shorter than it says", "*2\r\n$3\r\na\r\n$1\r\na\r\n"],
  ])("refuses %s", (_, text) => {
    const bytes = Buffer.from(text);
    const sizes = bytes.length > 1_000 ? [bytes.length, 10_000] : inPieces(bytes, 1).map((_, i) => i + 1);
    for (const size of sizes) {
      expect(() => readAll(inPieces(bytes, size))).toThrow(/^it answers what Redis does not: "/);
    }
  });
});
