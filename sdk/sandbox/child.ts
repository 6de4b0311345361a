/** One sandboxed process that runs one function: starts it, sends batches, believes nothing that it answers. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { setImmediate, setTimeout } from "node:timers";
import { messageOf, VarveError } from "../errors.ts";
import { frameHead, frameKinds, type HostProblem, type HostStart } from "./child_host.ts";
import { type Frame, FrameReader } from "./frame_reader.ts";
import type { CommandLine } from "./launch.ts";

/** A batch on its way. */
export interface Call {
  /** Rows in it. */
  readonly rows: number;
  /** Whether nobody waits for it any more. */
  readonly done: boolean;
  /** Times that it was sent. */
  sends: number;
  /** Room for the head of a frame, then the rows. */
  readonly frame: Uint8Array<ArrayBuffer>;
  /** Takes the answers to its first rows, at least one: their count and bytes. May throw when they are none. */
  readonly answer: (rows: number, body: Uint8Array<ArrayBuffer>) => void;
  /** Takes what the function did wrong. */
  readonly problem: (problem: HostProblem) => void;
  /** Takes the reason why there is no answer. */
  readonly fail: (error: VarveError) => void;
  /** Told that it takes long, and that what waits behind it goes elsewhere. */
  readonly late?: (() => void) | undefined;
}

/** What a child needs to start. */
export interface ChildOptions {
  /** What to start. */
  readonly command: CommandLine;
  /** An empty folder. */
  readonly folder: string;
  /** Where Deno may keep its things. */
  readonly denoFolder: string;
  /** The function. */
  readonly start: HostStart;
  /** In messages. */
  readonly name: string;
  /** Wall time of a row, in ms. */
  readonly timeoutMs: number;
  /** Wall time without a reply after which a batch is late, in ms. */
  readonly lateMs: number;
  /** Memory of the function in MB: for messages. */
  readonly memoryMb: number;
  /** Wall time of a start, in ms. */
  readonly startTimeoutMs: number;
  /** Told when a batch was answered, and when the child is ready. */
  readonly onProgress: (child: Child) => void;
  /** Told when a batch is late. */
  readonly onLate: (child: Child) => void;
  /** Told once when it is gone, with the batches that nobody worked on. */
  readonly onEnd: (child: Child, unanswered: readonly Call[], error: VarveError | undefined) => void;
}

const maxErrorText = 4_000;

/** A process. */
export class Child {
  readonly #options: ChildOptions;
  readonly #process: ChildProcess;
  readonly #reader: FrameReader;
  readonly #calls: Call[] = [];
  readonly #firstSequence = randomInt(2 ** 31);
  #started = false;
  #sent = 0;
  #answered = 0;
  #state: "starting" | "ready" | "retiring" | "ended" = "starting";
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lateTimer: ReturnType<typeof setTimeout> | undefined;
  /** Whether it ends with the batch that it is at. */
  #isLast = false;
  #busySince = 0;
  #busyMs = 0;
  #errorText = "";
  #why: VarveError | undefined;
  /** Settles when the process is gone. */
  readonly gone: Promise<void>;

