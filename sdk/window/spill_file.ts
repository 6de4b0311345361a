/** Rows that did not fit into memory, in a file that is gone when it is closed. */
import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { deserialize, serialize } from "node:v8";
import { VarveError } from "../errors.ts";
import type { Arena } from "./arena.ts";
import { type Copied, copyStretch, widthOf } from "./columns.ts";

/** Rows that were written together: where each column begins, and how long it is. */
export interface Spilled {
  readonly count: number;
  readonly pieces: readonly { readonly at: number; readonly bytes: number }[];
}

const noNulls = new Uint8Array(0);

/** See the head of this file. */
export class SpillFile {
  readonly #path: string;
  readonly #descriptor: number;
  #end = 0;

  /** Makes the file. */
  constructor(path: string) {
    this.#path = path;
    this.#descriptor = this.#tried(() => openSync(path, "wx+", 0o600));
  }

  /** Appends the first `count` rows. */
  write({ ids, times, columns }: Arena, count: number): Spilled {
    const pieces = [
      this.#put(ids, count),
      this.#put(times, count),
      ...columns.flatMap(({ kind, values, nulls }) => [
        this.#put(values, count * widthOf(kind)),
        nulls ? this.#put(nulls, count) : this.#put(noNulls, 0),
      ]),
    ];
    return { count, pieces };
  }

  /** Reads rows to places `at` and following. */
  read({ count, pieces }: Spilled, into: Arena, at: number): void {
    this.#get(pieces[0]!, into.ids, at, count);
    this.#get(pieces[1]!, into.times, at, count);
    for (const [c, column] of into.columns.entries()) {
      const width = widthOf(column.kind);
      this.#get(pieces[2 + 2 * c]!, column.values, at * width, count * width);
      const nulls = pieces[3 + 2 * c]!;
      if (nulls.bytes > 0) this.#get(nulls, column.nulls ??= new Uint8Array(into.ids.length), at, count);
      else column.nulls?.fill(0, at, at + count);
    }
  }

  /** Removes the file. */
  close(): void {
    closeSync(this.#descriptor);
    rmSync(this.#path, { force: true });
  }

  #put(values: Copied, count: number): { at: number; bytes: number } {
    const used = Array.isArray(values) ? serialize(values.slice(0, count)) : values.subarray(0, count);
    const bytes = new Uint8Array(used.buffer, used.byteOffset, used.byteLength);
    const at = this.#end;
    for (let done = 0; done < bytes.length;) {
      done += this.#tried(() => writeSync(this.#descriptor, bytes, done, bytes.length - done, at + done));
    }
    this.#end += bytes.length;
    return { at, bytes: bytes.length };
  }

  #get(piece: { readonly at: number; readonly bytes: number }, into: Copied, at: number, count: number): void {
    if (Array.isArray(into)) {
      return copyStretch(
        into,
        at,
        deserialize(this.#read(piece.at, new Uint8Array(piece.bytes))) as unknown[],
        0,
        count,
      );
    }
    const width = into.BYTES_PER_ELEMENT;
    this.#read(piece.at, new Uint8Array(into.buffer, into.byteOffset + at * width, count * width));
  }

  #read(at: number, bytes: Uint8Array): Uint8Array {
    for (let done = 0; done < bytes.length;) {
      const size = this.#tried(() => readSync(this.#descriptor, bytes, done, bytes.length - done, at + done));
      if (size === 0) {
        throw new VarveError("CORRUPT", `Cannot read rows back from ${this.#path}: it has been cut short`);
      }
      done += size;
    }
    return bytes;
  }

  #tried(action: () => number): number {
    try {
      return action();
    } catch (error) {
      throw new VarveError(
        "EXHAUSTED",
        `Cannot keep rows in ${this.#path}, which memory has no room for: ${
          error instanceof Error ? error.message : String(error)
        }; free space there, or give the engine another temporary folder`,
        { cause: error },
      );
    }
  }
}
