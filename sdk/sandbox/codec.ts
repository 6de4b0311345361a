/**
 * Rows as bytes, column by column, typed by their schema: floats and integers cross as they are in memory, so that
 * every int64, NaN and -0 arrives exactly, and bytes can only ever be read as values of the declared types.
 */
import type { DataType, Row, Schema } from "../schema.ts";

/** How the two sides hold an instant: each has its own class for it. */
export interface CodecForms {
  /** The value for micros; throws when no year holds them. */
  readonly timestampOf: (micros: bigint) => unknown;
  /** The micros of a value, or undefined when it is no instant. */
  readonly microsOf: (value: unknown) => bigint | undefined;
}

/** Where a value was not of its type. */
export interface WrongValue {
  /** The row, counted from 0. */
  readonly row: number;
  /** The path of the value: a column, `column[]`, `column.part`. */
  readonly field: string;
  /** What it was and what was wanted. */
  readonly problem: string;
}

/** Writes and reads rows. */
export interface Codec {
  /** The bytes of rows, after `head` free bytes (a multiple of 8). Throws a {@link WrongValue}. */
  encode(schema: Schema, rows: readonly Row[], head: number): Uint8Array<ArrayBuffer>;
  /** The rows in bytes, which begin at the start of their buffer or at a multiple of 8 in it. Throws when they are no such rows. */
  decode(schema: Schema, count: number, bytes: Uint8Array<ArrayBuffer>): Row[];
}

/**
 * Makes the codec. Its own text is sent to the sandbox, where the same code runs: it may use nothing from outside but
 * what every JavaScript engine has.
 */