  /** Starts the process. */
  constructor(options: ChildOptions) {
    this.#options = options;
    // No value takes more than eight times what it weighs.
    this.#reader = new FrameReader(8 * (options.start.batchBytes + options.start.maxAnswerBytes));
    this.#process = spawn(options.command.file, options.command.args, {
      cwd: options.folder,
      // The time zone is the same everywhere; the rest keeps Deno quiet and in its folder.
      env: {
        TZ: "UTC",
        DENO_DIR: options.denoFolder,
        NO_COLOR: "1",
        DENO_NO_UPDATE_CHECK: "1",
        DENO_NO_PACKAGE_JSON: "1",
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const { stdin, stdout, stderr } = this.#process;
    this.gone = new Promise((resolve) => {
      const end = (why: string) => {
        resolve();
        this.#ended(why);
      };
      this.#process.once("error", (error) => end(`did not start: ${messageOf(error)}`));
      this.#process.once(
        "close",
        (code, signal) => end(signal === null ? `ended with code ${code}` : `ended by ${signal}`),
      );
    });
    stdin!.on("error", () => {/* It is gone: "close" follows. */});
    stdout!.on("data", (bytes: Uint8Array) => this.#read(bytes));
    stdout!.on("error", () => {/* The same. */});
    stderr!.on("data", (bytes: Uint8Array) => {
      if (this.#errorText.length < maxErrorText) {
        this.#errorText += new TextDecoder().decode(bytes).slice(0, maxErrorText);
      }
    });
    stderr!.on("error", () => {/* The same. */});
    const text = new TextEncoder().encode(JSON.stringify(options.start));
    const frame = new Uint8Array(frameHead + text.length);
    frame.set(text, frameHead);
    this.#write(frame, frameKinds.start, 0);
    this.#arm(options.startTimeoutMs);
  }

  /** Batches sent and not answered. */
  get pending(): number {
    return this.#calls.length;
  }

  /** Batches answered. */
  get answered(): number {
    return this.#answered;
  }

  /** Wall time that it worked, in ms. */
  get busyMs(): number {
    return this.#busyMs;
  }

  /** Whether it takes batches: at once, or as soon as it has started. */
  get open(): boolean {
    return this.#state === "starting" || this.#state === "ready";
  }

  /** Whether it ever became ready. */
  get started(): boolean {
    return this.#started;
  }

  /** Whether it is ready for batches. */
  get ready(): boolean {
    return this.#state === "ready";
  }

  /** Sends a batch. Answers come in order. */
  send(call: Call): void {
    this.#calls.push(call);
    this.#write(call.frame, frameKinds.batch, call.rows);
    if (this.#calls.length === 1 && this.#state !== "starting") this.#begin();
    this.#hold(true);
  }

  /** Takes no more batches; ends when the last is answered. */
  retire(): void {
    if (this.#state === "starting") return this.kill(this.#error("UNAVAILABLE", "was ended before it had started"));
    if (this.#state === "ended") return;
    this.#state = "retiring";
    if (this.#calls.length === 0) this.#process.stdin!.end();
  }

  /** Takes no more batches, and ends when the one that it is at is answered. Gives that one, and then those that it has not begun. */
  abandon(): Call[] {
    this.#state = "retiring";
    this.#isLast = true;
    return [this.#calls[0]!, ...this.#calls.splice(1)];
  }

  /** Ends it now. */
  kill(why: VarveError): void {
    if (this.#state === "ended") return;
    this.#why ??= why;
    // Whoever waits for its end must not be left by an event loop with nothing else to do.
    this.#hold(true);
    this.#process.kill("SIGKILL");
  }

  #write(frame: Uint8Array<ArrayBuffer>, kind: number, rows: number): void {
    const numbers = new Uint32Array(frame.buffer, 0, 4);
    numbers[0] = frame.length - frameHead;
    numbers[1] = (this.#firstSequence + this.#sent) >>> 0;
    numbers[2] = kind;
    numbers[3] = rows;
    this.#sent += 1;
    this.#process.stdin!.write(frame);
  }

  #read(bytes: Uint8Array): void {
    if (this.#state === "ended" || this.#why !== undefined) return;
    try {
      for (const frame of this.#reader.push(bytes)) this.#take(frame);
    } catch (error) {
      this.kill(this.#error("UNAVAILABLE", `gave an answer that cannot be true (${messageOf(error)}) and was ended`));
    }
  }

  #take(frame: Frame): void {
    const starting = this.#state === "starting";
    const expected = this.#firstSequence + this.#answered + (starting ? 0 : 1);
    if (frame.sequence !== expected >>> 0) throw new RangeError("it is out of sequence");
    if (starting) {
      if (frame.kind === frameKinds.problem) {
        return this.kill(this.#error("FUNCTION_FAILED", `does not compile: ${readProblem(frame.body).message}`));
      }
      if (frame.kind !== frameKinds.ready) throw new RangeError("it did not start");
      this.#state = "ready";
      this.#started = true;
      this.#disarm();
      if (this.#calls.length > 0) this.#begin();
      else this.#hold(false);
      return this.#options.onProgress(this);
    }
    const call = this.#calls[0];
    if (call === undefined) throw new RangeError("nobody asked");
    if (frame.kind === frameKinds.problem) call.problem(readProblem(frame.body));
    else if (frame.kind !== frameKinds.rows) throw new RangeError("it is neither rows nor a problem");
    else if (frame.rows < 1 || frame.rows > call.rows) {
      throw new RangeError(`it has ${frame.rows} rows, not 1 to ${call.rows}`);
    } else call.answer(frame.rows, frame.body);
    this.#calls.shift();
    this.#answered += 1;
    this.#disarm();
    this.#busyMs += performance.now() - this.#busySince;
    // It would go on with what was sent to it and is done elsewhere.
    if (this.#isLast) return this.kill(this.#error("UNAVAILABLE", "was replaced"));
    if (this.#calls.length > 0) this.#begin();
    else {
      this.#hold(false);
      if (this.#state === "retiring") this.#process.stdin!.end();
    }
    this.#options.onProgress(this);
  }

  /** The first batch in line is being worked on. */
  #begin(): void {
    this.#busySince = performance.now();
    const { timeoutMs, lateMs, start } = this.#options;
    // A row may begin as late as a reply is full.
    this.#arm(timeoutMs, start.replyAfterMs);
    if (Number.isFinite(lateMs)) this.#lateTimer = setTimeout(() => this.#lookLate(), lateMs);
  }

  /** Where this process itself was late, the reply may be there and unread. */
  #lookLate(): void {
    const call = this.#calls[0];
    setImmediate(() => {
      if (this.#state === "ready" && this.#why === undefined && call !== undefined && this.#calls[0] === call) {
        this.#options.onLate(this);
      }
    });
  }

  #arm(ms: number, grace = 0): void {
    this.#disarm();
    const starting = this.#state === "starting";
    this.#timer = setTimeout(() => {
      this.kill(
        starting ? this.#error("UNAVAILABLE", `did not start within ${ms} ms`) : this.#error(
          "TIMEOUT",
          `took longer than ${ms} ms for a row and was ended; functions.timeoutMs of connect, or VARVE_FUNCTION_TIMEOUT_MS, sets the limit, on a server at most half of what a request may take`,
        ),
      );
    }, ms + grace);
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#lateTimer);
    this.#timer = undefined;
  }

  /** A child that waits does not keep the process alive; one that works does. */
  #hold(working: boolean): void {
    const parts: unknown[] = [this.#process, this.#process.stdin, this.#process.stdout, this.#process.stderr];
    for (const part of parts) {
      const handle = part as { ref?: () => void; unref?: () => void };
      if (working) handle.ref?.();
      else handle.unref?.();
    }
  }

  #ended(why: string): void {
    if (this.#state === "ended") return;
    const starting = this.#state === "starting";
    const retired = this.#state === "retiring";
    this.#state = "ended";
    this.#disarm();
    const outOfMemory = /out of memory|heap limit|allocation failed|memory allocation of/i.test(this.#errorText);
    const error = this.#why ??
      (outOfMemory
        ? this.#error(
          "EXHAUSTED",
          `needed more memory than its limit of ${this.#options.memoryMb} MB and was ended; functions.memoryMb of connect, or VARVE_FUNCTION_MEMORY_MB, sets the limit`,
        )
        : this.#error("UNAVAILABLE", `lost its process, which ${why}${this.#said()}`));
    // The first in line was being worked on: it is its fault. The rest never began.
    const [first, ...rest] = this.#calls.splice(0);
    if (starting) {
      const waiting = first === undefined ? [] : [first, ...rest];
      for (const call of waiting) call.fail(error);
      return this.#options.onEnd(this, [], error);
    }
    first?.fail(error);
    this.#options.onEnd(this, rest, retired ? undefined : error);
  }

  #said(): string {
    const text = plain(this.#errorText).trim().slice(0, 300);
    return text === "" ? "" : ` (it said: ${text})`;
  }

  #error(code: "UNAVAILABLE" | "TIMEOUT" | "EXHAUSTED" | "FUNCTION_FAILED", what: string): VarveError {
    return new VarveError(code, `Cannot run ${this.#options.name}: it ${what}`, {
      details: { function: this.#options.name },
    });
  }
}

/** Text of a child without what could confuse a terminal or a log. */
export function plain(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/g, " ");
}

function readProblem(body: Uint8Array): HostProblem {
  const value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)) as Partial<HostProblem> | null;
  const { kind, row, field, message, console: written } = value ?? {};
  if (
    (kind !== "thrown" && kind !== "value" && kind !== "compile" && kind !== "misread") || !Number.isSafeInteger(row) ||
    typeof field !== "string" || typeof message !== "string" || typeof written !== "string"
  ) throw new RangeError("it is no problem");
  return {
    kind,
    row: Number(row),
    field: plain(field).slice(0, 300),
    message: plain(message).slice(0, 1_000),
    console: plain(written).slice(0, 2_000),
  };
}
