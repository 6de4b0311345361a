/**
 * Rows of features as bytes. A value is: event time (8 bytes, big endian, sign bit turned over, so that unsigned order is
 * the order of instants, before 1970 too) · sequence (8, big endian) · layout id (2, big endian) · null bits · slots at
 * fixed places · variable part. A server may copy slots without reading the rest.
 */
import { createHash } from "node:crypto";
import { VarveError } from "../errors.ts";
import { type DataType, type Field, formatType } from "../schema.ts";
import { bufferOf, ByteWriter, viewOf } from "./byte_writer.ts";
import {
  type Cell,
  cellOf,
  type CellRun,
  type CellSource,
  corrupt,
  layOut,
  pickCells,
  readPicked,
  readRun,
  type ValueForm,
  writeRun,
} from "./encoding_cells.ts";
import type { Micros } from "../time.ts";
import type { Header } from "./online_store.ts";

/** Bytes of the header in front of every value. */
export const headerBytes = 18;

/** A part of the format's own version: another one asks for a fresh load. */
const formatVersion = 1;

/** What a header says. */
export interface RowHeader extends Header {
  /** {@link RowLayout.id} of the layout that the value was written with. */
  readonly layout: number;
}

/** How the features of one view version are packed. */
export interface RowLayout {
  readonly features: readonly Field[];
  /** Two bytes of the hash, kept in every value: a value of another layout is refused. */
  readonly id: number;
  /** Changes when names, types or the format change: part of `ViewState.layout`. */
  readonly hash: string;
  /** Where features, null bits and the variable part are, from the start of the value. */
  readonly run: CellRun;
  /** A value from features in order, in row or user form; null or undefined is null. */
  encode(header: Header, values: readonly unknown[]): Uint8Array;
  /** The features in order, in row form: bigint for int64, timestamp, duration; days for date. */
  decode(value: Uint8Array): unknown[];
  /** The features in order, as users see them: `Timestamp`, `"YYYY-MM-DD"`. */
  decodeUser(value: Uint8Array): unknown[];
  /** A reader of some features, by their places: other bytes are not looked at. */
  reader(places: readonly number[]): RowReader;
}

/** Reads features of values in user form. */
export interface RowReader {
  /** Writes them into `values` from `first` on; null is replaced by the default at its place. */
  read(value: Uint8Array, values: unknown[], first: number, defaults: readonly unknown[]): void;
}

/** The layout of features in their order. Defaults (S7) are the reader's: a stored null stays null. */
export function rowLayout(features: readonly { readonly name: string; readonly type: DataType }[]): RowLayout {
  const fields = Object.freeze(features.map(({ name, type }) => Object.freeze({ name, type })));
  const text = JSON.stringify([formatVersion, fields.map((field) => [field.name, formatType(field.type)])]);
  const digest = createHash("sha256").update(text).digest();
  return new PackedRowLayout(fields, digest);
}

class PackedRowLayout implements RowLayout {
  readonly features: readonly Field[];
  readonly id: number;
  readonly hash: string;
  readonly run: CellRun;
  readonly #userRun: CellRun;
  readonly #writer = new ByteWriter(256);

  constructor(features: readonly Field[], digest: Buffer) {
    this.features = features;
    this.id = digest.readUInt16BE(0);
    this.hash = digest.toString("hex", 0, 16);
    const run = (form: ValueForm) => layOut(features.map((field): Cell => cellOf(field.type, form)), headerBytes);
    this.run = run("row");
    this.#userRun = run("user");
  }

  encode(header: Header, values: readonly unknown[]): Uint8Array {
    if (values.length !== this.features.length) {
      throw new TypeError(`Cannot encode ${values.length} values: the layout has ${this.features.length} features`);
    }
    const writer = this.#writer;
    writeRun(writer, this.run, 0, headerBytes, values);
    writer.view.setBigUint64(0, BigInt.asUintN(64, header.eventTimestamp) ^ signBit);
    writer.view.setBigUint64(8, header.sequence);
    writer.view.setUint16(16, this.id);
    return writer.copy();
  }

  decode(value: Uint8Array): unknown[] {
    return readRun(this.#source(value), this.run, 0, headerBytes, value.length);
  }

  decodeUser(value: Uint8Array): unknown[] {
    return readRun(this.#source(value), this.#userRun, 0, headerBytes, value.length);
  }

  reader(places: readonly number[]): RowReader {
    const picked = pickCells(this.#userRun, headerBytes, places);
    return {
      read: (value, values, first, defaults) => readPicked(this.#source(value), picked, values, first, defaults),
    };
  }

  #source(value: Uint8Array): CellSource {
    if (value.length < headerBytes) throw corrupt();
    const id = (value[16]! << 8) | value[17]!;
    if (id !== this.id) {
      throw new VarveError(
        "CORRUPT",
        `Cannot read an online value of layout ${id}: the layout wanted is ${this.id}; load the view again`,
      );
    }
    // Values of one answer of a store lie in one buffer: its view is made once.
    if (value.buffer !== lastBuffer) {
      lastBuffer = value.buffer;
      lastView = new DataView(lastBuffer);
    }
    return { bytes: bufferOf(value), view: lastView, base: value.byteOffset };
  }
}

let lastBuffer: ArrayBufferLike = new ArrayBuffer(0);
let lastView: DataView = new DataView(lastBuffer);

const signBit = 1n << 63n;

/** Reads the header of a value. */
export function readHeader(value: Uint8Array): RowHeader {
  if (value.length < headerBytes) throw corrupt();
  const view = viewOf(value);
  return {
    eventTimestamp: BigInt.asIntN(64, view.getBigUint64(0) ^ signBit),
    sequence: view.getBigUint64(8),
    layout: view.getUint16(16),
  };
}

/** When the values of a row were true, as two words: few ask for it, and as one number it would be an allocation or two. */
export class EventTime {
  readonly #high: number;
  readonly #low: number;

  /** Of an encoded row. */
  constructor(value: Uint8Array) {
    if (value.length < headerBytes) throw corrupt();
    this.#high = ((value[0]! ^ 0x80) << 24) | (value[1]! << 16) | (value[2]! << 8) | value[3]!;
    this.#low = ((value[4]! << 24) | (value[5]! << 16) | (value[6]! << 8) | value[7]!) >>> 0;
  }

  get micros(): Micros {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  /** Whether it is later than an instant. */
  isAfter(instant: Micros): boolean {
    const number = this.#high * 4_294_967_296 + this.#low;
    const other = Number(instant);
    // Exact from 1684 to 2255.
    return Number.isSafeInteger(number) && Number.isSafeInteger(other) ? number > other : this.micros > instant;
  }
}

/** Whether the first value is newer than the second: greater (event time, sequence). */
export function isNewer(value: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(value.subarray(0, 16), other.subarray(0, 16)) > 0;
}
