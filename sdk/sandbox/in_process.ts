/** Runs functions in this process: no sandbox at all. */
import type { Row } from "../schema.ts";
import type { Codec } from "./codec.ts";
import { encodeInput, parentCodec, wrongValue } from "./parent_codec.ts";
import { checkFunction, type PublishedFunction } from "./published_function.ts";
import { cancelled, describeThrown, problemError } from "./run_errors.ts";
import type { FunctionRuns, RunOptions } from "./runner_options.ts";

/**
 * Runs functions in this process, with all its rights: for an author's own functions on their own computer, and where
 * it was asked for in so many words. Values are checked as in the sandbox; nothing limits time or memory.
 */
export class InProcessRunner implements FunctionRuns {
  readonly #codec: Codec = parentCodec();
  readonly #compiled = new Map<string, (row: Row) => unknown>();

  /** The answers to rows, in their order. Fails as a whole with the first row that has none. */
  // deno-lint-ignore require-await
  async run(fn: PublishedFunction, rows: readonly Row[], options: RunOptions = {}): Promise<Row[]> {
    if (options.signal?.aborted) throw cancelled(fn, options.signal);
    const call = this.#compile(fn);
    const input = this.#codec.decode(fn.input, rows.length, encodeInput(this.#codec, fn, rows, 0, 0));
    const answers = input.map((row, at) => {
      let answer: unknown;
      try {
        answer = call(row);
      } catch (error) {
        throw problemError(
          fn,
          { kind: "thrown", row: at, field: "", message: describeThrown(error), console: "" },
          0,
          rows.length,
        );
      }
      if (typeof answer === "object" && answer !== null && !Array.isArray(answer)) return answer as Row;
      const was = Array.isArray(answer)
        ? "an array"
        : answer === null || answer === undefined
        ? String(answer)
        : `a ${typeof answer}`;
      const message = `is ${was}, not an object of fields`;
      throw problemError(fn, { kind: "value", row: at, field: "", message, console: "" }, 0, rows.length);
    });
    try {
      return this.#codec.decode(fn.output, rows.length, this.#codec.encode(fn.output, answers, 0));
    } catch (error) {
      const { row, field, problem } = wrongValue(error);
      throw problemError(fn, { kind: "value", row, field, message: problem, console: "" }, 0, rows.length);
    }
  }

  /** Compiles a function. */
  // deno-lint-ignore require-await
  async warm(fn: PublishedFunction): Promise<void> {
    this.#compile(fn);
  }

  /** Forgets the functions. */
  // deno-lint-ignore require-await
  async close(): Promise<void> {
    this.#compiled.clear();
  }

  #compile(fn: PublishedFunction): (row: Row) => unknown {
    let call = this.#compiled.get(fn.source);
    if (call === undefined) {
      checkFunction(fn);
      // A compiler's helper that keeps names may stand in the text.
      const make = new Function("__name", `"use strict"; return (${fn.source}\n);`);
      call = make((named: unknown) => named) as (row: Row) => unknown;
      this.#compiled.set(fn.source, call);
    }
    return call;
  }
}
