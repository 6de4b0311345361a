/** Random typed expressions, made from the table of operations: nothing here names an operation that it should cover. */
import { type DataType, formatType, sameType } from "../../sdk/schema.ts";
import { callNode } from "../../sdk/frame/expr_json.ts";
import { literalOf } from "../../sdk/frame/expr_literal.ts";
import { canCast, typeOfExpr } from "../../sdk/frame/expr_type.ts";
import { type Operation, operations } from "../../sdk/frame/operations.ts";
import type { OptionRule } from "../../sdk/frame/operation_options.ts";
import type { ExprNode } from "../../sdk/frame/expr_node.ts";
import { Timestamp } from "../../sdk/time.ts";
import { type Random, randomValue, sampleSchema, sampleTypes } from "./expr_values.ts";

/** An operation with argument types that fit. */
export interface Producer {
  readonly operation: Operation;
  readonly args: readonly DataType[];
  readonly result: DataType;
}

export const zones: readonly string[] = [
  "UTC",
  "America/New_York",
  "Europe/Berlin",
  "Asia/Kolkata",
  "Australia/Lord_Howe",
  "Pacific/Apia",
  "America/Sao_Paulo",
];
const patterns: readonly string[] = [
  "a",
  "(a)(b)?",
  "^a.*c$",
  "[0-9]+",
  "",
  "b*",
  "(?i)É",
  "\\p{L}+",
  ".",
  "(\\d+)-(\\d+)",
  "x|$",
  "\\bb",
  "(?s)a.b",
  "[^a]",
  "😀",
];
const replacements: readonly string[] = ["", "-", "$0$0", "<$0>", "\\$$", "\\1", "é"];

/** A constant that an option may be. */
function randomOption(
  name: string,
  rule: OptionRule,
  random: Random,
  argCount: number,
): string | number | boolean | readonly string[] | undefined {
  if (rule.optional && random.chance(0.4)) return undefined;
  switch (rule.kind) {
    case "integer": {
      const value = random.chance(0.9) ? random.below(8) - 3 : random.pick([2147483647, -2147483648, 1000]);
      return Math.min(Math.max(value, rule.min ?? -2147483648), name === "length" ? 40 : rule.max ?? 2147483647);
    }
    case "text":
      return name === "name" ? random.pick(["a", "b b", "C"]) : random.pick([",", "", "a", "😀", "\0", "b,", "\\"]);
    case "unit":
      return random.pick(rule.values!);
    case "zone":
      return random.pick(zones);
    case "pattern":
      return random.pick(patterns);
    case "replacement":
      return random.pick(replacements);
    case "character":
      return random.pick([" ", "0", "é", "😀", "'"]);
    case "names":
      return ["a", "b b", "C", "d"].slice(0, argCount);
    case "boolean":
      return random.chance(0.5);
  }
}

function randomOptions(operation: Operation, random: Random, argCount: number): Record<string, unknown> | undefined {
  const rules = operations[operation].options;
  if (rules === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(rules).map(([name, rule]) => [name, randomOption(name, rule, random, argCount)]),
  );
}

/** Every way in which the sample types fit an operation, up to three arguments. */
function producersOf(operation: Operation, random: Random): Producer[] {
  const spec = operations[operation];
  const found = new Map<string, Producer>();
  // Options are drawn: for those of which few fit, until one does.
  for (let round = 0; round < 20 && found.size === 0; round++) {
    for (let arity = Math.max(1, spec.minArgs); arity <= Math.min(spec.maxArgs, 3); arity++) {
      for (const args of combinations(arity)) {
        // Some options decide whether types fit: try a few.
        for (let attempt = 0; attempt < (spec.options ? 6 : 1); attempt++) {
          const signature = spec.rule(args, randomOptions(operation, random, arity) as never ?? {});
          if ("result" in signature) {
            found.set(`${args.map(formatType)} ${formatType(signature.result)}`, {
              operation,
              args,
              result: signature.result,
            });
          }
        }
      }
    }
  }
  return [...found.values()];
}

function combinations(arity: number): DataType[][] {
  if (arity === 0) return [[]];
  return combinations(arity - 1).flatMap((rest) => sampleTypes.map((type) => [...rest, type]));
}

