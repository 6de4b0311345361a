import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import "../../../sdk/engine/install.ts";
import { createDuckDbEngine } from "../../../sdk/engine/duckdb.ts";
import { expandPaths } from "../../../sdk/engine/files.ts";
import { col } from "../../../sdk/frame/expr.ts";
import { parseQuery } from "../../../sdk/frame/query_json.ts";
import { setWarningHook } from "../../../sdk/frame/runtime.ts";
import { csv, fromRows, json, ndjson, parquet, sql } from "../../../sdk/frame/sources.ts";
import { Timestamp } from "../../../sdk/time.ts";

const engine = createDuckDbEngine();
let folder: string;
const at = (name: string): string => join(folder, name);
const warnings: string[] = [];

/** Writes Parquet with types of DuckDB's own. */
async function write(name: string, select: string): Promise<string> {
  const session = await engine.session();
  await session.writeParquet(select, at(name));
  session.close();
  return at(name);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "varve-sources-"));
  setWarningHook((message) => warnings.push(message));
});
afterEach(() => warnings.splice(0));
afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("parquet()", () => {
  it("reads columns and types from the footer, and normalises what it reads", async () => {
    const path = await write(
      "types.parquet",
      `SELECT 1::TINYINT AS i8, 2::USMALLINT AS u16, 3::UINTEGER AS u32, 4::UBIGINT AS u64, 1.5::DECIMAL(9,2) AS dec, 12::DECIMAL(18,0) AS whole,
       'x'::ENUM('x','y') AS en, '00000000-0000-0000-0000-000000000001'::UUID AS id, TIME '12:30' AS tm, MAP {'a': 1::UTINYINT} AS m,
       TIMESTAMP '2001-02-03 04:05:06.000007' AS naive, TIMESTAMP_NS '2001-01-01 00:00:00.000001999' AS ns, DATE '2001-01-01' AS day,
       [TIMESTAMP '2001-01-01'] AS times, {'a': 1::SMALLINT, 'b c': ['x']} AS st, 0.5::FLOAT AS f, 'b'::BLOB AS bin`,
    );
    const frame = parquet(path);
    expect(Object.fromEntries(frame.schema.map((field) => [field.name, field.type]))).toEqual({
      i8: "int32",
      u16: "int32",
      u32: "int64",
      u64: "int64",
      dec: "float64",
      whole: "int64",
      en: "string",
      id: "string",
      tm: "string",
      m: { list: { struct: [{ name: "key", type: "string" }, { name: "value", type: "int32" }] } },
      naive: "timestamp",
      ns: "timestamp",
      day: "date",
      times: { list: "timestamp" },
      st: { struct: [{ name: "a", type: "int32" }, { name: "b c", type: { list: "string" } }] },
      f: "float32",
      bin: "binary",
    });
    const [row] = await frame.rows();
    expect(row).toEqual({
      i8: 1,
      u16: 2,
      u32: 3n,
      u64: 4n,
      dec: 1.5,
      whole: 12n,
      en: "x",
      id: "00000000-0000-0000-0000-000000000001",
      tm: "12:30:00",
      m: [{ key: "a", value: 1 }],
      naive: Timestamp.from("2001-02-03T04:05:06.000007Z"),
      ns: Timestamp.from("2001-01-01T00:00:00.000001Z"),
      day: "2001-01-01",
      times: [Timestamp.from("2001-01-01")],
      st: { a: 1, "b c": ["x"] },
      f: 0.5,
      bin: new Uint8Array([98]),
    });
  });

  it("an infinite timestamp is an error, and not null; so are days that no year holds", async () => {
    const naive = await write("infinite.parquet", "SELECT 'infinity'::TIMESTAMP AS t");
    await expect(parquet(naive).rows()).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringMatching(/"t": it holds an infinite timestamp/),
    });
    for (const day of ["infinity", "290000-01-01", "0044-03-15 (BC)"]) {
      const path = await write("days.parquet", `SELECT '${day}'::DATE AS d`);
      await expect(parquet(path).rows()).rejects.toMatchObject({
        code: "INVALID_REQUEST",
        message: expect.stringContaining("years run from 0001 to 9999"),
      });
    }
  });

  it("warns once per source that naive timestamps are read as UTC (S1)", async () => {
    const path = await write("naive.parquet", "SELECT TIMESTAMP '2001-01-01' AS t");
    parquet(path);
    parquet(path);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("naive.parquet");
    const aware = await write("aware.parquet", "SELECT TIMESTAMPTZ '2001-01-01' AS t");
    parquet(aware);
    expect(warnings).toHaveLength(1);
  });

  it("an unsigned value that does not fit is an error, not another number", async () => {
    const path = await write("big.parquet", "SELECT 18446744073709551615::UBIGINT AS x");
    await expect(parquet(path).rows()).rejects.toMatchObject({ code: "SCHEMA_MISMATCH" });
  });

  it("reads globs in a stable order, file names taken literally where they exist", async () => {
    mkdirSync(at("parts/x"), { recursive: true });
    await write("parts/b[1].parquet", "SELECT 2 AS n");
    await write("parts/a.parquet", "SELECT 1 AS n");
    await write("parts/x/c.parquet", "SELECT 3 AS n");
    const numbers = async (...paths: string[]): Promise<unknown[]> =>
      (await parquet(paths).rows()).map((row) => row["n"]);
    expect(await numbers(at("parts/*.parquet"))).toEqual([1, 2]);
    expect(await numbers(at("parts/**/*.parquet"))).toEqual([1, 2, 3]);
    expect(await numbers(at("parts/{x/c,a}.parquet"))).toEqual([1, 3]);
    expect(await numbers(at("parts/b[1].parquet"))).toEqual([2]);
    expect(await numbers(at("parts/[!b]*.parquet"), at("parts/x/?.parquet"))).toEqual([1, 3]);
  });

  it("a folder that may not be read is an error of a glob, and a link in a circle no reason to miss its neighbours", () => {
    mkdirSync(at("links/deep"), { recursive: true });
    writeFileSync(at("links/deep/a.csv"), "a\n1\n");
    symlinkSync("circle", at("links/deep/circle"));
    expect(expandPaths([at("links/**/*.csv")])).toEqual([at("links/deep/a.csv")]);
    mkdirSync(at("links/closed"), { mode: 0 });
    const isRoot = process.getuid?.() === 0;
    try {
      if (isRoot) {
        chmodSync(folder, 0o755);
        process.seteuid!(65_534);
      }
      expect(() => expandPaths([at("links/**/*.csv")])).toThrow(
        expect.objectContaining({ code: "UNAVAILABLE", message: expect.stringMatching(/links\/closed": .*EACCES/) }),
      );
    } finally {
      if (isRoot) process.seteuid!(0);
    }
  });

  it("a missing file, a glob without files and a folder are NOT_FOUND, by name", () => {
    expect(() => parquet(at("none.parquet"))).toThrow(/none\.parquet": there is no such file/);
    expect(() => parquet(at("none-*.parquet"))).toThrow(/none-\*\.parquet": no file matches/);
    expect(() => parquet(folder)).toThrow(/it is a folder/);
  });

  it("an empty, truncated or foreign file is CORRUPT, by name", async () => {
    writeFileSync(at("empty.parquet"), "");
    expect(() => parquet(at("empty.parquet"))).toThrow(/empty\.parquet": the file is empty/);
    const path = await write("torn.parquet", "SELECT range AS x, 'some text ' || range AS s FROM range(10000)");
    const bytes = readFileSync(path);
    truncateSync(path, bytes.length - 100);
    expect(() => parquet(path)).toThrowError(expect.objectContaining({ code: "CORRUPT" }));
    await expect(parquet(path, { schema: { x: "int64" } }).rows()).rejects.toMatchObject({
      code: "CORRUPT",
      // One sentence: no echo of a statement that nobody wrote.
      message: expect.stringMatching(/^(?!.*read_parquet)[^\n]*torn\.parquet[^\n]*$/),
    });
    writeFileSync(at("text.parquet"), "this is no parquet file at all");
    expect(() => parquet(at("text.parquet"))).toThrowError(expect.objectContaining({ code: "CORRUPT" }));
    // The footer is whole and the data behind it is not.
    bytes.fill(0xff, 4, Math.floor(bytes.length / 2));
    writeFileSync(at("damaged.parquet"), bytes);
    await expect(parquet(at("damaged.parquet")).rows()).rejects.toMatchObject({
      code: expect.stringMatching(/CORRUPT|INVALID_REQUEST/),
    });
  });

  it("a source that no longer fits is SCHEMA_MISMATCH, naming file and column", async () => {
    const path = await write("drift.parquet", "SELECT 1 AS a, 'x' AS b");
    const frame = parquet(path).select("a", "b");
    await write("drift.parquet", "SELECT 'now text' AS a, 'x' AS b");
    await expect(frame.rows()).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringMatching(/column "a" of .*drift\.parquet.*is string and the query expects int32/),
    });
    await write("drift.parquet", "SELECT 1 AS a");
    await expect(frame.rows()).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringMatching(/"b" of .*there is no such column; columns are a/),
    });
    rmSync(path);
    await expect(frame.rows()).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("a second file with other columns is an error that names it", async () => {
    await write("two-1.parquet", "SELECT 1 AS a, 2 AS b");
    await write("two-2.parquet", "SELECT 1 AS a");
    await expect(parquet(at("two-*.parquet")).rows()).rejects.toThrow(/two-2\.parquet/);
  });

  it("a column is read from the file, and not from the name of its folder", async () => {
    for (const day of ["2001-01-01", "2001-01-02"]) {
      mkdirSync(at(`hive/t=${day}`), { recursive: true });
      await write(`hive/t=${day}/a.parquet`, `SELECT TIMESTAMP '${day} 10:00:00' AS t, 1 AS a`);
    }
    const rows = await parquet(at("hive/*/*.parquet")).rows();
    expect(rows.map(({ t }) => t)).toEqual(["01", "02"].map((day) => Timestamp.from(`2001-01-${day}T10:00Z`)));
    for (
      const [name, text] of [["a.csv", "t,a\n2001-01-01 10:00:00,1\n"], [
        "a.ndjson",
        '{"t": "2001-01-01T10:00:00Z", "a": 1}\n',
      ]]
    ) {
      writeFileSync(at(`hive/t=2001-01-01/${name}`), text!);
    }
    expect(await csv(at("hive/*/*.csv")).rows()).toEqual([{ t: Timestamp.from("2001-01-01T10:00Z"), a: 1n }]);
    expect(await ndjson(at("hive/*/*.ndjson"), { schema: { a: "int32" } }).rows()).toEqual([{ a: 1 }]);
    await expect(ndjson(at("hive/*/*.ndjson"), { schema: { t: "timestamp" } }).rows()).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringMatching(/"t=…"; leave the column out of schema, or rename the folder/),
    });
    // One that the file does not have may still be asked for.
    mkdirSync(at("only/year=2001"), { recursive: true });
    await write("only/year=2001/a.parquet", "SELECT 1 AS a");
    expect(await parquet(at("only/*/*.parquet")).rows()).toEqual([{ a: 1 }]);
    expect(await parquet(at("only/*/*.parquet"), { schema: { a: "int32", year: "int64" } }).rows()).toEqual([
      { a: 1, year: 2001n },
    ]);
  });

  it.each([
    ["1::BIGINT", "1.6::DOUBLE"],
    ["1::BIGINT", "'7'"],
    ["1.5::DECIMAL(9, 1)", "1.25::DECIMAL(9, 2)"],
    ["0.5::FLOAT", "0.1::DOUBLE"],
    ["DATE '2001-01-01'", "TIMESTAMP '2001-01-01 10:00'"],
    ["true", "5"],
    ["[1]", "[1.6::DOUBLE]"],
    ["{'a': 1}", "{'a': 1.6::DOUBLE}"],
    ["{'a': 1, 'b': 2}", "{'a': 1}"],
  ])("a second file whose values would change is an error that names it: %s, %s", async (one, two) => {
    const paths = [
      await write("types1.parquet", `SELECT ${one} AS v, 1 AS w`),
      await write("types2.parquet", `SELECT ${two} AS v, 2 AS w`),
    ];
    await expect(parquet(paths).rows()).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringMatching(/column "v" of ".*types2\.parquet": it is .* there and .* in ".*types1\.parquet"/),
    });
    // What is not read does not matter.
    expect(await parquet(paths, { schema: { w: "int32" } }).rows()).toEqual([{ w: 1 }, { w: 2 }]);
    await write("types2.parquet", `SELECT ${one} AS v, 3 AS w`);
    expect((await parquet(paths).rows()).map(({ w }) => w)).toEqual([1, 3]);
  });

  it.each([
    ["1::BIGINT", "2::INTEGER", [1n, 2n]],
    ["1::INTEGER", "2::BIGINT", [1, 2]],
    ["1.5::DOUBLE", "2::BIGINT", [1.5, 2]],
    ["1.25::DECIMAL(9, 2)", "1.5::DECIMAL(9, 1)", [1.25, 1.5]],
    ["TIMESTAMP '2001-01-01'", "TIMESTAMPTZ '2001-01-02 00:00:00Z'", [
      Timestamp.from("2001-01-01"),
      Timestamp.from("2001-01-02"),
    ]],
    ["TIMESTAMP '2001-01-01'", "DATE '2001-01-02'", [Timestamp.from("2001-01-01"), Timestamp.from("2001-01-02")]],
  ])("a second file of another type whose values all stay is read: %s, %s", async (one, two, values) => {
    const paths = [
      await write("kept1.parquet", `SELECT ${one} AS v`),
      await write("kept2.parquet", `SELECT ${two} AS v`),
    ];
    expect((await parquet(paths).rows()).map(({ v }) => v)).toEqual(values);
  });

  it("declared columns are cast where nothing can go wrong in silence", async () => {
    const path = await write(
      "cast.parquet",
      "SELECT 5::BIGINT AS n, '2001-01-01 10:00' AS t, DATE '2001-01-02' AS d, 3000000000 AS big",
    );
    const [row] = await parquet(path, { schema: { n: "int32", t: "timestamp", d: "timestamp" } }).rows();
    expect(row).toEqual({ n: 5, t: Timestamp.from("2001-01-01T10:00Z"), d: Timestamp.from("2001-01-02") });
    await expect(parquet(path, { schema: { big: "int32" } }).rows()).rejects.toMatchObject({ code: "SCHEMA_MISMATCH" });
    await expect(parquet(path, { schema: { d: "boolean" } }).rows()).rejects.toMatchObject({ code: "SCHEMA_MISMATCH" });
  });

  it("an event timestamp must be there, and a time", async () => {
    const path = await write("times.parquet", "SELECT 1 AS n, TIMESTAMPTZ '2001-01-01' AS t");
    expect(() => parquet(path, { eventTimestamp: "when" })).toThrow(
      /Cannot use as timestamp column "when": columns are n, t/,
    );
    expect(() => parquet(path, { eventTimestamp: "n" })).toThrow(/Cannot use column "n" as timestamp: it is int32/);
  });

  it("a remote path needs declared columns, and an object store to read them from", async () => {
    expect(() => parquet("s3://bucket/x.parquet")).toThrow(/declare them/);
    await expect(parquet("s3://bucket/x.parquet", { schema: { a: "int32" } }).rows()).rejects.toMatchObject({
      code: "UNSUPPORTED",
    });
    const path = await write("remote.parquet", "SELECT 7 AS a");
    const remote = createDuckDbEngine({
      resolve: (found) => Promise.resolve(found === "s3://bucket/*.parquet" ? [path] : []),
    });
    const session = await remote.session();
    const { sql: text } = await session.compile(parquet("s3://bucket/*.parquet", { schema: { a: "int32" } }).query);
    expect(await session.rows(text)).toEqual([{ a: 7 }]);
    await expect(session.compile(parquet("s3://bucket/none", { schema: { a: "int32" } }).query)).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    session.close();
    await remote.close();
  });
});

