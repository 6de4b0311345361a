/** Frames as people write them: a source, then one step a line. What is used more than once becomes a constant. */
import { isAbsolute, relative } from "node:path";
import { canonicalJson } from "../../frame/hash.ts";
import type { JoinKey, NamedAggregate, NamedExpr, Query, ScanStep, SortKey } from "../../frame/query.ts";
import { eventTimestampOf } from "../../frame/query_time.ts";
import type { Schema } from "../../schema.ts";
import { ExprWriter } from "./expr_source.ts";
import { callDoc, chainDoc, type Doc, hardLine, indented, listDoc } from "./layout.ts";
import type { ModuleNames } from "./names.ts";
import { cannotWrite, dataDoc, fieldsDoc, longTextCode, textCode, typeDoc } from "./values.ts";

type ChainStep = Exclude<Query, { kind: "scan" | "sql" | "union" }>;

/** A constant of the module. */
export interface Constant {
  /** Its name. */
  readonly name: string;
  /** What it is. */
  readonly doc: Doc;
}

/** What a frame starts with, and its steps. */
export interface FrameChain {
  readonly head: Doc;
  readonly links: readonly Doc[];
}

/** Writes the frames of one module. */
export class QueryWriter {
  /** Sources and shared frames, each after what it is made of. */
  readonly constants: Constant[] = [];
  readonly #names: ModuleNames;
  readonly #exprs: ExprWriter;
  readonly #keepPaths: boolean;
  readonly #uses = new Map<string, number>();
  readonly #texts = new WeakMap<Query, string>();
  readonly #named = new Map<string, string>();

  /** `roots` are all frames of the module. `keepPaths`: paths stay absolute. */
  constructor(names: ModuleNames, roots: readonly Query[], keepPaths: boolean) {
    this.#names = names;
    this.#exprs = new ExprWriter(names);
    this.#keepPaths = keepPaths;
    for (const root of roots) this.#count(root);
  }

  /** A frame as a chain; steps that other frames share are behind the constant that it starts with. */
  chain(query: Query): FrameChain {
    const constant = this.#constant(query);
    if (constant !== undefined) return { head: constant, links: [] };
    return this.#written(query);
  }

