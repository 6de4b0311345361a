/**
 * Reads what Redis answers to MGET out of the bytes of a connection, however they are cut: lists of texts and nulls, and errors.
 * Values are parts of the chunk they came in: nothing is copied but what is cut in two.
 */

/** The values of one command, undefined where there is none. */
export type Values = readonly (Buffer | undefined)[];

/** The answer to one command; or the error that Redis answered instead. */
export type Reply = Values | Error;

/** The largest text that Redis holds. */
const maxTextBytes = 512 * 1024 * 1024;

/** The longest line there is: an error with the text of a script in it. */
const maxLineBytes = 64 * 1024;

const [cr, lf, minus, zero, nine, dollar, star] = [13, 10, 45, 48, 57, 36, 42] as const;

/** Takes chunks, gives replies. What is no such reply is thrown as an error: nothing that follows could be trusted. */
export class ReplyReader {
  readonly #onReply: (reply: Reply) => void;
  /** The begin of a line, or of the end behind a text, whose rest has not come. */
  #rest: Buffer | undefined;
  #values: (Buffer | undefined)[] | undefined;
  #missing = 0;
  /** A text with its end, of which so many bytes have come. */
  #text: Buffer | undefined;
  #filled = 0;

  constructor(onReply: (reply: Reply) => void) {
    this.#onReply = onReply;
  }

  /** The next bytes; they must not be changed while values are in use. */
  read(chunk: Buffer): void {
    let at = this.#text ? this.#fill(this.#text, chunk) : 0;
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = undefined;
    while (at < bytes.length) {
      const next = this.#line(bytes, at);
      if (next < 0) {
        if (bytes.length - at > maxLineBytes) throw unexpected(bytes, at);
        this.#rest = bytes.subarray(at);
        return;
      }
      at = next;
    }
  }

  /** Reads a line, and the text that it announces as far as it is there. Gives the place behind them; -1: the line is not whole. */
  #line(bytes: Buffer, at: number): number {
    const kind = bytes[at]!;
    if (kind === minus && !this.#values) return this.#error(bytes, at);
    if (kind !== (this.#values ? dollar : star)) throw unexpected(bytes, at);
    let digits = at + 1;
    const isNull = this.#values !== undefined && bytes[digits] === minus;
    if (isNull) digits++;
    let end = digits;
    let number = 0;
    for (; end < bytes.length; end++) {
      const code = bytes[end]!;
      if (code < zero || code > nine) break;
      number = number * 10 + code - zero;
      if (number > maxTextBytes) throw unexpected(bytes, at);
    }
    if (end + 1 >= bytes.length) {
      if (end < bytes.length && (end === digits || bytes[end] !== cr)) throw unexpected(bytes, at);
      return -1;
    }
    if (end === digits || bytes[end] !== cr || bytes[end + 1] !== lf) throw unexpected(bytes, at);
    const next = end + 2;
    if (!this.#values) {
      this.#values = [];
      this.#missing = number;
      if (number === 0) this.#give();
      return next;
    }
    if (isNull) {
      if (number !== 1) throw unexpected(bytes, at);
      this.#value(undefined);
      return next;
    }
    if (next + number + 2 > bytes.length) {
      this.#text = Buffer.allocUnsafe(number + 2);
      this.#filled = 0;
      this.#fill(this.#text, bytes.subarray(next));
      return bytes.length;
    }
    const textEnd = next + number;
    if (bytes[textEnd] !== cr || bytes[textEnd + 1] !== lf) throw unexpected(bytes, textEnd);
    this.#value(bytes.subarray(next, textEnd));
    return textEnd + 2;
  }

  #error(bytes: Buffer, at: number): number {
    const end = bytes.indexOf("\r\n", at, "latin1");
    if (end < 0) return -1;
    this.#onReply(new Error(bytes.toString("utf8", at + 1, end)));
    return end + 2;
  }

  /** Puts what has come into a text; gives how many bytes were of it. */
  #fill(text: Buffer, bytes: Buffer): number {
    const count = bytes.copy(text, this.#filled);
    this.#filled += count;
    if (this.#filled < text.length) return count;
    this.#text = undefined;
    const end = text.length - 2;
    if (text[end] !== cr || text[end + 1] !== lf) throw unexpected(text, end);
    this.#value(text.subarray(0, end));
    return count;
  }

  #value(value: Buffer | undefined): void {
    this.#values!.push(value);
    if (--this.#missing === 0) this.#give();
  }

  #give(): void {
    const values = this.#values!;
    this.#values = undefined;
    this.#onReply(values);
  }
}

function unexpected(bytes: Buffer, at: number): Error {
  const shown = JSON.stringify(bytes.toString("latin1", at, at + 40));
  return new Error(`it answers what Redis does not: ${shown}`);
}
