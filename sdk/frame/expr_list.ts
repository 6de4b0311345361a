/** Operations on lists: `col("tags").list.contains("new")`. */
import type { ColumnsOf, Expr, make, Operand } from "./expr.ts";

/** Operations on lists, reached by `.list`. Positions count from 0. */
export class ListMethods<C extends string> {
  readonly #self: Expr<C>;
  readonly #make: typeof make;

  /** Made by an expression, which hands in what makes others: this file must not import it. */
  constructor(self: Expr<C>, makeExpr: typeof make) {
    this.#self = self;
    this.#make = makeExpr;
    Object.freeze(this);
  }

  /** How many elements. */
  length(): Expr<C, number | null> {
    return this.#make("listLength", [this.#self]);
  }

  /** The element at an index, negative from the end; null when there is none. */
  get(index: number): Expr<C, unknown> {
    return this.#make("listGet", [this.#self], { index });
  }

  /** The first element. */
  first(): Expr<C, unknown> {
    return this.get(0);
  }

  /** The last element. */
  last(): Expr<C, unknown> {
    return this.get(-1);
  }

  /** Whether an element equals the value. */
  contains<const X extends Operand>(value: X): Expr<C | ColumnsOf<X>, boolean | null> {
    return this.#make("listContains", [this.#self, value]);
  }

  /** Sum of the elements. */
  sum(): Expr<C, number | bigint | null> {
    return this.#make("listSum", [this.#self]);
  }

  /** The least element. */
  min(): Expr<C, unknown> {
    return this.#make("listMin", [this.#self]);
  }

  /** The greatest element. */
  max(): Expr<C, unknown> {
    return this.#make("listMax", [this.#self]);
  }

  /** Mean of the elements. */
  mean(): Expr<C, number | null> {
    return this.#make("listMean", [this.#self]);
  }

  /** From a position (negative counts from the end), to the end or that many elements. */
  slice(start: number, length?: number): Expr<C, readonly unknown[] | null> {
    return this.#make("listSlice", [this.#self], length === undefined ? { start } : { start, length });
  }

  /** In order, nulls last. */
  sort(options: { readonly descending?: boolean } = {}): Expr<C, readonly unknown[] | null> {
    return this.#make("listSort", [this.#self], { descending: options.descending ?? false });
  }

  /** Different elements, in order, without nulls. */
  distinct(): Expr<C, readonly unknown[] | null> {
    return this.#make("listDistinct", [this.#self]);
  }

  /** In reverse order. */
  reverse(): Expr<C, readonly unknown[] | null> {
    return this.#make("listReverse", [this.#self]);
  }

  /** With the elements of other lists after its own. */
  concat<const X extends readonly Operand[]>(...lists: X): Expr<C | ColumnsOf<X[number]>, readonly unknown[] | null> {
    return this.#make("listConcat", [this.#self, ...lists]);
  }

  /** Strings joined with a separator. */
  join(separator: string): Expr<C, string | null> {
    return this.#make("listJoin", [this.#self], { separator });
  }
}
