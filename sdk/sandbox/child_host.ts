/**
 * What runs inside the sandbox: a trusted host that receives a function as data, takes away everything that the
 * function has no business with, and then answers batches. It is a single function because its own text is what the
 * child process is started with: no file, no module, nothing to import.
 */
import type { Row, Schema } from "../schema.ts";
import type { makeCodec, WrongValue } from "./codec.ts";
import type { makeEnclosure } from "./enclosure.ts";
import type { makeWatch } from "./watch_rows.ts";
import type { weigh } from "./weigh.ts";

/** What the parent sends first, as JSON. */
export interface HostStart {
  /** The function: an expression. */
  readonly source: string;
  /** What it is given. */
  readonly input: Schema;
  /** What it gives. */
  readonly output: Schema;
  /** Bytes of answers, about, after which a reply is full: the parent sends the rows that are left again. */
  readonly batchBytes: number;
  /** Wall time in ms after which a reply is full in the same way. */
  readonly replyAfterMs: number;
  /** Bytes of the largest answer to one row, about. */
  readonly maxAnswerBytes: number;
  /** Whether asking a row for a field that rows do not have is a problem: without, such a field is undefined. */
  readonly isStrict: boolean;
}

/** Why a batch has no answer, as JSON. */
export interface HostProblem {
  /**
   * `thrown` by the function; `value`: it gave something that is not of its output schema; `misread`: it asked its row for a field
   * that there is not.
   */
  readonly kind: "thrown" | "value" | "compile" | "misread";
  /** The row of the batch, counted from 0. */
  readonly row: number;
  /** The path of the wrong value, or of the field that there is not. */
  readonly field: string;
  /** What happened. */
  readonly message: string;
  /** What the function wrote to the console during the batch, cut. */
  readonly console: string;
}

interface HostDeno {
  readonly stdin: { readSync(into: Uint8Array): number | null };
  readonly stdout: { writeSync(bytes: Uint8Array): number };
  readonly stderr: { writeSync(bytes: Uint8Array): number };
  exit(code: number): never;
}

/** Kinds of frames; a frame is four numbers of 32 bits (length, sequence, kind, rows) and a body. */
export const frameKinds = { start: 1, batch: 2, ready: 3, rows: 4, problem: 5 } as const;

/** Bytes before the body of a frame. */
export const frameHead = 16;

