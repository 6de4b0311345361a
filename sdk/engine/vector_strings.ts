/**
 * Strings of DuckDB's vectors. Short ones lie in their headers; the library fetches a longer one by a call of about half a
 * microsecond, so neighbours in memory are fetched together.
 */
import type { RawVector, ReadSpan } from "./client.ts";

/**
 * Memory is mapped in pages of this size or larger. Between two strings that are less than a page apart there is no page that
 * neither touches, so that everything between them can be read.
 */
const pageBytes = 4096;

/** No more than this is copied at once. */
const maxSpanBytes = 1024 * 1024;

/** Strings whose memory is read at once. */
interface Span {
  start: number;
  end: number;
  readonly rows: number[];
}

/** The strings of a vector; null where `validity` says so. */
export function stringValues(raw: RawVector, validity: Uint8Array | undefined, readSpan: ReadSpan): unknown[] {
  const view = raw.dataView!;
  const words = new Uint32Array(view.buffer, view.byteOffset, raw.itemCount * 4);
  const bytes = Buffer.from(view.buffer, view.byteOffset, raw.itemCount * 16);
  const values = new Array<unknown>(raw.itemCount);
  let span: Span | undefined;
  for (let row = 0; row < raw.itemCount; row++) {
    if (validity && (validity[row >> 3]! & (1 << (row & 7))) === 0) {
      values[row] = null;
      continue;
    }
    const length = words[row * 4]!;
    if (length <= 12) {
      values[row] = bytes.toString("utf8", row * 16 + 4, row * 16 + 4 + length);
      continue;
    }
    const address = addressOf(words, row);
    if (span && joins(span, address, length)) {
      span.start = Math.min(span.start, address);
      span.end = Math.max(span.end, address + length);
      span.rows.push(row);
    } else {
      if (span) decode(span, words, values, readSpan);
      span = { start: address, end: address + length, rows: [row] };
    }
  }
  if (span) decode(span, words, values, readSpan);
  return values;
}

/** Addresses have 48 bits (57 on the largest machines at most 53 of which are used by a process): exact as a number. */
function addressOf(words: Uint32Array, row: number): number {
  return words[row * 4 + 3]! * 4_294_967_296 + words[row * 4 + 2]!;
}

function joins(span: Span, address: number, length: number): boolean {
  return address - span.end < pageBytes && span.start - (address + length) < pageBytes &&
    Math.max(span.end, address + length) - Math.min(span.start, address) <= maxSpanBytes;
}

function decode(span: Span, words: Uint32Array, values: unknown[], readSpan: ReadSpan): void {
  const header = new DataView(new ArrayBuffer(16));
  header.setUint32(0, span.end - span.start, true);
  header.setBigUint64(8, BigInt(span.start), true);
  const copied = readSpan(header);
  const bytes = Buffer.from(copied.buffer, copied.byteOffset, copied.byteLength);
  for (const row of span.rows) {
    const start = addressOf(words, row) - span.start;
    values[row] = bytes.toString("utf8", start, start + words[row * 4]!);
  }
}
