/** Expressions as people write them: `col("delay").gt(15).and(col("origin").isNotNull())`. */
import {
  type CallNode,
  type ExprNode,
  type LiteralNode,
  type OptionValue,
  requestTimeColumn,
} from "../../frame/expr_node.ts";
import { formatDuration, timestampLimits } from "../../time.ts";
import { callDoc, chainDoc, type Doc, listDoc } from "./layout.ts";
import type { ModuleNames } from "./names.ts";
import { constantDoc, constantExprDoc, dataDoc, fieldsDoc, textCode, typeDoc } from "./values.ts";

/** How the call of an operation is written: as a method of its first argument, or as a function. */
interface CallForm {
  /** The method, with what comes before it: `str.upper`. */
  readonly method?: string;
  /** The function. */
  readonly call?: string;
  /** Its options as arguments after the others. */
  readonly options?: (option: (name: string) => OptionValue | undefined, names: ModuleNames) => readonly Doc[];
}

const zoned = (option: (name: string) => OptionValue | undefined): Doc[] => {
  const zone = option("zone");
  return zone === undefined ? [] : [textCode(String(zone))];
};

const unit = (otherwise?: string) => (option: (name: string) => OptionValue | undefined): Doc[] =>
  option("unit") === otherwise ? [] : [textCode(String(option("unit")))];

const given = (...names: readonly string[]) => (option: (name: string) => OptionValue | undefined, all: ModuleNames) =>
  names.map((name) => option(name)).filter((value) => value !== undefined).map((value) => dataDoc(value, all));

const unless = (name: string, otherwise: OptionValue) =>
(
  option: (name: string) => OptionValue | undefined,
  names: ModuleNames,
) => option(name) === otherwise ? [] : [dataDoc(option(name), names)];

const padded: CallForm["options"] = (option, names) => [
  dataDoc(option("length"), names),
  ...unless("fill", " ")(option, names),
];

/** Operations that are not a method of their own name without options. */
const forms: Readonly<Record<string, CallForm>> = {
  round: { options: unless("digits", 0) },
  coalesce: { call: "coalesce" },
  greatest: { call: "greatest" },
  least: { call: "least" },
  hash: { call: "hash" },
  concat: { call: "concat" },
  list: { call: "listOf" },
  atan2: { call: "atan2" },
  field: { options: given("name") },
  substring: { method: "str.substring", options: given("start", "length") },
  split: { method: "str.split", options: given("separator") },
  matches: { method: "str.matches", options: given("pattern") },
  extract: {
    method: "str.extract",
    options: (option, names) => [dataDoc(option("pattern"), names), ...unless("group", 0)(option, names)],
  },
  replacePattern: {
    method: "str.replacePattern",
    options: (option, names) => [
      dataDoc(option("pattern"), names),
      dataDoc(option("replacement"), names),
      ...(option("all") === true ? [] : [dataDoc({ all: false }, names)]),
    ],
  },
  padStart: { method: "str.padStart", options: padded },
  padEnd: { method: "str.padEnd", options: padded },
  ...Object.fromEntries(
    [
      "lower",
      "upper",
      "trim",
      "trimStart",
      "trimEnd",
      "length",
      "startsWith",
      "endsWith",
      "contains",
      "replace",
      "reverse",
    ]
      .map((name): [string, CallForm] => [name, { method: `str.${name}` }]),
  ),
  ...Object.fromEntries(
    [
      ...["year", "quarter", "month", "week", "isoYear", "day", "dayOfWeek", "dayOfYear", "hour", "minute", "second"],
      ...["microsecond", "date"],
    ].map((name): [string, CallForm] => [name, { method: `dt.${name}`, options: zoned }]),
  ),
  truncate: { method: "dt.truncate", options: unit() },
  epoch: { method: "dt.epoch", options: unit("second") },
  fromEpoch: { method: "dt.fromEpoch", options: unit("second") },
  totalOf: { method: "dt.totalOf", options: unit() },
  ...Object.fromEntries(
    ["Length", "Contains", "Sum", "Min", "Max", "Mean", "Distinct", "Reverse", "Concat"]
      .map((name): [string, CallForm] => [`list${name}`, { method: `list.${name.toLowerCase()}` }]),
  ),
  listSlice: { method: "list.slice", options: given("start", "length") },
  listSort: {
    method: "list.sort",
    options: (option, names) => option("descending") === true ? [dataDoc({ descending: true }, names)] : [],
  },
  listJoin: { method: "list.join", options: given("separator") },
};

