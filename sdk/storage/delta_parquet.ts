/** Writes small Parquet files of nested records without an engine: checkpoints, which any process may have to write. */
import { gzipSync } from "node:zlib";

/** A column: everything may be null. A map has text keys and text values, a list holds text. */
export type ParquetColumn =
  | { readonly name: string; readonly kind: "struct"; readonly columns: readonly ParquetColumn[] }
  | { readonly name: string; readonly kind: "string" | "int32" | "int64" | "boolean" | "map" | "list" };

type LeafKind = "string" | "int32" | "int64" | "boolean";

/** A leaf of the schema, and its values of one row group, with Dremel's levels. */
interface Leaf {
  readonly path: readonly string[];
  readonly kind: LeafKind;
  readonly maxDefinition: number;
  readonly maxRepetition: number;
  definitions: number[];
  repetitions: number[];
  values: unknown[];
}

interface Tree {
  readonly column: ParquetColumn;
  readonly leaves: readonly Leaf[];
  readonly children: readonly Tree[];
}

const rowsPerGroup = 20_000;
const magic = "PAR1";
const physicalTypes = { boolean: 0, int32: 1, int64: 2, string: 6 };
const repetition = { required: 0, optional: 1, repeated: 2 };
const converted = { text: 0, map: 1, list: 3 };
const plain = 0;
const rle = 3;
const gzip = 2;

/** A Parquet file of these rows: plain encoding, gzip, one page per column and row group. */
export function parquetBytes(columns: readonly ParquetColumn[], rows: readonly object[]): Uint8Array {
  const trees = columns.map((column) => treeOf(column, [], 0));
  const chunks: Uint8Array[] = [Buffer.from(magic)];
  let offset = magic.length;
  const groups: Struct[] = [];
  for (let start = 0; start === 0 || start < rows.length; start += rowsPerGroup) {
    const group = rows.slice(start, start + rowsPerGroup);
    for (const row of group) for (const tree of trees) shred(tree, valueOf(row, tree.column.name), 0, 0);
    const columnChunks: Struct[] = [];
    let bytes = 0;
    for (const leaf of trees.flatMap((tree) => tree.leaves)) {
      const { chunk, metadata, uncompressed } = writeLeaf(leaf, offset);
      chunks.push(chunk);
      columnChunks.push(metadata);
      offset += chunk.byteLength;
      bytes += uncompressed;
    }
    groups.push(struct([1, list(structs, columnChunks)], [2, i64(bytes)], [3, i64(group.length)]));
  }
  const root = struct([4, text("root")], [5, i32(columns.length)]);
  const footer = Buffer.from(encodeStruct(struct(
    [1, i32(1)],
    [2, list(structs, [root, ...columns.flatMap(schemaElements)])],
    [3, i64(rows.length)],
    [4, list(structs, groups)],
    [6, text("varve")],
  )));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.byteLength);
  return Buffer.concat([...chunks, footer, length, Buffer.from(magic)]);
}

function treeOf(column: ParquetColumn, parents: readonly string[], definition: number): Tree {
  const path = [...parents, column.name];
  const leaf = (names: readonly string[], kind: LeafKind, deeper: number, maxRepetition: number): Leaf => ({
    path: [...path, ...names],
    kind,
    maxDefinition: definition + deeper,
    maxRepetition,
    definitions: [],
    repetitions: [],
    values: [],
  });
  switch (column.kind) {
    case "struct": {
      const children = column.columns.map((child) => treeOf(child, path, definition + 1));
      return { column, children, leaves: children.flatMap((child) => child.leaves) };
    }
    case "map": {
      const leaves = [leaf(["key_value", "key"], "string", 2, 1), leaf(["key_value", "value"], "string", 3, 1)];
      return { column, children: [], leaves };
    }
    case "list":
      return { column, children: [], leaves: [leaf(["list", "element"], "string", 3, 1)] };
    default:
      return { column, children: [], leaves: [leaf([], column.kind, 1, 0)] };
  }
}