/** The host, with the makers of its parts. `allowed` are the globals that the function may use. */
export function sandboxHost(
  codecFactory: typeof makeCodec,
  weighValue: typeof weigh,
  watchFactory: typeof makeWatch,
  enclosureFactory: typeof makeEnclosure,
  allowed: readonly string[],
): void {
  const kinds = { start: 1, batch: 2, ready: 3, rows: 4, problem: 5 };
  const head = 16;
  const maxConsole = 2_000;
  const world = globalThis as unknown as Record<PropertyKey, unknown>;
  const deno = world["Deno"] as HostDeno;
  const stdin = deno.stdin;
  const { stdout, stderr } = deno;
  const exit = deno.exit.bind(deno);
  const RealDate = Date;
  const compile = Function;
  const now = performance.now.bind(performance);
  const texts = new TextEncoder();
  const utf8 = new TextDecoder();
  const { parse, stringify } = JSON;
  const toText = String;

  function read(size: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size;) {
      // Waits without giving way: nothing but the host ever runs between batches. The end of input is the parent's end.
      const count = stdin.readSync(at === 0 ? bytes : bytes.subarray(at));
      if (count === null) exit(0);
      else at += count;
    }
    return bytes;
  }

  function send(sequence: number, kind: number, rows: number, frame: Uint8Array<ArrayBuffer>): void {
    const numbers = new Uint32Array(frame.buffer, frame.byteOffset, 4);
    numbers[0] = frame.length - head;
    numbers[1] = sequence;
    numbers[2] = kind;
    numbers[3] = rows;
    for (let at = 0; at < frame.length;) at += stdout.writeSync(at === 0 ? frame : frame.subarray(at));
  }

  function sendProblem(sequence: number, problem: HostProblem): void {
    const text = texts.encode(stringify(problem));
    const frame = new Uint8Array(head + text.length);
    frame.set(text, head);
    send(sequence, kinds.problem, 0, frame);
  }

  function describe(error: unknown): string {
    try {
      if (typeof error === "object" && error !== null && "message" in error) {
        const { name, message } = error as Error;
        const kind = name === "Error" || name === undefined ? "" : `${toText(name)}: `;
        return `${kind}${toText(message)}`.slice(0, 1_000);
      }
      return toText(error).slice(0, 1_000);
    } catch {
      return "something that cannot be shown";
    }
  }

  // The same face as the SDK's own Timestamp.
  class Timestamp {
    readonly micros: bigint;
    constructor(micros: bigint) {
      if (micros < -62_135_596_800_000_000n || micros > 253_402_300_799_999_999n) {
        throw new RangeError(`Cannot make a timestamp of ${micros} microseconds: years run from 0001 to 9999`);
      }
      this.micros = micros;
      Object.freeze(this);
    }
    toDate(): Date {
      const ms = this.micros / 1000n;
      return new RealDate(Number(ms * 1000n > this.micros ? ms - 1n : ms));
    }
    toString(): string {
      const rest = ((this.micros % 1000n) + 1000n) % 1000n;
      const iso = this.toDate().toISOString();
      if (rest !== 0n) return `${iso.slice(0, -1)}${toText(rest).padStart(3, "0")}Z`;
      return iso.endsWith(".000Z") ? `${iso.slice(0, -5)}Z` : iso;
    }
    toJSON(): string {
      return this.toString();
    }
    valueOf(): bigint {
      return this.micros;
    }
  }

  function microsOf(value: unknown): bigint | undefined {
    let micros: unknown = value;
    if (value instanceof Timestamp) micros = value.micros;
    else if (value instanceof RealDate) {
      const ms = value.getTime();
      micros = ms === ms ? BigInt(ms) * 1000n : undefined;
    }
    if (typeof micros !== "bigint") return undefined;
    return micros >= -62_135_596_800_000_000n && micros <= 253_402_300_799_999_999n ? micros : undefined;
  }

  const enclosure = enclosureFactory(allowed);
  const codec = codecFactory({ timestampOf: (micros) => new Timestamp(micros), microsOf });

  let written = "";
  function log(...values: unknown[]): void {
    for (const value of values) {
      if (written.length >= maxConsole) return;
      let text: string;
      try {
        text = typeof value === "object" && value !== null ? stringify(value) ?? toText(value) : toText(value);
      } catch {
        text = "(cannot be shown)";
      }
      written = `${written}${text.slice(0, maxConsole)} `;
    }
    written = `${written.slice(0, maxConsole)}\n`;
  }

  function start(): void {
    const first = new Uint32Array(read(head).buffer);
    const begin = parse(utf8.decode(read(first[0]!))) as HostStart;
    const watch = begin.isStrict ? watchFactory() : undefined;
    world["console"] = { log, info: log, warn: log, error: log, debug: log };
    enclosure.close();
    let call: (row: Row) => unknown;
    try {
      // A compiler's helper that keeps names may stand in the text.
      call = compile("__name", `"use strict"; return (${begin.source}\n);`)((named: unknown) => named) as (
        row: Row,
      ) => unknown;
      enclosure.seal([Timestamp, log]);
      if (typeof call !== "function") throw new TypeError("it is not a function");
      Object.freeze(call);
      if (call.prototype !== undefined) Object.freeze(call.prototype);
    } catch (error) {
      sendProblem(first[1]!, { kind: "compile", row: 0, field: "", message: describe(error), console: written });
      return;
    }
    send(first[1]!, kinds.ready, 0, new Uint8Array(head));
    for (;;) serve(call, begin, watch);
  }

  /** What a batch holds. Without room for it nothing more can be read: the host ends, and says why. */
  function readRows(schema: Schema, count: number, size: number): Row[] {
    try {
      return codec.decode(schema, count, read(size));
    } catch (error) {
      stderr.writeSync(texts.encode(describe(error)));
      return exit(1);
    }
  }

  /** The bytes of an answer, about, and its largest field. */
  function weighAnswer(schema: Schema, answer: Row): { readonly bytes: number; readonly field: string } {
    let bytes = 0;
    let most = 0;
    let field = "";
    for (const { name, type } of schema) {
      const weight = weighValue(type, answer[name]);
      bytes += weight;
      if (weight <= most) continue;
      most = weight;
      field = name;
    }
    return { bytes, field };
  }

  function serve(
    call: (row: Row) => unknown,
    { input, output, batchBytes, replyAfterMs, maxAnswerBytes }: HostStart,
    watch: ReturnType<typeof makeWatch> | undefined,
  ): void {
    const numbers = new Uint32Array(read(head).buffer);
    const sequence = numbers[1]!;
    const rows = readRows(input, numbers[3]!, numbers[0]!);
    const answers: Row[] = new Array(rows.length);
    written = "";
    const until = now() + replyAfterMs;
    let at = 0;
    let total = 0;
    try {
      for (; at < rows.length && total < batchBytes && (at === 0 || now() < until); at += 1) {
        const row = watch ? watch.begin(input, rows[at]!) : rows[at]!;
        const answer = call(row);
        const misread = watch?.end();
        if (misread !== undefined) {
          sendProblem(sequence, { kind: "misread", row: at, ...misread, console: written });
          return;
        }
        if (typeof answer !== "object" || answer === null || Array.isArray(answer)) {
          const problem: WrongValue = {
            row: at,
            field: "",
            problem: answer === null || answer === undefined
              ? `is ${toText(answer)}, not an object of fields`
              : `is ${Array.isArray(answer) ? "an array" : `a ${typeof answer}`}, not an object of fields`,
          };
          sendProblem(sequence, { kind: "value", row: at, field: "", message: problem.problem, console: written });
          return;
        }
        const { bytes, field } = weighAnswer(output, answer as Row);
        if (bytes > maxAnswerBytes) {
          const message = `is too large: the answer is ${bytes} bytes, and the limit of an answer is ${maxAnswerBytes}`;
          sendProblem(sequence, { kind: "value", row: at, field, message, console: written });
          return;
        }
        total += bytes;
        answers[at] = answer as Row;
      }
    } catch (error) {
      const misread = watch?.end();
      const problem = misread === undefined
        ? { kind: "thrown" as const, field: "", message: describe(error) }
        : { kind: "misread" as const, ...misread };
      sendProblem(sequence, { ...problem, row: at, console: written });
      return;
    }
    try {
      answers.length = at;
      send(sequence, kinds.rows, at, codec.encode(output, answers, head));
    } catch (error) {
      const wrong = error as Partial<WrongValue> | null;
      if (typeof wrong?.problem === "string" && typeof wrong.row === "number" && typeof wrong.field === "string") {
        const { row, field, problem } = wrong;
        sendProblem(sequence, { kind: "value", row, field, message: problem, console: written });
        return;
      }
      // A getter of an answer may throw.
      sendProblem(sequence, { kind: "thrown", row: 0, field: "", message: describe(error), console: written });
    }
  }

  start();
}
