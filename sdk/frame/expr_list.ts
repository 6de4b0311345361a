/** Operations on lists: `col("tags").list.contains("new")`. */
import { type ColumnsOf, type Expr, Expr as ExprClass, make, type Operand } from "./expr.ts";
import type { ExprNode } from "./expr_node.ts";

/** Operations on lists, reached by `.list`. Positions count from 0. */
export class ListMethods<C extends string> {
  readonly #node: ExprNode;

  constructor(node: ExprNode) {
    this.#node = node;
    Object.freeze(this);
  }

  get #self(): Expr<C> {
    return new ExprClass<C>(this.#node);
  }

  /** How many elements. */
  length(): Expr<C, number | null> {
    return make("listLength", [this.#self]);
  }

  /** The element at an index, negative from the end; null when there is none. */
  get(index: number): Expr<C, unknown> {
    return make("listGet", [this.#self], { index });
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
    return make("listContains", [this.#self, value]);
  }

  /** Sum of the elements. */
  sum(): Expr<C, number | bigint | null> {
    return make("listSum", [this.#self]);
  }

  /** The least element. */
  min(): Expr<C, unknown> {
    return make("listMin", [this.#self]);
  }

  /** The greatest element. */
  max(): Expr<C, unknown> {
    return make("listMax", [this.#self]);
  }

  /** Mean of the elements. */
  mean(): Expr<C, number | null> {
    return make("listMean", [this.#self]);
  }

  /** From a position (negative counts from the end), to the end or that many elements. */
  slice(start: number, length?: number): Expr<C, readonly unknown[] | null> {
    return make("listSlice", [this.#self], length === undefined ? { start } : { start, length });
  }

  /** In order, nulls last. */
  sort(options: { readonly descending?: boolean } = {}): Expr<C, readonly unknown[] | null> {
    return make("listSort", [this.#self], { descending: options.descending ?? false });
  }

  /** Different elements, in order, without nulls. */
  distinct(): Expr<C, readonly unknown[] | null> {
    return make("listDistinct", [this.#self]);
  }

  /** In reverse order. */
  reverse(): Expr<C, readonly unknown[] | null> {
    return make("listReverse", [this.#self]);
  }

  /** With the elements of other lists after its own. */
  concat<const X extends readonly Operand[]>(...lists: X): Expr<C | ColumnsOf<X[number]>, readonly unknown[] | null> {
    return make("listConcat", [this.#self, ...lists]);
  }

  /** Strings joined with a separator. */
  join(separator: string): Expr<C, string | null> {
    return make("listJoin", [this.#self], { separator });
  }
}