  #written(query: Query): FrameChain {
    switch (query.kind) {
      case "scan":
      case "sql":
        return { head: this.#start(query), links: [] };
      case "union": {
        const [first, ...others] = query.inputs.map((input) => this.#constant(input, true)!);
        return { head: first!, links: [callDoc(".union", others)] };
      }
      default: {
        const { head, links } = this.chain(query.input);
        return { head, links: [...links, ...this.#step(query)] };
      }
    }
  }

  /** The constant of a frame that has one, or gets one: it is a source, used twice, or must have a name. */
  #constant(query: Query, isWanted = false): string | undefined {
    const text = this.#text(query);
    const known = this.#named.get(text);
    if (known !== undefined) return known;
    const isStart = query.kind === "scan" || query.kind === "sql";
    if (!isStart && !isWanted && (this.#uses.get(text) ?? 0) < 2) return undefined;
    const chain = this.#written(query);
    const name = this.#names.take(nameOf(query), query.kind === "scan" ? "source" : "frame");
    this.#named.set(text, name);
    this.constants.push({ name, doc: frameDoc(chain) });
    return name;
  }

  #text(query: Query): string {
    let text = this.#texts.get(query);
    if (text === undefined) this.#texts.set(query, text = canonicalJson(query));
    return text;
  }

  #count(query: Query): void {
    const text = this.#text(query);
    const uses = (this.#uses.get(text) ?? 0) + 1;
    this.#uses.set(text, uses);
    if (uses === 1) { for (const input of inputsOf(query)) this.#count(input); }
  }

  #start(query: Extract<Query, { kind: "scan" | "sql" }>): Doc {
    if (query.kind === "scan") return this.#scan(query);
    const inputs = Object.entries(query.inputs).map((
      [name, input],
    ): [string, Doc] => [name, this.#constant(input, true)!]);
    return callDoc(this.#names.use("sql"), [
      longTextCode(query.sql),
      fieldsDoc(inputs),
      fieldsDoc([["schema", this.#schema(query.schema)]]),
    ]);
  }

  #scan({ source, schema }: ScanStep): Doc {
    const times: [string, Doc][] = [];
    if (source.eventTimestamp !== undefined) times.push(["eventTimestamp", textCode(source.eventTimestamp)]);
    if (source.writtenTimestamp !== undefined) times.push(["writtenTimestamp", textCode(source.writtenTimestamp)]);
    const columns: [string, Doc] = ["schema", this.#schema(schema)];
    if (source.kind === "memory") {
      return callDoc(this.#names.use("storedRows"), [
        textCode(source.id),
        fieldsDoc([["rowCount", String(source.rowCount)], ...times, columns]),
      ]);
    }
    const settings = Object.entries(source.options ?? {}).map(([name, value]): [string, Doc] => [
      name === "delim" ? "delimiter" : name === "nullstr" ? "nullText" : name,
      dataDoc(value, this.#names),
    ]);
    const paths = source.paths.map((path) => textCode(this.#path(path)));
    return callDoc(this.#names.use(source.format), [
      paths.length === 1 ? paths[0]! : listDoc(paths),
      fieldsDoc([...times, ...settings, columns]),
    ]);
  }

  /** Paths inside the working folder are relative to it. */
  #path(path: string): string {
    if (this.#keepPaths || !isAbsolute(path)) return path;
    const inside = relative(process.cwd(), path).replaceAll("\\", "/");
    return inside === "" || inside.startsWith("../") || isAbsolute(inside) ? path : inside;
  }

  #schema(schema: Schema): Doc {
    return fieldsDoc(schema.map(({ name, type }) => [name, typeDoc(type, this.#names)]));
  }

  #step(step: ChainStep): Doc[] {
    const exprs = this.#exprs;
    switch (step.kind) {
      case "filter":
        return [callDoc(".filter", [exprs.input(step.where)])];
      case "select": {
        const named = step.columns.findIndex((column) => !isItself(column));
        const plain = named < 0 ? step.columns : step.columns.slice(0, named);
        const rest = named < 0 ? [] : [this.#namedExprs(step.columns.slice(named))];
        return [callDoc(".select", [...plain.map(({ name }) => textCode(name)), ...rest])];
      }
      case "derive":
        return [callDoc(".derive", [this.#namedExprs(step.columns)])];
      case "rename":
        return [callDoc(".rename", [dataDoc(step.names, this.#names)])];
      case "drop":
        return [callDoc(".drop", step.columns.map(textCode))];
      case "join": {
        const options = {
          ...(step.how !== "inner" && { how: step.how }),
          ...(step.suffix !== "_right" && { suffix: step.suffix }),
        };
        return [callDoc(".join", [this.#constant(step.right, true)!, keysDoc(step.on), ...this.#options(options)])];
      }
      case "asOfJoin": {
        const { left, right } = step.time;
        const isDefault = eventTimestampOf(step.input) === left && eventTimestampOf(step.right) === right;
        const options = {
          ...(!isDefault && { time: left === right ? left : { left, right } }),
          ...(step.tolerance !== undefined && { tolerance: step.tolerance }),
          ...(step.suffix !== "_right" && { suffix: step.suffix }),
        };
        return [callDoc(".asOfJoin", [this.#constant(step.right, true)!, keysDoc(step.on), ...this.#options(options)])];
      }
      case "aggregate": {
        const time = eventTimestampOf(step.input);
        return [
          callDoc(".groupBy", step.by.map(textCode)),
          callDoc(".aggregate", [fieldsDoc(step.aggregates.map((each) => [each.name, this.#aggregate(each, time)]))]),
        ];
      }
      case "distinct":
        return [callDoc(".distinct", step.columns.map(textCode))];
      case "sort":
        return [callDoc(".sort", step.by.map((key) => this.#sortKey(key)))];
      case "limit":
        return [callDoc(".limit", [String(step.count), ...(step.offset > 0 ? [String(step.offset)] : [])])];
      case "unnest":
        return [
          callDoc(".unnest", [textCode(step.column), ...this.#options(step.keepEmpty ? { keepEmpty: true } : {})]),
        ];
      case "sample": {
        const { rows, fraction, seed } = step;
        const size = rows === undefined ? { fraction } : { rows };
        return [callDoc(".sample", [dataDoc({ ...size, ...(seed !== 0 && { seed }) }, this.#names)])];
      }
    }
  }

  #options(options: object): Doc[] {
    return Object.keys(options).length > 0 ? [dataDoc(options, this.#names)] : [];
  }

  #namedExprs(columns: readonly NamedExpr[]): Doc {
    return fieldsDoc(columns.map(({ name, expr }) => [name, this.#exprs.input(expr)]));
  }

  #sortKey({ expr, descending, nulls }: SortKey): Doc {
    const by = this.#exprs.input(expr);
    if (nulls === "first") {
      return fieldsDoc([["by", by], ...(descending ? [["descending", "true"] as const] : []), ["nulls", '"first"']]);
    }
    return descending ? callDoc(this.#names.use("descending"), [by]) : by;
  }

  #aggregate({ function: called, input, by, where, quantile }: NamedAggregate, time: string | undefined): Doc {
    const isOrdered = called === "first" || called === "last";
    if (isOrdered && !by && time !== undefined) {
      throw cannotWrite(`${called} has no order, and its frame has the event timestamp "${time}"`);
    }
    const isGiven = isOrdered ? by?.kind === "column" && by.name === time : by === undefined;
    const order = by === undefined || isGiven
      ? []
      : called === "minBy" || called === "maxBy"
      ? [this.#exprs.input(by)]
      : [fieldsDoc([["by", this.#exprs.input(by)]])];
    return this.aggregate(called, input ? [this.#exprs.input(input)] : [], [
      ...order,
      ...(quantile === undefined ? [] : [String(quantile)]),
    ], where);
  }

  /** The call of an aggregate function. */
  aggregate(called: string, input: readonly Doc[], more: readonly Doc[], where: NamedAggregate["where"]): Doc {
    const call = callDoc(this.#names.use(called), [...input, ...more]);
    return where ? chainDoc(call, [callDoc(".where", [this.#exprs.expr(where)])]) : call;
  }

  /** Expressions of the same module. */
  get exprs(): ExprWriter {
    return this.#exprs;
  }
}

/** A frame: one step on the line of its start, more on lines of their own. */
export function frameDoc({ head, links }: FrameChain): Doc {
  return links.length < 2 ? [head, ...links] : [head, indented(links.map((link) => [hardLine, link]))];
}

function keysDoc(on: readonly JoinKey[]): Doc {
  if (on.some(({ left, right }) => left !== right)) {
    return fieldsDoc(on.map(({ left, right }) => [left, textCode(right)]));
  }
  return on.length === 1 ? textCode(on[0]!.left) : listDoc(on.map(({ left }) => textCode(left)));
}

function isItself({ name, expr }: NamedExpr): boolean {
  return expr.kind === "column" && expr.name === name;
}

function inputsOf(query: Query): readonly Query[] {
  switch (query.kind) {
    case "scan":
      return [];
    case "sql":
      return Object.values(query.inputs);
    case "union":
      return query.inputs;
    case "join":
    case "asOfJoin":
      return [query.input, query.right];
    default:
      return [query.input];
  }
}

const endings: Readonly<Record<ChainStep["kind"], string>> = {
  filter: "filtered",
  select: "selected",
  derive: "derived",
  rename: "renamed",
  drop: "reduced",
  join: "joined",
  asOfJoin: "joined",
  aggregate: "grouped",
  distinct: "distinct",
  sort: "sorted",
  limit: "first",
  unnest: "unnested",
  sample: "sampled",
};

/** What a frame may be called: after its file, and its last step. */
function nameOf(query: Query): string {
  if (query.kind === "sql") return "selected";
  if (query.kind === "union") return `all_${nameOf(query.inputs[0]!)}`;
  if (query.kind !== "scan") return `${startName(query)}_${endings[query.kind]}`;
  if (query.source.kind === "memory") return "rows";
  const file = query.source.paths[0]!.split("/").at(-1)!.replace(/\.[a-z0-9.]+$/i, "");
  return /[a-z]/i.test(file) ? file : query.source.paths[0]!.split("/").at(-2) ?? "rows";
}

function startName(query: Query): string {
  switch (query.kind) {
    case "scan":
    case "sql":
      return nameOf(query);
    case "union":
      return startName(query.inputs[0]!);
    default:
      return startName(query.input);
  }
}
