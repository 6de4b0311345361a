/**
 * The conformance suite of expressions: what DuckDB computes in bulk and what JavaScript computes per row must be identical,
 * values and errors, for every operation and for deep random trees.
 */
import {
  DuckDBBlobValue,
  type DuckDBConnection,
  DuckDBDateValue,
  DuckDBInstance,
  DuckDBListValue,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
} from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DataType, formatType } from "../../sdk/schema.ts";
import { childrenOf, columnsOf } from "../../sdk/frame/expr_json.ts";
import { exprText } from "../../sdk/frame/expr_text.ts";
import { canCast, typeOfExpr } from "../../sdk/frame/expr_type.ts";
import { type Operation, operations } from "../../sdk/frame/operations.ts";
import type { ExprNode } from "../../sdk/frame/expr_node.ts";
import { allProducers, Generator, type Producer } from "./expr_generator.ts";
import { Random, randomValue, sampleRows, sampleSchema, sampleTypes, typeSql, valueSql } from "./expr_values.ts";

/** What the suite compares. */
export interface Executors {
  exprSql(node: ExprNode, schema: typeof sampleSchema): string;
  compileExpr(node: ExprNode, schema: typeof sampleSchema): (row: Record<string, unknown>) => unknown;
}

/** Functions whose last digits differ between C and JavaScript: how many units in the last place are allowed. */
export const tolerances: Readonly<Partial<Record<Operation, number>>> = {
  exp: 2,
  ln: 2,
  log10: 2,
  pow: 2,
  sin: 2,
  cos: 2,
  tan: 2,
  asin: 2,
  acos: 2,
  atan: 2,
  atan2: 2,
};

/** The size of a run: VARVE_DEEP=1 for a long one, VARVE_SEED to repeat one. */
const isDeep = process.env["VARVE_DEEP"] === "1";
const seed = Number(process.env["VARVE_SEED"] ?? Date.now() % 1_000_000_000);

/** Defines the tests. */
export function testExprConformance(name: string, executors: Executors): void {
  describe(`${name} computes the same in SQL and per row (VARVE_SEED=${seed})`, () => {
    const random = new Random(seed);
    const rows = sampleRows(random, isDeep ? 400 : 120);
    const producers = allProducers(random);
    const exact = new Generator(random, producers, (operation) => tolerances[operation] === undefined);
    let bench: Bench;

    beforeAll(async () => {
      bench = await Bench.start(rows, executors);
    });
    afterAll(() => bench?.close());

    for (const operation of Object.keys(operations) as Operation[]) {
      it(`operation ${operation}`, async () => {
        const list = producers.get(operation)!;
        expect(list.length, "signatures that fit the sample types").toBeGreaterThan(0);
        const nodes = repeat(isDeep ? 200 : 14, () => exact.call(random.pick(list) as Producer, random.below(2)));
        expect(nodes.length).toBeGreaterThan(0);
        await bench.check(nodes, tolerances[operation] ?? 0);
      });
    }

    it("casts", async () => {
      const nodes: ExprNode[] = [];
      for (const from of sampleTypes) {
        for (const to of sampleTypes) {
          if (!canCast(from, to)) continue;
          for (const onError of ["fail", "null"] as const) {
            for (let i = 0; i < (isDeep ? 10 : 2); i++) {
              nodes.push({ kind: "cast", input: exact.leaf(from), to, onError });
            }
          }
        }
      }
      await bench.check(nodes, 0);
    });

    it("texts of random floats, and floats of their texts", async () => {
      const fields = sampleSchema.filter((field) => field.type === "float64" || field.type === "float32");
      const nodes = fields.map((field): ExprNode => ({
        kind: "cast",
        input: { kind: "column", name: field.name },
        to: "string",
        onError: "fail",
      }));
      const own = await Bench.start(
        repeat(
          isDeep ? 100_000 : 3_000,
          () => Object.fromEntries(fields.map((field) => [field.name, randomBits(random, field.type)])),
        ),
        executors,
        fields,
      );
      await own.check(nodes, 0);
      own.close();
    });

    it("upper and lower case of every code point", async () => {
      const points = Array.from({ length: 0x110000 }, (_, i) => i).filter((code) =>
        code > 0 && code !== 0xfeff && (code < 0xd800 || code > 0xdfff)
      );
      const texts = Array.from(
        { length: Math.ceil(points.length / 200) },
        (_, i) => String.fromCodePoint(...points.slice(i * 200, i * 200 + 200)),
      );
      const field = { name: "string 1", type: "string" } as const;
      const own = await Bench.start(texts.map((text) => ({ [field.name]: text })), executors, [field]);
      const column: ExprNode = { kind: "column", name: field.name };
      await own.check(
        (["upper", "lower"] as const).map((operation) => ({ kind: "call", operation, args: [column] })),
        0,
      );
      own.close();
    });

    for (const type of sampleTypes) {
      it(`deep random trees of ${formatType(type)}`, async () => {
        await bench.check(repeat(isDeep ? 1_500 : 60, () => exact.expr(type, 2 + random.below(4))), 0);
      });
    }
  });
}