describe("csv(), json() and ndjson()", () => {
  it("find columns and types by themselves", async () => {
    writeFileSync(at("a.csv"), "id;when;ok;x\n1;2001-01-01 10:00:00;true;1.5\n2;;false;\n");
    const frame = csv(at("a.csv"), { eventTimestamp: "when" });
    expect(frame.schema.map((field) => field.type)).toEqual(["int64", "timestamp", "boolean", "float64"]);
    expect(await frame.rows()).toEqual([{ id: 1n, when: Timestamp.from("2001-01-01T10:00Z"), ok: true, x: 1.5 }, {
      id: 2n,
      when: null,
      ok: false,
      x: null,
    }]);
    writeFileSync(at("a.json"), '[{"a": 1, "b": {"c": ["x"]}}, {"a": null, "b": null}]');
    expect(await json(at("a.json")).rows()).toEqual([{ a: 1n, b: { c: ["x"] } }, { a: null, b: null }]);
    writeFileSync(at("a.ndjson"), '{"a": 1.5}\n{"a": 2}\n');
    expect(await ndjson(at("a.ndjson")).rows()).toEqual([{ a: 1.5 }, { a: 2 }]);
  });

  it("take declared types, and times with an offset", async () => {
    writeFileSync(at("b.csv"), "id,t\n0010,2001-01-01T10:00:00+02:00\n");
    expect(await csv(at("b.csv"), { schema: { id: "string", t: "timestamp" } }).rows()).toEqual([{
      id: "0010",
      t: Timestamp.from("2001-01-01T08:00Z"),
    }]);
    writeFileSync(
      at("b.ndjson"),
      '{"id": 12345678901234567890, "t": "2001-01-01T10:00:00Z", "extra": 1}\n{"t": null}\n',
    );
    expect(await ndjson(at("b.ndjson"), { schema: { id: "float64", t: "timestamp" } }).rows()).toEqual([
      { id: 12345678901234567890, t: Timestamp.from("2001-01-01T10:00Z") },
      { id: null, t: null },
    ]);
  });

  it("a bad row names file, line and text", async () => {
    writeFileSync(at("bad.csv"), "a,b\n1,x\noops,y\n");
    await expect(csv(at("bad.csv"), { schema: { a: "float64", b: "string" } }).rows()).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringMatching(/bad\.csv": line 3, "oops,y": .*"oops"/),
    });
    writeFileSync(at("wide.csv"), "a,b\n1,x\n2,y,z,z\n");
    await expect(csv(at("wide.csv"), { schema: { a: "int32", b: "string" }, header: true, delimiter: "," }).rows())
      .rejects.toMatchObject({
        code: "CORRUPT",
        message: expect.stringMatching(/wide\.csv": line 3, "2,y,z,z"/),
      });
    writeFileSync(at("bad.ndjson"), '{"a": 1}\n{"a": \n');
    await expect(ndjson(at("bad.ndjson"), { schema: { a: "int32" } }).rows()).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("bad.ndjson"),
    });
  });

  it("what a column cannot hold is an error, and not another value", async () => {
    const text: [type: "int32" | "int64" | "date" | "timestamp" | "float32", text: string][] = [
      ["int32", "1.6"],
      ["int32", "3000000000"],
      ["int64", "1.6"],
      ["int64", "99999999999999999999"],
      ["date", "2001-02-03 10:00:00"],
      ["date", "infinity"],
      ["timestamp", "no time"],
      ["timestamp", "1700000000"],
      ["timestamp", "2001-13-01"],
      ["timestamp", "infinity"],
      ["float32", "1e300"],
    ];
    const fails = (value: string) => ({ code: "SCHEMA_MISMATCH", message: expect.stringContaining(value) });
    for (const [i, [type, value]] of text.entries()) {
      const shown = type === "float32" ? "1e+300" : `column "x" of "${at(`exact${i}.`)}`;
      writeFileSync(at(`exact${i}.csv`), `x\n${value}\n`);
      await expect(csv(at(`exact${i}.csv`), { schema: { x: type } }).rows()).rejects.toMatchObject(fails(shown));
      const said = type.startsWith("int") || type === "float32" ? value : JSON.stringify(value);
      writeFileSync(at(`exact${i}.ndjson`), `{"x": ${said}}\n`);
      await expect(ndjson(at(`exact${i}.ndjson`), { schema: { x: type } }).rows()).rejects.toMatchObject(fails(shown));
    }
    writeFileSync(at("exact.ndjson"), '{"ok": 5, "n": true, "l": [1, 1.6], "s": {"a": 1.6}}\n');
    const only = (
      schema: Record<string, "boolean" | "int64" | { list: "int64" } | { struct: [{ name: "a"; type: "int64" }] }>,
    ) => ndjson(at("exact.ndjson"), { schema }).rows();
    await expect(only({ ok: "boolean" })).rejects.toMatchObject(fails('"5" is not boolean'));
    await expect(only({ n: "int64" })).rejects.toMatchObject(fails('"true" is not int64'));
    await expect(only({ l: { list: "int64" } })).rejects.toMatchObject(fails('"1.6" is not int64'));
    await expect(only({ s: { struct: [{ name: "a", type: "int64" }] } })).rejects.toMatchObject(
      fails('"1.6" is not int64'),
    );
  });

  it("a gzip file that is cut short or damaged is CORRUPT, also where a row ends", async () => {
    const lines = Array.from({ length: 100_000 }, (_, i) => `${i * 7919 % 100_003}\n`).join("");
    const bytes = gzipSync(`a\n${lines}`);
    const rows = (name: string) => csv(at(name), { schema: { a: "int64" } }).rows();
    writeFileSync(at("whole.csv.gz"), Buffer.concat([bytes, gzipSync("5\n")]));
    expect(await rows("whole.csv.gz")).toHaveLength(100_001);
    const damaged = Buffer.from(bytes);
    damaged[bytes.length - 6]! ^= 1; // of the checksum
    for (const [i, file] of [bytes.subarray(0, bytes.length >> 1), bytes.subarray(0, -8), damaged].entries()) {
      writeFileSync(at(`cut${i}.csv.gz`), file);
      await expect(rows(`cut${i}.csv.gz`)).rejects.toMatchObject({
        code: "CORRUPT",
        message: expect.stringMatching(/cut\d\.csv\.gz": it is not a whole gzip file/),
      });
    }
    writeFileSync(at("cut.ndjson.gz"), gzipSync('{"a": 1}\n').subarray(0, -8));
    await expect(ndjson(at("cut.ndjson.gz"), { schema: { a: "int64" } }).rows()).rejects.toMatchObject({
      code: "CORRUPT",
    });
  });

  it("a JSON array that is cut short behind a comma is CORRUPT", async () => {
    writeFileSync(at("cut.json"), '[{"a": 1},\n{"a": 2},\n');
    await expect(json(at("cut.json"), { schema: { a: "int64" } }).rows()).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringMatching(/cut\.json": its array does not end/),
    });
  });

  it("a whole number, a day and a time may be written in other ways", async () => {
    writeFileSync(
      at("ways.csv"),
      'n,d,t\n1e3,2001-02-03,2001-02-03\n 9007199254740993.0 ,2001-02-03 00:00:00,2001-02-03 05:00:00+05\n"",,\n',
    );
    const types = { n: "int64", d: "date", t: "timestamp" } as const;
    expect(await csv(at("ways.csv"), { schema: types }).rows()).toEqual([
      { n: 1000n, d: "2001-02-03", t: Timestamp.from("2001-02-03") },
      { n: 9007199254740993n, d: "2001-02-03", t: Timestamp.from("2001-02-03") },
      { n: null, d: null, t: null },
    ]);
  });

  it("a type that was found in the first rows is no reason to change a later value", async () => {
    writeFileSync(at("late.csv"), `a\n${"1\n".repeat(30_000)}1.6\n`);
    const frame = csv(at("late.csv"));
    expect(frame.schema[0]!.type).toBe("int64");
    await expect(frame.rows()).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringMatching(/column "a" of ".*late\.csv": "1\.6" is not int64; .*schema/),
    });
  });

  it("a missing column and a missing or empty file are errors that name them", async () => {
    writeFileSync(at("c.csv"), "a,b\n1,2\n");
    await expect(csv(at("c.csv"), { schema: { a: "int32", z: "int32" } }).rows()).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringMatching(/c\.csv/),
    });
    expect(() => csv(at("none.csv"))).toThrow(/none\.csv": there is no such file/);
    writeFileSync(at("empty.csv"), "");
    expect(() => csv(at("empty.csv"))).toThrow(/empty\.csv": the file is empty/);
    await expect(csv(at("empty.csv"), { schema: { a: "int32" } }).rows()).rejects.toMatchObject({ code: "CORRUPT" });
  });
});

