/**
 * How a CSV file is written, and its columns. Found here rather than by the engine's sniffer, which explains away rows that
 * do not fit; so that a bad row is always an error with its line.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { constants, gunzipSync } from "node:zlib";
import { VarveError } from "../errors.ts";
import type { FileSource } from "../frame/query.ts";
import { damagedGzip } from "./gzip.ts";

/** What reads a CSV file without guessing. */
export interface CsvDialect {
  readonly delimiter: string;
  readonly quote: string;
  readonly header: boolean;
  /** Names in the order of the file. */
  readonly columns: readonly string[];
}

const headBytes = 1024 * 1024;

/** The dialect of files, which must have the same columns; options say what need not be found. */
export function csvDialect(source: FileSource, files: readonly string[]): CsvDialect {
  const [first, ...rest] = files.map((file) => dialectOf(source, file));
  for (const [i, other] of rest.entries()) {
    if (other.columns.join("\0") === first!.columns.join("\0")) continue;
    throw new VarveError(
      "SCHEMA_MISMATCH",
      `Cannot read "${files[i + 1]}": its columns are ${other.columns.join(", ")}; those of "${files[0]}" are ${
        first!.columns.join(", ")
      }`,
    );
  }
  return first!;
}

function dialectOf(source: FileSource, file: string): CsvDialect {
  const options = source.options ?? {};
  const text = headOf(file).replace(/^\uFEFF/, "");
  const lines = text.split(/(?<=\n)/);
  const start = lines.slice(Number(options["skip"] ?? 0)).join("");
  const quote = String(options["quote"] ?? '"');
  const delimiter = options["delim"] === undefined ? guessDelimiter(start, quote) : String(options["delim"]);
  const cells = firstRecord(start, delimiter, quote);
  const header = options["header"] !== false;
  const columns = header ? uniqueNames(cells) : cells.map((_, i) => `column${i}`);
  return { delimiter, quote, header, columns };
}

function headOf(file: string): string {
  const handle = openSync(file, "r");
  try {
    const bytes = new Uint8Array(headBytes);
    const head = bytes.subarray(0, readSync(handle, bytes, 0, headBytes, 0));
    const zipped = head[0] === 0x1f && head[1] === 0x8b;
    return Buffer.from(zipped ? unpackedHead(head, file) : head).toString("utf8");
  } finally {
    closeSync(handle);
  }
}

function unpackedHead(head: Uint8Array, file: string): Uint8Array {
  try {
    return gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch (error) {
    throw damagedGzip(file, error);
  }
}

/** Of the usual delimiters the one that splits the first record most often. */
function guessDelimiter(text: string, quote: string): string {
  const counts = [",", ";", "\t", "|"].map((delimiter) => ({
    delimiter,
    count: firstRecord(text, delimiter, quote).length,
  }));
  return counts.reduce((best, next) => next.count > best.count ? next : best).delimiter;
}

function firstRecord(text: string, delimiter: string, quote: string): string[] {
  const cells: string[] = [];
  let cell = "";
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (quoted) {
      if (character !== quote) cell += character;
      else if (text[i + 1] === quote) cell += text[++i];
      else quoted = false;
    } else if (character === quote && cell === "") quoted = true;
    else if (text.startsWith(delimiter, i)) {
      cells.push(cell);
      cell = "";
      i += delimiter.length - 1;
    } else if (character === "\n" || character === "\r") break;
    else cell += character;
  }
  cells.push(cell);
  return cells;
}

/** Names that an empty or repeated heading gets are those that the engine would give. */
function uniqueNames(cells: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return cells.map((cell, i) => {
    const name = cell.trim() === "" ? `column${i}` : cell.trim();
    const count = seen.get(name.toLowerCase()) ?? 0;
    seen.set(name.toLowerCase(), count + 1);
    return count === 0 ? name : `${name}_${count}`;
  });
}
