/** Whether a function always gives the same answer to the same row. */
import { VarveError } from "../errors.ts";
import { type DataType, formatType, type Row, type Schema } from "../schema.ts";
import { Timestamp, timestampLimits } from "../time.ts";
import { parentCodec } from "./parent_codec.ts";
import type { PublishedFunction } from "./published_function.ts";
import { FunctionRunner } from "./runner.ts";
import type { FunctionRunnerOptions } from "./runner_options.ts";

/** How the check is made. */
export interface DeterminismOptions extends FunctionRunnerOptions {
  /** Rows to try; else some are made from the input schema, with nulls and extremes. */
  readonly rows?: readonly Row[] | undefined;
  /** Fields that are never null; made-up rows have values for them. */
  readonly neverNull?: readonly string[] | undefined;
  /** Rows as they are stored, to try too; a field that they do not have is made up. */
  readonly stored?: readonly Row[] | undefined;
}

/** Stored rows that a function has no answer to. */
export interface Unanswered {
  /** How many. */
  readonly rows: number;
  /** Why the first has none; without values of stored rows. */
  readonly problem: string;
}

/**
 * Runs a function twice in fresh processes, forwards in one batch and backwards in small ones, and compares the
 * answers byte by byte. Rows on which it throws both times the same way count as equal: a sample that was made up may
 * be one that never comes. Throws `INVALID_DEFINITION` that names the first row whose answers differ, or a field that is read and
 * that there is not, or says why there is no answer to any row, or to any that is stored. Gives the stored rows that have no answer
 * when fields that are made up have plain values; undefined when all have one.
 */
export async function checkDeterministic(
  fn: PublishedFunction,
  options: DeterminismOptions = {},
): Promise<Unanswered | undefined> {
  const made = options.rows ?? sampleRows(fn.input, options.neverNull);
  const stored = (options.stored ?? []).map((row) => completed(fn, row));
  const rows = [...made, ...stored.flat()];
  const first = await answersOf(fn, rows, options, 1_000);
  const reversed = await answersOf(fn, [...rows].reverse(), options, 7);
  const second = reversed.reverse();
  const at = first.findIndex((answer, row) => answer.text !== second[row]!.text);
  const title = options.rows ? "the sample" : "a made-up sample";
  if (at >= 0) {
    const which = at < made.length ? `row ${at} of ${title}` : "a row of stored features";
    throw refused(fn, `run twice, it gave two answers to ${which}; its answer may depend on its row alone`);
  }
  if (rows.length > 0 && !first.some(({ isRight }) => isRight)) {
    const [one, last] = [first[0]!.text, first[made.length - 1]!.text];
    const why = one === last ? one : `to the first ${one}; to the last, of nulls, ${last}`;
    throw refused(fn, `it has no answer to any of ${made.length} rows of ${title}: ${why}`);
  }
  return checkStored(fn, options.stored ?? [], first.slice(0, made.length), first.slice(made.length));
}

/** A stored row with plain values for what it does not have; and with nulls. */
function completed({ input }: PublishedFunction, row: Row): Row[] {
  const missing = input.filter(({ name }) => !Object.hasOwn(row, name));
  const plain = { ...row, ...Object.fromEntries(missing.map(({ name, type }) => [name, plainValue(type)])) };
  return missing.length === 0
    ? [plain]
    : [plain, { ...row, ...Object.fromEntries(missing.map(({ name }) => [name, null])) }];
}

function checkStored(
  fn: PublishedFunction,
  stored: readonly Row[],
  made: readonly RowEnd[],
  ends: readonly RowEnd[],
): Unanswered | undefined {
  if (stored.length === 0) return undefined;
  const each = ends.length / stored.length;
  const plain = ends.filter((_, i) => i % each === 0);
  const wrong = plain.filter(({ isRight }) => !isRight);
  if (wrong.length === 0) return undefined;
  const problem = withoutValues(wrong[0]!, made);
  if (ends.some(({ isRight }) => isRight)) return { rows: wrong.length, problem };
  const given = (isStored: boolean) =>
    fn.input.filter(({ name }) => Object.hasOwn(stored[0]!, name) === isStored)
      .map(({ name, type }) => `${name} ${formatType(type)}`).join(", ");
  const others = given(false) === "" ? "" : ` with ${given(false)} made up`;
  throw refused(
    fn,
    `it has no answer to any of ${stored.length} rows of stored features, of ${
      given(true)
    }${others}: ${problem}; give null where there is none`,
  );
}

/** What it says of made-up rows too has no value of a stored one in it; anything else may. */
function withoutValues({ text, field }: RowEnd, made: readonly RowEnd[]): string {
  if (made.some((end) => end.text === text)) return text;
  if (!text.startsWith("it threw ")) {
    return `its answer${field === undefined ? "" : `, field "${field}",`} is not of its output`;
  }
  const kind = /^it threw ([A-Za-z]*Error): /.exec(text)?.[1] ?? "an error";
  return `it threw ${kind}, whose text may have values in it`;
}