describe("fromRows()", () => {
  it("finds types in values, and says which value does not fit", () => {
    expect(
      fromRows([{ a: 1, b: 1.5, c: 1n, d: new Date(0), e: [1, 2.5], f: { x: "y" } }]).schema.map((field) => field.type),
    ).toEqual([
      "int32",
      "float64",
      "int64",
      "timestamp",
      { list: "float64" },
      { struct: [{ name: "x", type: "string" }] },
    ]);
    expect(() => fromRows([{ a: 1 }, { a: "x" }])).toThrow(/Cannot read row 1 column "a": "x" is not int32/);
    expect(() => fromRows([{ a: null }])).toThrow(/every value is null; declare schema/);
    expect(() => fromRows([])).toThrow(/declare schema/);
  });

  it("refuses what does not fit its type exactly, rather than wrap it round or give it a year that cannot be read", async () => {
    const [least, most] = [-(2 ** 31), 2 ** 31 - 1];
    expect(await fromRows([{ a: least }, { a: most }], { schema: { a: "int32" } }).rows())
      .toEqual([{ a: least }, { a: most }]);
    for (const a of [most + 1, least - 1, 1.5, NaN]) {
      expect(() => fromRows([{ a }], { schema: { a: "int32" } })).toThrow(/row 0 column "a": .* is not int32/);
      expect(() => fromRows([{ a: [a] }], { schema: { a: { list: "int32" } } })).toThrow(/is not int32/);
    }
    for (const a of [2n ** 63n - 1n, -(2n ** 62n), new Date(8.64e15)]) {
      expect(() => fromRows([{ a }], { schema: { a: "timestamp" } })).toThrow(/row 0 column "a": .*0001 to 9999/);
    }
    for (const a of ["0000-12-31", new Date(8.64e15), new Date(-8.64e15)]) {
      expect(() => fromRows([{ a }], { schema: { a: "date" } })).toThrow(/row 0 column "a": .* is not date/);
    }
  });

  it("refuses rows that are no objects", () => {
    expect(() => fromRows([{ a: 1 }, null] as never)).toThrow(/Cannot read row 1: null is not an object/);
    expect(() => fromRows([7] as never, { schema: { a: "int32" } })).toThrow(/Cannot read row 0: 7 is not an object/);
  });

  it("equal data has equal ids, and no rows are rows too", async () => {
    const id = (rows: { a: number }[]): unknown => (fromRows(rows).query as { source: { id: string } }).source.id;
    expect(id([{ a: 1 }])).toBe(id([{ a: 1 }]));
    expect(id([{ a: 1 }])).not.toBe(id([{ a: 2 }]));
    expect(await fromRows([], { schema: { a: "int32" } }).rows()).toEqual([]);
  });

  it("data of another process is NOT_FOUND until it is stored", async () => {
    const query = JSON.parse(JSON.stringify(fromRows([{ a: 1 }]).query));
    query.source.id = "0".repeat(64);
    const stranger = parseQuery(query);
    const session = await engine.session();
    await expect(session.compile(stranger)).rejects.toMatchObject({ code: "NOT_FOUND" });
    session.close();
    const path = await write("stored.parquet", "SELECT 5 AS a");
    const other = createDuckDbEngine({ memory: () => Promise.resolve(path) });
    const reader = await other.session();
    expect(await reader.rows((await reader.compile(stranger)).sql)).toEqual([{ a: 5 }]);
    reader.close();
    await other.close();
  });
});

