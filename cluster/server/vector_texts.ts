/**
 * The JSON text of vectors that are asked for again and again. Writing the numbers of a vector costs a server more than anything else
 * that it does of its own. A text is found by all the bytes of the rows that it was made of: a row that changed is another row.
 */

import type { StoredRows } from "varve/serving";

interface Known {
  readonly kind: number;
  /** One row after the other. */
  readonly rows: Buffer;
  /** By view; -1 where there is no row. */
  readonly lengths: Int32Array;
  readonly text: string;
}

/** Of the two generations of texts that are kept, how many are in one. */
const perGeneration = 2_048;
/** Longer ones are written each time: so all of them take less than 16 MB. */
const maxBytes = 1_024;
const maxLength = 2_048;
/** A power of two. */
const doors = 1 << 14;

/** Texts by what they were made of. */
export class VectorTexts {
  #young = new Map<number, Known>();
  #old: ReadonlyMap<number, Known> = new Map();
  /** The hashes of what was asked for last: only what is asked for again is kept. */
  readonly #asked = new Int32Array(doors);
  #kinds = 0;

  /** A number for a way to write vectors; what it writes depends on the stored rows alone. */
  newKind(): number {
    return ++this.#kinds;
  }

  /** The text of rows: what `write` gives, or gave for the very same bytes. */
  of(kind: number, rows: StoredRows, write: () => string): string {
    const code = hash(kind, rows);
    const young = this.#young.get(code);
    const known = young ?? this.#old.get(code);
    if (known && known.kind === kind && isOf(known, rows)) {
      if (!young) this.#keep(code, known);
      return known.text;
    }
    const text = write();
    if (this.#asked[code & (doors - 1)] !== code) this.#asked[code & (doors - 1)] = code;
    else if (text.length <= maxLength) {
      const lengths = Int32Array.from(rows, (row) => row?.length ?? -1);
      const bytes = joined(rows);
      if (bytes.length <= maxBytes) this.#keep(code, { kind, rows: bytes, lengths, text });
    }
    return text;
  }

  /** What is not asked for while a generation fills is forgotten. */
  #keep(code: number, known: Known): void {
    if (this.#young.size >= perGeneration) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(code, known);
  }
}

/** In memory of its own: a piece of a pool would hold all of that. */
function joined(rows: StoredRows): Buffer {
  const there = rows.filter((row) => row !== undefined);
  const bytes = Buffer.allocUnsafeSlow(there.reduce((sum, row) => sum + row.length, 0));
  let at = 0;
  for (const row of there) {
    bytes.set(row, at);
    at += row.length;
  }
  return bytes;
}

function isOf({ rows: bytes, lengths }: Known, rows: StoredRows): boolean {
  if (rows.length !== lengths.length) return false;
  let start = 0;
  for (let v = 0; v < rows.length; v++) {
    const row = rows[v];
    if (lengths[v] !== (row ? row.length : -1)) return false;
    if (!row) continue;
    // Most have some hundred bytes: what it takes to call the library is as much.
    for (let i = 0; i < row.length; i++) if (row[i] !== bytes[start + i]) return false;
    start += row.length;
  }
  return true;
}

/** Says under which number a text may be, as a small integer; whether it is there, the bytes say. Four of them at a time. */
function hash(kind: number, rows: StoredRows): number {
  let code = kind;
  for (let v = 0; v < rows.length; v++) {
    code = Math.imul(code ^ v, 0x01000193);
    const row = rows[v];
    if (!row) continue;
    const whole = row.length & ~3;
    for (let i = 0; i < whole; i += 4) {
      const word = row[i]! | (row[i + 1]! << 8) | (row[i + 2]! << 16) | (row[i + 3]! << 24);
      code = Math.imul(code ^ word, 0x01000193);
      code ^= code >>> 15;
    }
    for (let i = whole; i < row.length; i++) code = Math.imul(code ^ row[i]!, 0x01000193);
  }
  return (code ^ (code >>> 13)) & 0x3fff_ffff;
}