function refused(fn: PublishedFunction, why: string): VarveError {
  return new VarveError("INVALID_DEFINITION", `Cannot publish ${fn.name}: ${why}`, { details: { function: fn.name } });
}

/** What became of a row: its answer, or what was wrong, as comparable text. */
interface RowEnd {
  readonly isRight: boolean;
  readonly text: string;
  /** Of an answer that is wrong: where. */
  readonly field?: string | undefined;
}

async function answersOf(
  fn: PublishedFunction,
  rows: readonly Row[],
  options: DeterminismOptions,
  batchRows: number,
): Promise<RowEnd[]> {
  const runner = new FunctionRunner({ ...options, processes: 1, batchRows, isStrict: true });
  const codec = parentCodec();
  try {
    const answers: RowEnd[] = [];
    for (let from = 0; from < rows.length; from += batchRows) {
      answers.push(...await answersOfBatch(rows.slice(from, from + batchRows)));
    }
    return answers;
  } finally {
    await runner.close();
  }

  async function answersOfBatch(batch: readonly Row[]): Promise<RowEnd[]> {
    try {
      const answers = await runner.run(fn, batch);
      return answers.map((answer) => ({
        isRight: true,
        text: Buffer.from(codec.encode(fn.output, [answer], 0)).toString("latin1"),
      }));
    } catch (error) {
      if (!(error instanceof VarveError) || error.code !== "FUNCTION_FAILED") throw error;
      if (error.details["isMisread"] === true) throw misread(fn, error);
      if (batch.length === 1) {
        const { problem, field } = error.details;
        return [{ isRight: false, text: String(problem), field: field === undefined ? undefined : String(field) }];
      }
      const answers: RowEnd[] = [];
      for (const row of batch) answers.push(...await answersOfBatch([row]));
      return answers;
    }
  }
}

/** Without types a misspelt field is undefined, and null in every answer that it is part of. */
function misread(fn: PublishedFunction, { details }: VarveError): VarveError {
  const what = String(details["problem"]).replace(/^it/, "its function");
  return new VarveError("INVALID_DEFINITION", `Cannot publish ${fn.name}: ${what}`, {
    details: { function: fn.name, field: details["field"] },
  });
}

/** Rows with every extreme of every field, and nulls: the n-th row has the n-th of each field's values. */
export function sampleRows(schema: Schema, neverNull: readonly string[] = []): Row[] {
  const values = schema.map(({ name, type }) => {
    const all = sampleValues(type);
    return neverNull.includes(name) ? all.filter((value) => value !== null) : all;
  });
  const longest = Math.max(2, ...values.map((list) => list.length));
  const rows: Row[] = [];
  // Fields step at different speeds, so that extremes meet.
  for (const stride of [1, 2, 3]) {
    for (let n = 0; n < longest; n += 1) {
      rows.push(Object.fromEntries(schema.map(({ name }, at) => {
        const list = values[at]!;
        return [name, list[(n + at * stride) % list.length]];
      })));
    }
  }
  rows.push(
    Object.fromEntries(schema.map(({ name }, at) => [name, neverNull.includes(name) ? values[at]![0] : null])),
  );
  return rows;
}

/** An ordinary value of a type. */
function plainValue(type: DataType): unknown {
  if (typeof type !== "object") return sampleValues(type)[1];
  if ("list" in type) return [plainValue(type.list)];
  return Object.fromEntries(type.struct.map((part) => [part.name, plainValue(part.type)]));
}

function sampleValues(type: DataType): unknown[] {
  if (typeof type === "object") {
    if ("list" in type) {
      const items = sampleValues(type.list);
      return [[], items, items.slice(0, 2), null, [null]];
    }
    return [...sampleRows(type.struct), null];
  }
  switch (type) {
    case "string":
      return ["", "a", "Zürich", "\u{1f98a}", "\ud800", "0", "x".repeat(300), null];
    case "boolean":
      return [true, false, null];
    case "int32":
      return [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), null];
    case "int64":
    case "duration":
      return [0n, 1n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), null];
    case "float32":
    case "float64":
      return [0, 1, -1.5, -0, NaN, Infinity, -Infinity, 0.1, type === "float32" ? Math.fround(3e38) : 1e308, null];
    case "date":
      return ["2001-03-01", "1970-01-01", "0001-01-01", "9999-12-31", null];
    case "timestamp":
      return [
        ...[0n, 983_404_800_123_456n, timestampLimits.min, timestampLimits.max].map((at) => new Timestamp(at)),
        null,
      ];
    case "binary":
      return [new Uint8Array(), new Uint8Array([0, 255, 10]), null];
  }
}