describe("sql()", () => {
  it("says what is wrong at the call", () => {
    const t = fromRows([{ a: 1 }]);
    expect(() => sql("select b from t", { t })).toThrow(/"b"/);
    expect(() => sql("select * from u", { t })).toThrow(/u/);
    expect(() => sql("drop table t", { t })).toThrow(/one SELECT/);
    expect(() => sql("select 1 as a; select 2", {})).toThrow();
    expect(() => sql("select a from t", { t }, { schema: { a: "string" } })).toThrow(
      /Cannot declare column "a" as string: the SQL gives int32/,
    );
  });

  it("arrays of a fixed length are lists", async () => {
    expect(await sql("SELECT [1, NULL, 3]::INTEGER[3] AS v, [[1.5::DOUBLE]]::DOUBLE[1][1] AS w").rows()).toEqual([
      { v: [1, null, 3], w: [[1.5]] },
    ]);
  });

  it("no extension is fetched, and a full memory is EXHAUSTED", async () => {
    const small = createDuckDbEngine({ memoryLimit: "30MB", threads: 1, tempLimit: "1MB" });
    const session = await small.session();
    await expect(session.rows("SELECT * FROM 'https://localhost/x.parquet'")).rejects.toMatchObject({
      name: "VarveError",
    });
    await expect(session.rows("SELECT list(range::VARCHAR ORDER BY hash(range)) AS x FROM range(5000000)")).rejects
      .toMatchObject({ code: "EXHAUSTED" });
    session.close();
    await small.close();
  });

  it("a file that was rewritten is read as it is now", async () => {
    const session = await engine.session();
    const path = await write("rewritten.parquet", "SELECT 0 AS a LIMIT 0");
    const frame = parquet(path);
    for (let round = 1; round <= 20; round++) {
      await write("rewritten.parquet", `SELECT ${round}::INTEGER AS a FROM range(${round})`);
      const { sql: select } = await session.compile(frame.query);
      expect(await session.rows(`SELECT count(*)::INTEGER AS n, max(a) AS a FROM (${select})`)).toEqual([{
        n: round,
        a: round,
      }]);
    }
    session.close();
  });

  it("a Parquet file that cannot be finished is removed", async () => {
    const session = await engine.session();
    await expect(session.writeParquet("SELECT error('boom') FROM range(100000)", at("half.parquet"))).rejects
      .toMatchObject({ name: "VarveError" });
    expect(() => readFileSync(at("half.parquet"))).toThrow();
    session.close();
  });
});

describe("the closed engine", () => {
  it("refuses sessions", async () => {
    const closed = createDuckDbEngine();
    const session = await closed.session();
    expect(await session.rows((await session.compile(fromRows([{ a: 1 }]).filter(col("a").eq(1)).query)).sql)).toEqual([
      { a: 1 },
    ]);
    session.close();
    await closed.close();
    await closed.close();
    await expect(closed.session()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
});