/** All producers, by operation. */
export function allProducers(random: Random): ReadonlyMap<Operation, readonly Producer[]> {
  return new Map(
    (Object.keys(operations) as Operation[]).map((operation) => [operation, producersOf(operation, random)]),
  );
}

/** Makes random expressions of a wanted type. */
export class Generator {
  readonly #random: Random;
  readonly #byResult = new Map<string, Producer[]>();

  /** `operations` outside `allowed` are not used. */
  constructor(
    random: Random,
    producers: ReadonlyMap<Operation, readonly Producer[]>,
    allowed: (operation: Operation) => boolean,
  ) {
    this.#random = random;
    for (const [operation, list] of producers) {
      if (!allowed(operation)) continue;
      // One operation with many signatures must not crowd out the others: few of each.
      for (const producer of list.filter((_, i) => i % Math.ceil(list.length / 40) === 0)) {
        const key = formatType(producer.result);
        this.#byResult.set(key, [...this.#byResult.get(key) ?? [], producer]);
      }
    }
  }

  /** A call of the producer's operation with random arguments; undefined when the options that came up do not fit. */
  call(producer: Producer, depth: number): ExprNode | undefined {
    const args = producer.args.map((type) => this.expr(type, depth));
    for (let attempt = 0; attempt < 20; attempt++) {
      try {
        const node = callNode(producer.operation, args, randomOptions(producer.operation, this.#random, args.length));
        if (sameType(typeOfExpr(node, sampleSchema), producer.result)) return node;
      } catch {
        continue;
      }
    }
    return undefined;
  }

  expr(type: DataType, depth: number): ExprNode {
    const random = this.#random;
    if (depth <= 0 || random.chance(0.1)) return this.leaf(type);
    if (random.chance(0.08)) return this.#case(type, depth - 1);
    if (random.chance(0.12)) return this.#cast(type, depth - 1);
    const producers = this.#byResult.get(formatType(type));
    // By operation first, so that those with few signatures come up as often.
    const names = [...new Set(producers?.map((producer) => producer.operation))];
    if (names.length === 0) return this.leaf(type);
    const operation = random.pick(names);
    return this.call(random.pick(producers!.filter((producer) => producer.operation === operation)), depth - 1) ??
      this.leaf(type);
  }

  leaf(type: DataType): ExprNode {
    const fields = sampleSchema.filter((field) => sameType(field.type, type));
    if (fields.length > 0 && this.#random.chance(0.75)) return { kind: "column", name: this.#random.pick(fields).name };
    return constant(randomValue(type, this.#random, 0.06), type);
  }

  #case(type: DataType, depth: number): ExprNode {
    const count = 1 + this.#random.below(2);
    const branches = Array.from(
      { length: count },
      () => ({ when: this.expr("boolean", depth), then: this.expr(type, depth) }),
    );
    return { kind: "case", branches, otherwise: this.expr(type, depth) };
  }

  #cast(type: DataType, depth: number): ExprNode {
    const from = this.#random.pick(sampleTypes.filter((each) => canCast(each, type)).concat([type]));
    return {
      kind: "cast",
      input: this.expr(from, depth),
      to: type,
      onError: this.#random.chance(0.5) ? "fail" : "null",
    };
  }
}

/** A literal of a value in row form. */
export function constant(value: unknown, type: DataType): ExprNode {
  return literalOf(plain(value, type) as never, type);
}

function plain(value: unknown, type: DataType): unknown {
  if (value === null) return null;
  if (typeof type === "object") {
    if ("list" in type) return (value as unknown[]).map((each) => plain(each, type.list));
    return Object.fromEntries(
      type.struct.map((field) => [field.name, plain((value as Record<string, unknown>)[field.name], field.type)]),
    );
  }
  if (type === "date") return new Date((value as number) * 86_400_000).toISOString().slice(0, 10);
  if (type === "timestamp") return new Timestamp(value as bigint);
  // DuckDB takes two expressions for one that differ only in the sign of a constant 0: -0 comes from columns here.
  return Object.is(value, -0) ? 0 : value;
}