/** Takes a value apart: every leaf below gets at least one entry, which says how much of its path is there. */
function shred(tree: Tree, value: unknown, definition: number, repetition: number): void {
  if (value === undefined || value === null) {
    for (const leaf of tree.leaves) push(leaf, repetition, definition);
    return;
  }
  switch (tree.column.kind) {
    case "struct":
      for (const child of tree.children) {
        shred(child, valueOf(value as object, child.column.name), definition + 1, repetition);
      }
      return;
    case "map":
    case "list": {
      const isMap = tree.column.kind === "map";
      const items = isMap ? Object.entries(value) : (value as readonly unknown[]).map((item) => [item]);
      if (items.length === 0) return tree.leaves.forEach((leaf) => push(leaf, repetition, definition + 1));
      items.forEach((item, i) =>
        tree.leaves.forEach((leaf, part) => {
          const there = item[part] !== undefined && item[part] !== null;
          push(leaf, i === 0 ? repetition : 1, there ? leaf.maxDefinition : definition + 2, item[part]);
        })
      );
      return;
    }
    default:
      push(tree.leaves[0]!, repetition, definition + 1, value);
  }
}

function push(leaf: Leaf, repetition: number, definition: number, value?: unknown): void {
  leaf.repetitions.push(repetition);
  leaf.definitions.push(definition);
  if (definition === leaf.maxDefinition) leaf.values.push(value);
}

function valueOf(row: object, name: string): unknown {
  return (row as Readonly<Record<string, unknown>>)[name];
}

/** One column chunk of one page; empties the leaf for the next row group. */
function writeLeaf(leaf: Leaf, offset: number): { chunk: Uint8Array; metadata: Struct; uncompressed: number } {
  const count = leaf.definitions.length;
  const page = Buffer.concat([
    ...leaf.maxRepetition > 0 ? [encodeLevels(leaf.repetitions)] : [],
    encodeLevels(leaf.definitions),
    encodeValues(leaf.kind, leaf.values),
  ]);
  leaf.definitions = [];
  leaf.repetitions = [];
  leaf.values = [];
  const packed = gzipSync(page);
  const header = Buffer.from(encodeStruct(struct(
    [1, i32(0)],
    [2, i32(page.byteLength)],
    [3, i32(packed.byteLength)],
    [5, struct([1, i32(count)], [2, i32(plain)], [3, i32(rle)], [4, i32(rle)])],
  )));
  const chunk = Buffer.concat([header, packed]);
  const uncompressed = header.byteLength + page.byteLength;
  const metadata = struct([2, i64(offset)], [
    3,
    struct(
      [1, i32(physicalTypes[leaf.kind])],
      [2, list(i32s, [i32(plain), i32(rle)])],
      [3, list(texts, leaf.path.map(text))],
      [4, i32(gzip)],
      [5, i64(count)],
      [6, i64(uncompressed)],
      [7, i64(chunk.byteLength)],
      [9, i64(offset)],
    ),
  ]);
  return { chunk, metadata, uncompressed };
}

/** Runs of equal levels, after their length in bytes. Levels here are below 256: one byte each. */
function encodeLevels(levels: readonly number[]): Uint8Array {
  const bytes: number[] = [];
  for (let start = 0; start < levels.length;) {
    let end = start + 1;
    while (end < levels.length && levels[end] === levels[start]) end++;
    pushVarint(bytes, BigInt(end - start) << 1n);
    bytes.push(levels[start]!);
    start = end;
  }
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, Buffer.from(bytes)]);
}