/** What stands before a chain of methods, and the methods. */
interface Chain {
  readonly head: Doc;
  readonly links: readonly Doc[];
}

/** Writes expressions of one module. */
export class ExprWriter {
  readonly #names: ModuleNames;

  constructor(names: ModuleNames) {
    this.#names = names;
  }

  /** Where a column may be given by its name. */
  input(node: ExprNode): Doc {
    return node.kind === "column" ? textCode(node.name) : this.expr(node);
  }

  /** Where an expression must stand. */
  expr(node: ExprNode): Doc {
    const { head, links } = this.#chain(node);
    return chainDoc(head, links);
  }

  /** Where an expression or a plain value may stand. */
  operand(node: ExprNode): Doc {
    return node.kind === "literal" ? constantDoc(node, this.#names) : this.expr(node);
  }

  #chain(node: ExprNode): Chain {
    switch (node.kind) {
      case "column":
        return node.name === requestTimeColumn
          ? { head: callDoc(this.#names.use("requestTimestamp"), []), links: [] }
          : { head: callDoc(this.#names.use("col"), [textCode(node.name)]), links: [] };
      case "literal":
        return { head: constantExprDoc(node, this.#names), links: [] };
      case "cast": {
        const options = node.onError === "null" ? [dataDoc({ onError: "null" }, this.#names)] : [];
        return this.#method(node.input, "cast", [typeDoc(node.to, this.#names), ...options]);
      }
      case "case": {
        const [first, ...others] = node.branches;
        const links = [
          callDoc(".then", [this.operand(first!.then)]),
          ...others.flatMap((branch) => [
            callDoc(".when", [this.expr(branch.when)]),
            callDoc(".then", [this.operand(branch.then)]),
          ]),
          callDoc(".otherwise", [this.operand(node.otherwise)]),
        ];
        return { head: callDoc(this.#names.use("when"), [this.expr(first!.when)]), links };
      }
      case "call":
        return this.#call(node);
    }
  }

  #method(self: ExprNode, method: string, args: readonly Doc[]): Chain {
    const { head, links } = this.#chain(self);
    return { head, links: [...links, callDoc(`.${method}`, args)] };
  }

  #function(name: string, args: readonly ExprNode[]): Chain {
    return { head: callDoc(this.#names.use(name), args.map((arg) => this.operand(arg))), links: [] };
  }

  #call(node: CallNode): Chain {
    const { operation, args } = node;
    const option = (name: string) => node.options?.[name];
    const [self, ...others] = args as readonly [ExprNode, ...ExprNode[]];
    switch (operation) {
      case "and":
      case "or":
        if (args.length > 2) return this.#function(operation === "and" ? "allOf" : "anyOf", args);
        break;
      case "isIn":
        return this.#method(self, "isIn", [listDoc(others.map((arg) => this.operand(arg)))]);
      case "coalesce":
        if (args.length === 2 && self.kind !== "literal" && others[0]!.kind === "literal") {
          return this.#method(self, "fillNull", [this.operand(others[0]!)]);
        }
        break;
      case "plus":
      case "minus": {
        const length = others[0]!.kind === "literal" ? durationText(others[0]!) : undefined;
        if (length === undefined) break;
        return this.#method(self, operation === "plus" ? "dt.add" : "dt.subtract", [textCode(length)]);
      }
      case "listGet": {
        const index = option("index");
        return this.#method(
          self,
          index === 0 ? "list.first" : index === -1 ? "list.last" : "list.get",
          index === 0 || index === -1 ? [] : [String(index)],
        );
      }
      case "struct": {
        const parts = (option("names") as readonly string[]).map((name, i) => [name, this.operand(args[i]!)] as const);
        return { head: callDoc(this.#names.use("struct"), [fieldsDoc(parts)]), links: [] };
      }
    }
    const form = forms[operation];
    if (form?.call !== undefined) return this.#function(form.call, args);
    return this.#method(self, form?.method ?? operation, [
      ...others.map((arg) => this.operand(arg)),
      ...form?.options?.(option, this.#names) ?? [],
    ]);
  }
}

/** The text of a constant duration that is not negative, and not longer than texts may say. */
function durationText({ type, value }: LiteralNode): string | undefined {
  if (type !== "duration" || typeof value !== "string") return undefined;
  const micros = BigInt(value);
  return micros >= 0n && micros <= timestampLimits.max ? formatDuration(micros) : undefined;
}
