/** Operations on strings: `col("city").str.upper()`. */
import type { ColumnsOf, Expr, make, Operand } from "./expr.ts";

/** Operations on strings, reached by `.str`. Positions count code points from 0. */
export class StringMethods<C extends string> {
  readonly #self: Expr<C>;
  readonly #make: typeof make;

  /** Made by an expression, which hands in what makes others: this file must not import it. */
  constructor(self: Expr<C>, makeExpr: typeof make) {
    this.#self = self;
    this.#make = makeExpr;
    Object.freeze(this);
  }

  /** In lower case. */
  lower(): Expr<C, string | null> {
    return this.#make("lower", [this.#self]);
  }

  /** In upper case. */
  upper(): Expr<C, string | null> {
    return this.#make("upper", [this.#self]);
  }

  /** Without white space at both ends. */
  trim(): Expr<C, string | null> {
    return this.#make("trim", [this.#self]);
  }

  /** Without white space at the start. */
  trimStart(): Expr<C, string | null> {
    return this.#make("trimStart", [this.#self]);
  }

  /** Without white space at the end. */
  trimEnd(): Expr<C, string | null> {
    return this.#make("trimEnd", [this.#self]);
  }

  /** How many code points. */
  length(): Expr<C, number | null> {
    return this.#make("length", [this.#self]);
  }

  /** From a position (negative counts from the end), to the end or that many code points. */
  substring(start: number, length?: number): Expr<C, string | null> {
    return this.#make("substring", [this.#self], length === undefined ? { start } : { start, length });
  }

  /** Whether it starts with the text. */
  startsWith<const X extends Operand>(text: X): Expr<C | ColumnsOf<X>, boolean | null> {
    return this.#make("startsWith", [this.#self, text]);
  }

  /** Whether it ends with the text. */
  endsWith<const X extends Operand>(text: X): Expr<C | ColumnsOf<X>, boolean | null> {
    return this.#make("endsWith", [this.#self, text]);
  }

  /** Whether it contains the text. */
  contains<const X extends Operand>(text: X): Expr<C | ColumnsOf<X>, boolean | null> {
    return this.#make("contains", [this.#self, text]);
  }

  /** Every occurrence of one text replaced by another. */
  replace<const X extends Operand, const Y extends Operand>(
    text: X,
    by: Y,
  ): Expr<C | ColumnsOf<X> | ColumnsOf<Y>, string | null> {
    return this.#make("replace", [this.#self, text, by]);
  }

  /** Joined with the texts after it. */
  concat<const X extends readonly Operand[]>(...texts: X): Expr<C | ColumnsOf<X[number]>, string | null> {
    return this.#make("concat", [this.#self, ...texts]);
  }

  /** Cut at every separator into a list. */
  split(separator: string): Expr<C, readonly string[] | null> {
    return this.#make("split", [this.#self], { separator });
  }

  /** Whether an RE2 pattern occurs in it. */
  matches(pattern: string): Expr<C, boolean | null> {
    return this.#make("matches", [this.#self], { pattern });
  }

  /** The first match of an RE2 pattern, or one group of it; null without a match. */
  extract(pattern: string, group = 0): Expr<C, string | null> {
    return this.#make("extract", [this.#self], { pattern, group });
  }

  /** Matches of an RE2 pattern replaced, all or the first; `$1` is a group, `$$` a dollar. */
  replacePattern(
    pattern: string,
    replacement: string,
    options: { readonly all?: boolean } = {},
  ): Expr<C, string | null> {
    return this.#make("replacePattern", [this.#self], { pattern, replacement, all: options.all ?? true });
  }

  /** Filled at the start to a length. */
  padStart(length: number, fill = " "): Expr<C, string | null> {
    return this.#make("padStart", [this.#self], { length, fill });
  }

  /** Filled at the end to a length. */
  padEnd(length: number, fill = " "): Expr<C, string | null> {
    return this.#make("padEnd", [this.#self], { length, fill });
  }

  /** Code points in reverse order. */
  reverse(): Expr<C, string | null> {
    return this.#make("reverse", [this.#self]);
  }
}