function encodeValues(kind: LeafKind, values: readonly unknown[]): Uint8Array {
  switch (kind) {
    case "boolean": {
      const bits = Buffer.alloc(Math.ceil(values.length / 8));
      values.forEach((value, i) => {
        if (value) bits[i >> 3]! |= 1 << (i & 7);
      });
      return bits;
    }
    case "int32": {
      const bytes = Buffer.alloc(values.length * 4);
      values.forEach((value, i) => bytes.writeInt32LE(Number(value), i * 4));
      return bytes;
    }
    case "int64": {
      const bytes = Buffer.alloc(values.length * 8);
      values.forEach((value, i) => bytes.writeBigInt64LE(BigInt(value as number), i * 8));
      return bytes;
    }
    case "string": {
      const texts = values as readonly string[];
      const bytes = Buffer.allocUnsafe(texts.reduce((sum, value) => sum + 4 + Buffer.byteLength(value), 0));
      let at = 0;
      for (const value of texts) {
        const length = bytes.write(value, at + 4);
        bytes.writeUInt32LE(length, at);
        at += 4 + length;
      }
      return bytes;
    }
  }
}

function schemaElements(column: ParquetColumn): Struct[] {
  const element = (name: string, how: number, ...rest: [number, Value][]) =>
    struct(...[[3, i32(how)], [4, text(name)], ...rest] as [number, Value][]);
  const leaf = (name: string, how: number, kind: LeafKind) => {
    const note: [number, Value][] = kind === "string" ? [[6, i32(converted.text)]] : [];
    return struct([1, i32(physicalTypes[kind])], [3, i32(how)], [4, text(name)], ...note);
  };
  switch (column.kind) {
    case "struct":
      return [
        element(column.name, repetition.optional, [5, i32(column.columns.length)]),
        ...column.columns.flatMap(schemaElements),
      ];
    case "map":
      return [
        element(column.name, repetition.optional, [5, i32(1)], [6, i32(converted.map)]),
        element("key_value", repetition.repeated, [5, i32(2)]),
        leaf("key", repetition.required, "string"),
        leaf("value", repetition.optional, "string"),
      ];
    case "list":
      return [
        element(column.name, repetition.optional, [5, i32(1)], [6, i32(converted.list)]),
        element("list", repetition.repeated, [5, i32(1)]),
        leaf("element", repetition.optional, "string"),
      ];
    default:
      return [leaf(column.name, repetition.optional, column.kind)];
  }
}

// Thrift's compact protocol, as far as Parquet's footer needs it.

type Value = { readonly type: number; readonly encode: (bytes: number[]) => void };
type Struct = Value;
const i32s = 5;
const texts = 8;
const structs = 12;

function i32(value: number): Value {
  return { type: i32s, encode: (bytes) => pushZigzag(bytes, value) };
}

function i64(value: number): Value {
  return { type: 6, encode: (bytes) => pushZigzag(bytes, value) };
}

function text(value: string): Value {
  return {
    type: texts,
    encode: (bytes) => {
      const encoded = Buffer.from(value);
      pushVarint(bytes, BigInt(encoded.byteLength));
      bytes.push(...encoded);
    },
  };
}

function list(type: number, items: readonly Value[]): Value {
  return {
    type: 9,
    encode: (bytes) => {
      if (items.length < 15) bytes.push(items.length << 4 | type);
      else {
        bytes.push(0xf0 | type);
        pushVarint(bytes, BigInt(items.length));
      }
      for (const item of items) item.encode(bytes);
    },
  };
}

function struct(...fields: readonly (readonly [id: number, value: Value])[]): Struct {
  return {
    type: structs,
    encode: (bytes) => {
      let last = 0;
      for (const [id, value] of fields) {
        bytes.push((id - last) << 4 | value.type);
        last = id;
        value.encode(bytes);
      }
      bytes.push(0);
    },
  };
}

function encodeStruct(value: Struct): number[] {
  const bytes: number[] = [];
  value.encode(bytes);
  return bytes;
}

function pushZigzag(bytes: number[], value: number): void {
  const wide = BigInt(value);
  pushVarint(bytes, wide < 0n ? -wide * 2n - 1n : wide * 2n);
}

function pushVarint(bytes: number[], value: bigint): void {
  while (value > 0x7fn) {
    bytes.push(Number(value & 0x7fn) | 0x80);
    value >>= 7n;
  }
  bytes.push(Number(value));
}