export function makeCodec(forms: CodecForms): Codec {
  const dayMs = 86_400_000;
  const firstDay = -719_162; // 0001-01-01
  const lastDay = 2_932_896; // 9999-12-31
  const writer = new TextEncoder();
  const reader = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const { parse, stringify } = JSON;

  let out = new Uint8Array(1 << 16);
  let end = 0;

  /** Makes room and gives where it begins, a multiple of 8. */
  function room(size: number): number {
    const start = (end + 7) & ~7;
    if (start + size > out.length) {
      const larger = new Uint8Array(Math.max(out.length * 2, start + size));
      larger.set(out.subarray(0, end));
      out = larger;
    }
    // What lay between belongs to older rows.
    out.fill(0, end, start);
    end = start + size;
    return start;
  }

  function show(value: unknown): string {
    // A text is not shown: it may be a secret, and it may be long.
    if (typeof value === "string") return `a string of ${value.length} characters`;
    if (typeof value === "bigint" || typeof value === "number") {
      return `the ${typeof value} ${String(value).slice(0, 40)}`;
    }
    if (value === null || value === undefined || typeof value === "boolean") return String(value);
    if (typeof value !== "object") return `a ${typeof value}`;
    return Array.isArray(value) ? "an array" : value instanceof Uint8Array ? "bytes" : "an object";
  }

  function dayOf(value: unknown): number | undefined {
    let day = NaN;
    if (typeof value === "string" && /^\d{4}-\d{2}-\d{2}$/.test(value)) {
      const ms = new Date(`${value}T00:00:00Z`).getTime();
      if (ms === ms && new Date(ms).toISOString().slice(0, 10) === value) day = ms / dayMs;
    } else if (value instanceof Date) day = Math.floor(value.getTime() / dayMs);
    return day >= firstDay && day <= lastDay ? day : undefined;
  }

  function integerOf(value: unknown): bigint | undefined {
    if (typeof value === "bigint") return BigInt.asIntN(64, value) === value ? value : undefined;
    return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : undefined;
  }

  type RowOfItem = (item: number) => number;

  function writeColumn(type: DataType, values: readonly unknown[], field: string, rowOf: RowOfItem): void {
    const count = values.length;
    const wrong = (item: number, wanted: string): never => {
      const problem: WrongValue = { row: rowOf(item), field, problem: `is ${show(values[item])}, not ${wanted}` };
      throw problem;
    };
    if (typeof type === "object" && "struct" in type) return writeStruct(type.struct, values, field, rowOf, wrong);

    if (type === "string") {
      for (let i = 0; i < count; i += 1) {
        const value = values[i];
        if (value !== null && value !== undefined && typeof value !== "string") wrong(i, "a string");
      }
      // Undefined becomes null, and half a surrogate pair an escape: both come back as they must.
      const text = writer.encode(stringify(values));
      const length = room(4);
      new Uint32Array(out.buffer, length, 1)[0] = text.length;
      // Making room may move everything: `out` is looked up after it.
      const at = room(text.length);
      out.set(text, at);
      return;
    }

    let nulls = 0;
    for (let i = 0; i < count; i += 1) if (values[i] === null || values[i] === undefined) nulls += 1;
    const flag = room(1);
    out[flag] = nulls > 0 ? 1 : 0;
    if (nulls > 0) {
      const at = room(count);
      for (let i = 0; i < count; i += 1) out[at + i] = values[i] === null || values[i] === undefined ? 1 : 0;
    }

    if (typeof type === "object") return writeList(type.list, values, field, rowOf, wrong);
    switch (type) {
      case "float64":
      case "float32": {
        const at = room(count * (type === "float64" ? 8 : 4));
        const column = type === "float64"
          ? new Float64Array(out.buffer, at, count)
          : new Float32Array(out.buffer, at, count);
        for (let i = 0; i < count; i += 1) {
          const value = values[i];
          // One NaN has the bits of any other: those of a division depend on how it was compiled.
          if (typeof value === "number") column[i] = value === value ? value : NaN;
          else if (value === null || value === undefined) column[i] = 0;
          else wrong(i, "a number");
        }
        return;
      }
      case "int32": {
        const at = room(count * 4);
        const column = new Int32Array(out.buffer, at, count);
        for (let i = 0; i < count; i += 1) {
          const value = values[i];
          if (value === null || value === undefined) column[i] = 0;
          else if (typeof value === "number" && (value | 0) === value) column[i] = value;
          else wrong(i, "a whole number of 32 bits");
        }
        return;
      }
      case "int64":
      case "duration": {
        const at = room(count * 8);
        const column = new BigInt64Array(out.buffer, at, count);
        for (let i = 0; i < count; i += 1) {
          const value = values[i];
          column[i] = value === null || value === undefined ? 0n : integerOf(value) ?? wrong(i, "a bigint of 64 bits");
        }
        return;
      }
      case "timestamp": {
        const at = room(count * 8);
        const column = new BigInt64Array(out.buffer, at, count);
        for (let i = 0; i < count; i += 1) {
          const value = values[i];
          column[i] = value === null || value === undefined ? 0n : forms.microsOf(value) ?? wrong(i, "an instant");
        }
        return;
      }
      case "date": {
        const at = room(count * 4);
        const column = new Int32Array(out.buffer, at, count);
        for (let i = 0; i < count; i += 1) {
          const value = values[i];
          column[i] = value === null || value === undefined ? 0 : dayOf(value) ?? wrong(i, 'a day as "2001-03-01"');
        }
        return;
      }
      case "boolean": {
        const at = room(count);
        for (let i = 0; i < count; i += 1) {
          const value = values[i];
          if (value !== null && value !== undefined && typeof value !== "boolean") wrong(i, "true or false");
          out[at + i] = value === true ? 1 : 0;
        }
        return;
      }
      case "binary": {
        const start = room(count * 4);
        const lengths = new Uint32Array(out.buffer, start, count);
        let total = 0;
        for (let i = 0; i < count; i += 1) {
          const value = values[i];
          if (value !== null && value !== undefined && !(value instanceof Uint8Array)) wrong(i, "a Uint8Array");
          const length = value instanceof Uint8Array ? value.length : 0;
          lengths[i] = length;
          total += length;
        }
        let at = room(total);
        for (const value of values) {
          if (!(value instanceof Uint8Array)) continue;
          out.set(value, at);
          at += value.length;
        }
        return;
      }
    }
  }

  type Wrong = (item: number, wanted: string) => never;

  function writeList(type: DataType, values: readonly unknown[], field: string, rowOf: RowOfItem, wrong: Wrong): void {
    const start = room(values.length * 4);
    const lengths = new Uint32Array(out.buffer, start, values.length);
    const items: unknown[] = [];
    const rows: number[] = [];
    for (let i = 0; i < values.length; i += 1) {
      const value = values[i];
      let length = 0;
      if (value !== null && value !== undefined) {
        if (!Array.isArray(value) && !(ArrayBuffer.isView(value) && !(value instanceof DataView))) wrong(i, "a list");
        const list = value as ArrayLike<unknown>;
        length = list.length;
        for (let k = 0; k < length; k += 1) {
          items.push(list[k]);
          rows.push(i);
        }
      }
      lengths[i] = length;
    }
    writeColumn(type, items, `${field}[]`, (item) => rowOf(rows[item]!));
  }

  function writeStruct(
    parts: Schema,
    values: readonly unknown[],
    field: string,
    rowOf: RowOfItem,
    wrong: Wrong,
  ): void {
    // One byte for each, always: so that no count of structs is larger than the bytes that carry them.
    const at = room(values.length);
    for (let i = 0; i < values.length; i += 1) {
      const value = values[i];
      if (value === null || value === undefined) out[at + i] = 1;
      else if (typeof value !== "object" || Array.isArray(value)) wrong(i, "an object of fields");
      else out[at + i] = 0;
    }
    writeFields(parts, values as readonly (Row | null | undefined)[], `${field}.`, rowOf);
  }

  function writeFields(
    schema: Schema,
    rows: readonly (Row | null | undefined)[],
    prefix: string,
    rowOf: RowOfItem,
  ): void {
    const names = new Set<string>();
    for (const { name } of schema) names.add(name);
    for (let i = 0; i < rows.length; i += 1) {
      const row = rows[i];
      if (row === null || row === undefined) continue;
      const keys = Object.keys(row);
      let known = 0;
      for (let k = 0; k < keys.length; k += 1) if (names.has(keys[k]!)) known += 1;
      if (known === keys.length && known === schema.length) continue;
      for (const key of keys) {
        if (names.has(key)) continue;
        const problem: WrongValue = {
          row: rowOf(i),
          field: prefix + key.slice(0, 100),
          problem: `is not declared; the schema has ${schema.map(({ name }) => name).join(", ") || "no field"}`,
        };
        throw problem;
      }
      for (const { name } of schema) {
        if (name in row) continue;
        const problem: WrongValue = {
          row: rowOf(i),
          field: prefix + name,
          problem: "is missing; give null where there is no value",
        };
        throw problem;
      }
    }
    for (const { name, type } of schema) {
      const column: unknown[] = new Array(rows.length);
      for (let i = 0; i < rows.length; i += 1) {
        const row = rows[i];
        column[i] = row === null || row === undefined ? null : row[name];
      }
      writeColumn(type, column, prefix + name, rowOf);
    }
  }

  let input = out;
  let base = 0;
  let at = 0;

  function take(size: number): number {
    const start = (at + 7) & ~7;
    if (start + size > input.length) throw new RangeError("The bytes end too early");
    at = start + size;
    return base + start;
  }

  function readColumn(type: DataType, count: number): unknown[] {
    if (typeof type === "object" && "struct" in type) {
      const flags = new Uint8Array(input.buffer, take(count), count);
      const structs: unknown[] = readFields(type.struct, count);
      for (let i = 0; i < count; i += 1) if (flags[i] !== 0) structs[i] = null;
      return structs;
    }
    if (type === "string") {
      const length = new Uint32Array(input.buffer, take(4), 1)[0]!;
      const texts: unknown = parse(reader.decode(new Uint8Array(input.buffer, take(length), length)));
      if (!Array.isArray(texts) || texts.length !== count) throw new RangeError("The bytes hold no such texts");
      for (let i = 0; i < count; i += 1) {
        if (typeof texts[i] !== "string" && texts[i] !== null) throw new RangeError("The bytes hold no such text");
      }
      return texts;
    }
    const flags = input[take(1) - base] === 0 ? undefined : new Uint8Array(input.buffer, take(count), count);
    const values: unknown[] = new Array(count);
    if (typeof type === "object") {
      const lengths = new Uint32Array(input.buffer, take(count * 4), count);
      let total = 0;
      for (let i = 0; i < count; i += 1) total += lengths[i]!;
      if (total > input.length) throw new RangeError("The bytes hold no such list");
      const items = readColumn(type.list, total);
      let from = 0;
      for (let i = 0; i < count; i += 1) {
        values[i] = items.slice(from, from + lengths[i]!);
        from += lengths[i]!;
      }
    } else {
      readScalars(type, count, values, flags);
    }
    if (flags) { for (let i = 0; i < count; i += 1) if (flags[i] !== 0) values[i] = null; }
    return values;
  }

  function readScalars(type: string, count: number, values: unknown[], flags: Uint8Array | undefined): void {
    switch (type) {
      case "float64": {
        const column = new Float64Array(input.buffer, take(count * 8), count);
        for (let i = 0; i < count; i += 1) values[i] = column[i];
        return;
      }
      case "float32": {
        const column = new Float32Array(input.buffer, take(count * 4), count);
        for (let i = 0; i < count; i += 1) values[i] = column[i];
        return;
      }
      case "int32": {
        const column = new Int32Array(input.buffer, take(count * 4), count);
        for (let i = 0; i < count; i += 1) values[i] = column[i];
        return;
      }
      case "int64":
      case "duration": {
        const column = new BigInt64Array(input.buffer, take(count * 8), count);
        for (let i = 0; i < count; i += 1) values[i] = column[i];
        return;
      }
      case "timestamp": {
        const column = new BigInt64Array(input.buffer, take(count * 8), count);
        for (let i = 0; i < count; i += 1) if (!flags?.[i]) values[i] = forms.timestampOf(column[i]!);
        return;
      }
      case "date": {
        const column = new Int32Array(input.buffer, take(count * 4), count);
        for (let i = 0; i < count; i += 1) {
          const day = column[i]!;
          if (day < firstDay || day > lastDay) throw new RangeError("The bytes hold no such day");
          values[i] = new Date(day * dayMs).toISOString().slice(0, 10);
        }
        return;
      }
      case "boolean": {
        const start = take(count) - base;
        for (let i = 0; i < count; i += 1) values[i] = input[start + i] !== 0;
        return;
      }
      case "binary": {
        const lengths = new Uint32Array(input.buffer, take(count * 4), count);
        let total = 0;
        for (let i = 0; i < count; i += 1) total += lengths[i]!;
        let from = take(total) - base;
        for (let i = 0; i < count; i += 1) {
          values[i] = input.slice(from, from + lengths[i]!);
          from += lengths[i]!;
        }
        return;
      }
      default:
        throw new TypeError("There is no such type");
    }
  }

  function readFields(schema: Schema, count: number): Row[] {
    const names: string[] = [];
    const columns: unknown[][] = [];
    for (const { name, type } of schema) {
      names.push(name);
      columns.push(readColumn(type, count));
    }
    const rows: Row[] = new Array(count);
    for (let i = 0; i < count; i += 1) {
      const row: Row = {};
      for (let k = 0; k < names.length; k += 1) row[names[k]!] = columns[k]![i];
      rows[i] = row;
    }
    return rows;
  }

  return {
    encode(schema, rows, head) {
      // A large batch leaves no large buffer behind.
      if (out.length > 1 << 24) out = new Uint8Array(1 << 16);
      end = 0;
      room(head);
      writeFields(schema, rows, "", (item) => item);
      return out.slice(0, end);
    },
    decode(schema, count, bytes) {
      input = bytes;
      base = bytes.byteOffset;
      at = 0;
      const rows = readFields(schema, count);
      if (at !== bytes.length) throw new RangeError("There are bytes after the last column");
      input = out;
      return rows;
    },
  };
}