function repeat<T>(count: number, make: () => T | undefined): T[] {
  return Array.from({ length: count }, make).filter((each): each is T => each !== undefined);
}

function randomBits(random: Random, type: DataType): unknown {
  if (random.chance(0.1)) return randomValue(type, random);
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, random.below(4294967296));
  view.setUint32(4, random.below(4294967296));
  return type === "float32" ? view.getFloat32(0) : view.getFloat64(0);
}

/** A table of rows in DuckDB, and the same rows here. */
class Bench {
  readonly #rows: readonly Record<string, unknown>[];
  readonly #connection: DuckDBConnection;
  readonly #executors: Executors;

  constructor(rows: readonly Record<string, unknown>[], connection: DuckDBConnection, executors: Executors) {
    this.#rows = rows;
    this.#connection = connection;
    this.#executors = executors;
  }

  static async start(
    rows: readonly Record<string, unknown>[],
    executors: Executors,
    fields = sampleSchema,
  ): Promise<Bench> {
    const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    await connection.run(
      `CREATE TABLE sample ("row" INTEGER, ${
        sampleSchema.map((field) => `"${field.name}" ${typeSql(field.type)}`).join(", ")
      })`,
    );
    const names = fields.map((field) => `"${field.name}"`).join(", ");
    for (let start = 0; start < rows.length; start += 500) {
      const values = rows.slice(start, start + 500).map((row, i) =>
        `(${start + i}, ${fields.map((field) => valueSql(row[field.name] ?? null, field.type)).join(", ")})`
      );
      await connection.run(`INSERT INTO sample ("row", ${names}) VALUES ${values.join(", ")}`);
    }
    return new Bench(rows, connection, executors);
  }

  close(): void {
    this.#connection.closeSync();
  }

  /** Checks expressions: in one query those that fail on no row, else one by one. */
  async check(nodes: readonly ExprNode[], ulps: number): Promise<void> {
    const cases = nodes.map((node) => this.#case(node));
    const sound = cases.filter((each) => each.failed.length === 0);
    for (let i = 0; i < sound.length; i += 20) {
      const batch = sound.slice(i, i + 20);
      const columns = await this.#select(batch, "true").catch(() => undefined);
      for (const [j, each] of batch.entries()) {
        this.#compare(
          each,
          columns?.[j] ?? (await this.#all(each, this.#rows.map((_, row) => row))),
          this.#rows.map((_, row) => row),
          ulps,
        );
      }
    }
    for (const each of cases) {
      if (each.failed.length > 0) await this.#checkFailing(each, ulps);
    }
  }

  #case(node: ExprNode): Case {
    const evaluate = this.#executors.compileExpr(node, sampleSchema);
    const failed: number[] = [];
    const values = this.#rows.map((row, i) => {
      try {
        return evaluate(row);
      } catch (error) {
        if (!(error instanceof RangeError)) throw new Error(`Cannot evaluate ${exprText(node)}`, { cause: error });
        failed.push(i);
        return undefined;
      }
    });
    return {
      node,
      type: typeOfExpr(node, sampleSchema),
      sql: this.#executors.exprSql(node, sampleSchema),
      values,
      failed,
    };
  }

  /** Where JavaScript succeeds SQL must, with the same values; where it fails SQL must. */
  async #checkFailing(each: Case, ulps: number): Promise<void> {
    const good = this.#rows.map((_, row) => row).filter((row) => !each.failed.includes(row));
    if (good.length > 0) this.#compare(each, await this.#all(each, good), good, ulps);
    for (const row of each.failed.slice(0, 2)) {
      if (await this.#fails(each, row)) continue;
      // The optimizer may leave out a part that fails where it cannot change the result; without it nothing is left out.
      await this.#connection.run("PRAGMA disable_optimizer");
      const fails = await this.#fails(each, row);
      await this.#connection.run("PRAGMA enable_optimizer");
      // The condition of a CASE stops at the part of an `and` or `or` that decides, in any order.
      if (!fails && !hasJunction(each.node) && !hasConstantDivisor(each.node)) {
        this.#report(
          each,
          row,
          await this.#one(each, `"row" = ${row}`).then((values) => values[0]),
          "an error",
        );
      }
    }
  }

  #fails(each: Case, row: number): Promise<boolean> {
    return this.#one(each, `"row" = ${row}`).then(() => false, () => true);
  }

  async #one(each: Case, where: string): Promise<unknown[]> {
    try {
      return (await this.#select([each], where))[0]!;
    } catch (error) {
      throw new Error(`SQL fails where JavaScript does not: ${exprText(each.node)}\n${each.sql}`, { cause: error });
    }
  }

  /** As {@link #one}, saying which row it fails on. */
  async #all(each: Case, rows: readonly number[]): Promise<unknown[]> {
    try {
      return await this.#one(each, `"row" IN (${rows.join(", ")})`);
    } catch (error) {
      for (const row of rows) {
        if (await this.#fails(each, row)) this.#report(each, row, "an error", each.values[row]);
      }
      throw error;
    }
  }

  async #select(cases: readonly Case[], where: string): Promise<unknown[][]> {
    const reader = await this.#connection.runAndReadAll(
      // Materialized, so that nothing is computed for rows that the condition leaves out.
      `WITH wanted AS MATERIALIZED (SELECT * FROM sample WHERE ${where}) SELECT ${
        cases.map((each, i) => `${each.sql} AS c${i}`).join(", ")
      } FROM wanted ORDER BY "row"`,
    );
    const types = reader.columnTypes().map(String);
    cases.forEach((each, i) => expect(types[i], exprText(each.node)).toBe(typeSql(each.type)));
    return reader.getColumns().map((column) => column.map(fromDuckDB));
  }

  #compare(each: Case, values: readonly unknown[], rows: readonly number[], ulps: number): void {
    if (values.length !== rows.length) throw new Error(`SQL gave ${values.length} rows, not ${rows.length}`);
    rows.forEach((row, i) => {
      if (!isSame(values[i], each.values[row], ulps)) this.#report(each, row, values[i], each.values[row]);
    });
  }

  #report(each: Case, row: number, sql: unknown, js: unknown): never {
    const used = Object.entries(this.#rows[row]!).filter(([name]) => each.sql.includes(`"${name}"`));
    throw new Error(
      `${exprText(each.node)}\n  SQL: ${show(sql)}\n  row: ${show(js)}\n  of: ${
        used.map(([name, value]) => `${name} = ${show(value)}`).join(", ")
      }\n  ${each.sql}`,
    );
  }
}

interface Case {
  readonly node: ExprNode;
  readonly type: DataType;
  readonly sql: string;
  readonly values: readonly unknown[];
  /** Rows on which JavaScript fails. */
  readonly failed: readonly number[];
}

function hasJunction(node: ExprNode): boolean {
  return (node.kind === "call" && ["and", "or", "between"].includes(node.operation)) ||
    childrenOf(node).some(hasJunction);
}

/** By a zero that the engine knows beforehand the quotient is null, whatever is divided: it is not computed. */
function hasConstantDivisor(node: ExprNode): boolean {
  return (node.kind === "call" && ["modulo", "floorDivide"].includes(node.operation) &&
    columnsOf(node.args[1]!).length === 0) || childrenOf(node).some(hasConstantDivisor);
}

function fromDuckDB(value: unknown): unknown {
  if (value instanceof DuckDBTimestampTZValue) return value.micros;
  if (value instanceof DuckDBDateValue) return value.days;
  if (value instanceof DuckDBBlobValue) return value.bytes;
  if (value instanceof DuckDBListValue) return value.items.map(fromDuckDB);
  if (value instanceof DuckDBStructValue) {
    return Object.fromEntries(Object.entries(value.entries).map(([name, part]) => [name, fromDuckDB(part)]));
  }
  return value;
}

function isSame(a: unknown, b: unknown, ulps: number): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a === "number" && typeof b === "number") {
    return ulps > 0 && Math.sign(a) === Math.sign(b) && Number(ordinal(a) - ordinal(b)) <= ulps &&
      Number(ordinal(b) - ordinal(a)) <= ulps;
  }
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  }
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((each, i) => isSame(each, b[i], ulps));
  }
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length &&
    keys.every((key) => isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key], ulps));
}

/** Floats of one sign in order, as integers one apart. */
function ordinal(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.abs(value));
  return view.getBigUint64(0);
}

function show(value: unknown): string {
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value).map(([name, part]) => `${name}: ${show(part)}`).join(", ")}}`;
  }
  return String(value);
}
